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

TEST(Linger, GoesOnToTheBoundaryAfterWorkThatWasLate) {
  for (const auto& row : std::vector<EndRow>{{0s, 10s},
                                             {1s, 10s},
                                             {9999ms, 10s},
                                             {10s, 20s},
                                             {10001ms, 20s},
                                             {19999ms, 20s},
                                             {20s, 30s},
                                             {1h, 3610s},
                                             {3599s, 1h}}) {
    Linger linger(kStart, 10s);
    linger.work_ended(kStart + row.work_ended);
    EXPECT_EQ(linger.end(), kStart + row.end) << row.work_ended.count();
    EXPECT_FALSE(linger.is_over(kStart + row.work_ended));
  }
}

TEST(Linger, KeepsToItsBoundariesHoweverOftenThereIsWork) {
  Linger linger(kStart, 10s);
  for (const auto ended : {3s, 12s, 13s, 37s, 39s}) linger.work_ended(kStart + ended);
  EXPECT_EQ(linger.end(), kStart + 40s);
  linger.work_ended(kStart + 5s);
  EXPECT_EQ(linger.end(), kStart + 40s);
}

}  // namespace
}  // namespace libsync
