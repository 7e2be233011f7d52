// Old bytes that save nothing are given up, and tried again.

#include "minion/savings.h"

#include <gtest/gtest.h>

namespace libsync::test {
namespace {

constexpr std::uint64_t kPiece = 1000;
constexpr unsigned kTries = 4;

class SavingsTest : public testing::Test {
 protected:
  // The next piece is filled, after so many that are left out.
  unsigned left_out(Likeness likeness = Likeness::unknown) {
    unsigned count = 0;
    while (count < 1000 && !savings_.should_fill(likeness)) ++count;
    return count;
  }
  void good() { savings_.arrived(kPiece, kPiece - kPiece / 10); }
  void poor() { savings_.arrived(kPiece, kPiece + 20); }

  Savings savings_;
};

TEST_F(SavingsTest, OnePieceIsTriedFirst) {
  EXPECT_TRUE(savings_.should_fill(Likeness::unknown));
  for (int piece = 0; piece < 10; ++piece) EXPECT_FALSE(savings_.should_fill(Likeness::unknown));
  good();
  for (int piece = 0; piece < 100; ++piece) EXPECT_TRUE(savings_.should_fill(Likeness::unknown));
}

TEST_F(SavingsTest, AllPiecesAreFilledAtOnceIfThePayloadIsAlike) {
  for (int piece = 0; piece < 100; ++piece) EXPECT_TRUE(savings_.should_fill(Likeness::shown));
}

TEST_F(SavingsTest, APoorTryEndsItForAWhileThatDoubles) {
  for (const auto pause : {0U, 32U, 64U, 128U, 256U, 256U}) {
    EXPECT_EQ(left_out(), pause);
    poor();
  }
}

TEST_F(SavingsTest, ALikePayloadIsGivenUpAsWell) {
  for (unsigned piece = 0; piece < 4 * kTries; ++piece) {
    EXPECT_EQ(left_out(Likeness::shown), 0U);
    poor();
  }
  EXPECT_EQ(left_out(Likeness::shown), 32U);
}

TEST_F(SavingsTest, OnePieceThatSavesBringsItBack) {
  EXPECT_EQ(left_out(), 0U);
  poor();
  EXPECT_EQ(left_out(), 32U);
  good();
  EXPECT_EQ(left_out(), 0U);
}

TEST_F(SavingsTest, AfterGoodPiecesSeveralPoorOnesEndIt) {
  EXPECT_EQ(left_out(), 0U);
  good();
  for (unsigned piece = 0; piece + 1 < kTries; ++piece) poor();
  EXPECT_EQ(left_out(), 0U) << "three poor pieces are not four";
  poor();
  EXPECT_EQ(left_out(), 32U);
}

TEST_F(SavingsTest, PoorPiecesCountInARowAlone) {
  EXPECT_EQ(left_out(), 0U);
  for (int round = 0; round < 3; ++round) {
    good();
    for (unsigned piece = 0; piece + 1 < kTries; ++piece) poor();
  }
  EXPECT_EQ(left_out(), 0U);
}

TEST_F(SavingsTest, APieceWithoutOldBytesIsNoTry) {
  EXPECT_TRUE(savings_.should_fill(Likeness::unknown));
  savings_.left();
  EXPECT_TRUE(savings_.should_fill(Likeness::unknown));
}

TEST_F(SavingsTest, APieceWithoutBytesIsNoLoss) {
  for (unsigned piece = 0; piece < 2 * kTries; ++piece) savings_.arrived(0, 0);
  EXPECT_TRUE(savings_.should_fill(Likeness::unknown));
}

}  // namespace
}  // namespace libsync::test
