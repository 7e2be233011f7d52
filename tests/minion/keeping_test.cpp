// How long a replaced version stays, and which ones go when the disk lacks room.

#include "minion/keeping.h"

#include <gmock/gmock.h>

namespace libsync {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Keeping, IsDecidedByTheOptionTheAgeTheRunAndTheHook) {
  struct Row {
    std::optional<Duration> keep;
    ReplacedFacts facts;
    bool stays;
  };
  const std::vector<Row> rows = {
      {std::nullopt, {.age = 0s}, true},
      {std::nullopt, {.age = 10min - 1ms}, true},
      {std::nullopt, {.age = 10min}, false},
      {std::nullopt, {.age = 1s, .is_run_over = true}, false},
      {std::nullopt, {.age = 1s, .is_run_over = true, .is_hook_owed = true}, true},
      {std::nullopt, {.age = 24h, .is_run_over = true, .is_hook_owed = true}, true},
      {0s, {.age = 0s}, false},
      {0s, {.age = 0s, .is_hook_owed = true}, true},
      {30s, {.age = 29s, .is_run_over = true}, true},
      {30s, {.age = 30s}, false},
      {2h, {.age = 1h, .is_run_over = true}, true},
      {2h, {.age = 2h}, false},
      // The clock went back.
      {std::nullopt, {.age = -5s}, true},
      {std::nullopt, {.age = -10min}, false},
      {30s, {.age = -24h}, false},
  };
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(is_kept(rows[i].keep, rows[i].facts), rows[i].stays) << "row " << i;
  }
}

TEST(Keeping, TheOldestGoFirstAndNoMoreThanNeeded) {
  const std::chrono::system_clock::time_point now(1000h);
  const std::vector<ReplacedBytes> kept = {{100, {}}, {50, now - 9min}, {200, now - 5min}};
  EXPECT_THAT(choose_what_goes(0, kept).value(), IsEmpty());
  EXPECT_THAT(choose_what_goes(50, kept).value(), ElementsAre(1));
  EXPECT_THAT(choose_what_goes(51, kept).value(), ElementsAre(1, 2));
  EXPECT_THAT(choose_what_goes(350, kept).value(), ElementsAre(1, 2, 0));
  EXPECT_EQ(choose_what_goes(351, kept), std::nullopt) << "none goes in vain";
  EXPECT_EQ(choose_what_goes(1, {}), std::nullopt);
}

}  // namespace
}  // namespace libsync
