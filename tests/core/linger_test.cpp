#include "libsync/core/linger.h"

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

namespace libsync {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{std::chrono::hours(5)};

TEST(Linger, IsOverAtItsEndToTheMoment) {
  const Linger linger(kStart, 115s);
  EXPECT_EQ(linger.end(), kStart + 115s);
  EXPECT_FALSE(linger.is_over(kStart));
  EXPECT_FALSE(linger.is_over(kStart + 115s - 1ns));
  EXPECT_TRUE(linger.is_over(kStart + 115s));
  EXPECT_TRUE(linger.is_over(kStart + 116s));
}

TEST(Linger, OfZeroIsOnePass) {
  Linger linger(kStart, 0s);
  EXPECT_TRUE(linger.is_over(kStart));
  linger.work_ended(kStart + 1h);
  EXPECT_EQ(linger.end(), kStart);
  EXPECT_TRUE(linger.is_over(kStart + 1h));
}

struct EndRow {
  Duration work_ended;  // After the start.
  Duration end;
};

// Cron starts a tick every 120 s. The one that has been at work ends 5 s before one of them.
TEST(Linger, EndsJustBeforeATickOfCronAfterWorkThatWasLate) {
  for (const auto& row : std::vector<EndRow>{{0s, 115s},
                                             {114999ms, 115s},
                                             {115s, 235s},
                                             {118s, 235s},
                                             {121s, 235s},
                                             {234999ms, 235s},
                                             {235s, 355s},
                                             {1h, 3715s},
                                             {3595s, 3715s},
                                             {25h, 90115s}}) {
    Linger linger(kStart, 115s);
    linger.work_ended(kStart + row.work_ended);
    EXPECT_EQ(linger.end(), kStart + row.end) << row.work_ended.count();
    EXPECT_FALSE(linger.is_over(kStart + row.work_ended));
  }
}

TEST(Linger, KeepsToTheTicksOfCronHoweverOftenThereIsWork) {
  Linger linger(kStart, 115s);
  for (const auto ended : {30s, 120s, 130s, 470s, 490s}) linger.work_ended(kStart + ended);
  EXPECT_EQ(linger.end(), kStart + 595s);
  linger.work_ended(kStart + 50s);
  EXPECT_EQ(linger.end(), kStart + 595s);
}

}  // namespace
}  // namespace libsync
