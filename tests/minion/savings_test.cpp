// Old bytes that save nothing are given up, and tried again.

#include "minion/savings.h"

#include <gtest/gtest.h>

namespace libsync::test {
namespace {

constexpr std::uint64_t kPiece = 1000;
constexpr unsigned kTries = 4;

// Pieces in a row that are left out, up to a limit.
unsigned left_out(Savings& savings) {
  unsigned count = 0;
  while (count < 1000 && !savings.should_fill()) ++count;
  return count;
}

TEST(Savings, AllPiecesAreFilledWhileTheySave) {
  Savings savings;
  for (int piece = 0; piece < 100; ++piece) {
    EXPECT_TRUE(savings.should_fill());
    savings.arrived(kPiece, kPiece - kPiece / 10);
  }
}

TEST(Savings, PoorPiecesInARowEndItForAWhileThatDoubles) {
  Savings savings;
  for (unsigned piece = 0; piece < kTries; ++piece) {
    EXPECT_EQ(left_out(savings), 0U);
    savings.arrived(kPiece, kPiece + 20);
  }
  EXPECT_EQ(left_out(savings), 8U);
  savings.arrived(kPiece, kPiece);
  EXPECT_EQ(left_out(savings), 16U);
  for (int again = 0; again < 10; ++again) savings.arrived(kPiece, kPiece);
  EXPECT_EQ(left_out(savings), 128U);
}

TEST(Savings, OnePieceThatSavesBringsItBack) {
  Savings savings;
  for (unsigned piece = 0; piece < kTries; ++piece) savings.arrived(kPiece, kPiece);
  EXPECT_EQ(left_out(savings), 8U);
  savings.arrived(kPiece, 100);
  EXPECT_EQ(left_out(savings), 0U);
  for (unsigned piece = 0; piece + 1 < kTries; ++piece) savings.arrived(kPiece, kPiece);
  EXPECT_EQ(left_out(savings), 0U) << "three poor pieces are not four";
  savings.arrived(kPiece, kPiece);
  EXPECT_EQ(left_out(savings), 8U);
}

TEST(Savings, APieceWithoutBytesIsNoLoss) {
  Savings savings;
  for (unsigned piece = 0; piece < 2 * kTries; ++piece) savings.arrived(0, 0);
  EXPECT_TRUE(savings.should_fill());
}

}  // namespace
}  // namespace libsync::test
