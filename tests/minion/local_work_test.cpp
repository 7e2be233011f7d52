#include "minion/local_work.h"

#include <gtest/gtest.h>

#include "minion/progress_lines.h"

namespace libsync {
namespace {

using namespace std::chrono_literals;

TEST(LocalWork, IsCountedForPeople) {
  LocalWork work(100'000);
  EXPECT_EQ(work.text(), "");
  work.begin(LocalWork::Phase::reading);
  EXPECT_EQ(work.text(), "comparing 100,000 published files");
  work.begin(LocalWork::Phase::making);
  EXPECT_EQ(work.text(), "making the folders for 100,000 files");
  work.begin(LocalWork::Phase::assembling);
  for (int i = 0; i < 41'000; ++i) work.copy_one();
  work.complete_one();
  EXPECT_EQ(work.text(), "assembling 41,000 of 100,000 files");
  for (int i = 0; i < 59'000; ++i) work.copy_one();
  EXPECT_EQ(work.text(), "completing 1 of 100,000 files");
  work.begin(LocalWork::Phase::syncing);
  EXPECT_EQ(work.text(), "waiting for the disk to write 100,000 files");
  work.begin(LocalWork::Phase::none);
  EXPECT_EQ(work.text(), "");
  LocalWork small(7);
  small.begin(LocalWork::Phase::assembling);
  for (int i = 0; i < 9; ++i) small.copy_one();
  for (int i = 0; i < 9; ++i) small.complete_one();
  EXPECT_EQ(small.text(), "completing 7 of 7 files");
  small.restart();
  EXPECT_EQ(small.text(), "assembling 0 of 7 files");
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
