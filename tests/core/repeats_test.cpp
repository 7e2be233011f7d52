#include "libsync/core/repeats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace libsync {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

const Repeats::Time kBegun{};

TEST(Repeats, ALineIsLoggedOnceAndThenCounted) {
  Repeats repeats;
  EXPECT_THAT(repeats.on("no route", kBegun), ElementsAre("no route"));
  for (auto second = 5s; second < 60s; second += 5s) {
    EXPECT_THAT(repeats.on("no route", kBegun + second), IsEmpty());
  }
  EXPECT_THAT(repeats.on("another", kBegun + 59s), ElementsAre("another"));
  EXPECT_THAT(repeats.on("no route", kBegun + 60s),
              ElementsAre("no route … 12 times more in 60 s"));
  EXPECT_THAT(repeats.on("no route", kBegun + 65s), IsEmpty());
  EXPECT_THAT(repeats.finish(), ElementsAre("no route … 1 times more in 5 s"));
  EXPECT_THAT(repeats.finish(), IsEmpty());
}

TEST(Repeats, ALineThatWasQuietForAMinuteIsNewAgain) {
  Repeats repeats;
  static_cast<void>(repeats.on("x", kBegun));
  static_cast<void>(repeats.on("x", kBegun + 3s));
  EXPECT_THAT(repeats.on("x", kBegun + 1h), ElementsAre("x … 1 times more in 3 s", "x"));
  EXPECT_THAT(repeats.on("x", kBegun + 2h), ElementsAre("x"));
  EXPECT_THAT(repeats.on("x", kBegun), ElementsAre("x")) << "a clock that went back";
  EXPECT_THAT(repeats.finish(), IsEmpty());
}

TEST(Repeats, ForgetsTheOldestOfManyLinesWithItsCount) {
  Repeats repeats;
  static_cast<void>(repeats.on("first", kBegun));
  static_cast<void>(repeats.on("first", kBegun + 1s));
  for (int i = 1; i < 200; ++i) {
    static_cast<void>(repeats.on(std::to_string(i), kBegun + 2s));
  }
  EXPECT_THAT(repeats.on("last", kBegun + 3s), ElementsAre("first … 1 times more in 1 s", "last"));
  EXPECT_THAT(repeats.on("199", kBegun + 4s), IsEmpty());
}

}  // namespace
}  // namespace libsync
