#include "minion/local_work.h"

#include <gtest/gtest.h>

#include "minion/progress_lines.h"

namespace libsync {
namespace {

using namespace std::chrono_literals;

TEST(LocalWork, IsCountedForPeople) {
  LocalWork work(100'000, 7'000'000'000);
  EXPECT_EQ(work.text(), "");
  work.begin(LocalWork::Phase::listing);
  work.list(41'000);
  EXPECT_EQ(work.text(), "listing the old payload, 41,000 entries so far");
  work.begin(LocalWork::Phase::making);
  EXPECT_EQ(work.text(), "making the folders for 100,000 files");
  work.begin(LocalWork::Phase::assembling);
  for (int i = 0; i < 41'000; ++i) work.copy_one();
  work.complete_one();
  EXPECT_EQ(work.text(), "assembling 41,000 of 100,000 files, copied 0 B and hashed 0 B of 7 GB");
  for (int i = 0; i < 59'000; ++i) work.copy_one();
  work.end_piece(7'000'000'000);
  EXPECT_EQ(work.text(), "completing 1 of 100,000 files");
  work.begin(LocalWork::Phase::syncing);
  EXPECT_EQ(work.text(), "waiting for the disk to write 100,000 files");
  work.begin(LocalWork::Phase::publishing);
  EXPECT_EQ(work.text(), "publishing 100,000 files");
  work.begin(LocalWork::Phase::none);
  EXPECT_EQ(work.text(), "");
  LocalWork small(7, 0);
  small.begin(LocalWork::Phase::assembling);
  for (int i = 0; i < 9; ++i) small.copy_one();
  for (int i = 0; i < 9; ++i) small.complete_one();
  EXPECT_EQ(small.text(), "completing 7 of 7 files");
  small.restart();
  EXPECT_EQ(small.text(), "assembling 0 of 7 files");
}

// One file of many GB needs minutes, too.
TEST(LocalWork, TheBytesOfThePresentPieceCount) {
  LocalWork work(1, 7'000'000'000);
  work.begin(LocalWork::Phase::assembling);
  work.end_piece(1'000'000'000);
  work.begin_piece();
  *work.copied() += 2'500'000'000;
  *work.hashed() += 1'500'000'000;
  EXPECT_EQ(work.text(), "assembling 0 of 1 files, copied 3.5 GB and hashed 2.5 GB of 7 GB");
  work.begin_piece();
  EXPECT_EQ(work.text(), "assembling 0 of 1 files, copied 1 GB and hashed 1 GB of 7 GB")
      << "the piece was bad";
  *work.copied() += 9'000'000'000;
  EXPECT_EQ(work.text(), "assembling 0 of 1 files, copied 7 GB and hashed 1 GB of 7 GB");
  work.restart();
  EXPECT_EQ(work.text(), "assembling 0 of 1 files, copied 0 B and hashed 0 B of 7 GB");
  work.begin(LocalWork::Phase::comparing);
  *work.compared() += 3'000'000'000;
  EXPECT_EQ(work.text(), "comparing the old payload, 3 GB of 7 GB");
  *work.compared() += 9'000'000'000;
  EXPECT_EQ(work.text(), "comparing the old payload, 7 GB of 7 GB");
}

// Redis cuts longer texts: WORK_BYTES.
TEST(LocalWork, HasAtMost100Bytes) {
  LocalWork work(12'345'678, 99'990'000'000'000);
  work.begin(LocalWork::Phase::assembling);
  work.end_piece(98'760'000'000'000);
  for (int i = 0; i < 12'345'677; ++i) work.copy_one();
  EXPECT_LE(work.text().size(), 100U) << work.text();
}

class ProgressLinesTest : public testing::Test {
 protected:
  ProgressLines::Due at(std::chrono::seconds second, PieceNumber in_place,
                        const std::string& work) {
    return lines_.due(begun_ + second, in_place, work);
  }
  Instant begun_{};
  ProgressLines lines_{begun_};
};

TEST_F(ProgressLinesTest, ThePiecesComeEvery30Seconds) {
  EXPECT_FALSE(at(29s, 0, "").pieces);
  EXPECT_TRUE(at(30s, 1, "").pieces);
  EXPECT_FALSE(at(31s, 2, "").pieces);
  EXPECT_TRUE(at(61s, 3, "").pieces);
}

TEST_F(ProgressLinesTest, WorkShowsOnlyWhileNoPieceMoves) {
  EXPECT_FALSE(at(9s, 0, "w").work);
  EXPECT_FALSE(at(10s, 1, "w").work) << "a piece is in place";
  EXPECT_FALSE(at(19s, 1, "w").work);
  EXPECT_TRUE(at(20s, 1, "w").work);
  EXPECT_FALSE(at(29s, 1, "").work) << "the work is over";
  EXPECT_FALSE(at(38s, 1, "w").work);
  EXPECT_TRUE(at(39s, 1, "w").work);
}

TEST_F(ProgressLinesTest, WorkIsLoggedEvery10SecondsAndShownEvery15) {
  int logged = 0;
  std::vector<std::chrono::seconds> shown;
  for (auto second = 0s; second < 60s; ++second) {
    const auto due = at(second, 0, "w");
    if (due.work) ++logged;
    if (due.shown) {
      EXPECT_EQ(*due.shown, "w");
      shown.push_back(second);
    }
  }
  EXPECT_EQ(logged, 5);
  EXPECT_EQ(shown, (std::vector<std::chrono::seconds>{10s, 30s, 50s}));
  EXPECT_EQ(at(60s, 1, "w").shown, "") << "status shows it no more";
  EXPECT_FALSE(at(61s, 1, "").shown);
  EXPECT_LE(lines_.next(), begun_ + 71s);
}

}  // namespace
}  // namespace libsync
