// The clock of Redis steps during a run, and a caller passes a time.

#include <gmock/gmock.h>

#include "function_caller.h"

namespace libsync::test {
namespace {

using testing::ElementsAre;

constexpr std::int64_t kLeaseMs = 45'000;
constexpr std::int64_t kHourMs = 3'600'000;
constexpr auto kYes = FunctionCaller::Last::yes;

class ClockFunctions : public testing::TestWithParam<std::int64_t> {
 protected:
  ClockFunctions() {
    f.load(CallersTime::clock);
    f.begin(run, 4, kOrigin, 2, {"10.0.0.5", "10.0.0.6"});
    f.stage(run, {0, 1, 2, 3}, kYes);
  }
  void step_clock() { f.now += GetParam(); }
  /// Lets time pass as in a run: the master calls every 10 s.
  void pass(std::int64_t ms) {
    for (std::int64_t left = ms; left > 0; left -= 10'000) {
      f.now += std::min<std::int64_t>(left, 10'000);
      f("admit", {run});
    }
  }
  /// The age of the run, as the master sees it.
  std::int64_t age() {
    const auto all = f("watch");
    return std::stoll(all.at(2)) - std::stoll(all.at(8));
  }

  TestRedis redis;
  FunctionCaller f{redis};
  const std::string run = run_id(1);
  const std::string kOrigin = "10.0.0.1";
  const std::string none = bits(4, {});
};

INSTANTIATE_TEST_SUITE_P(By, ClockFunctions,
                         testing::Values(-kHourMs, kHourMs, -24 * kHourMs, 24 * kHourMs));

TEST_P(ClockFunctions, AStepChangesTheAgeOfTheRunByOneLeaseAtMost) {
  pass(20'000);
  step_clock();
  EXPECT_LE(age(), 20'000 + kLeaseMs);
  EXPECT_GE(age(), 20'000);
  pass(20'000);
  EXPECT_LE(age(), 40'000 + kLeaseMs);
  EXPECT_GE(age(), 30'000) << "the time up to the first call after the step is lost";
}

TEST_P(ClockFunctions, ALeaseLapsesWithinOneLeaseOfAStep) {
  ASSERT_EQ(f.claim(run, "10.0.0.5", token(1), none, none).front(), "CLAIMED");
  step_clock();
  pass(kLeaseMs + 10'000);
  f.claim(run, "10.0.0.6", token(2), none, none);
  EXPECT_EQ(f.one({"HEXISTS", "sync:claims", token(1)}), "0");
}

TEST_P(ClockFunctions, AQuarantineEndsWithinOneLeaseOfItsTime) {
  f.ask({"ZADD", "sync:quarantine", std::to_string(f.now + 60'000), "10.0.0.9"});
  step_clock();
  pass(70'000);
  f.hold(run, "10.0.0.5", none);
  EXPECT_EQ(f.one({"ZCARD", "sync:quarantine"}), "0");
}

TEST_P(ClockFunctions, NoHostIsSilentBecauseOfAStep) {
  f("expect", {run, "1", "add"});
  for (const auto* const host : {"10.0.0.5", "10.0.0.6"}) f.hold(run, host, none);
  pass(10'000);
  step_clock();
  f("admit", {run});
  EXPECT_THAT(f.members("sync:expected"), ElementsAre("10.0.0.5", "10.0.0.6"));
}

TEST_P(ClockFunctions, HostsSeenBeforeAStepAreNotSeenForLongerByTheNextRun) {
  f("join", {"10.0.0.5", "1", "0", "0"});
  f("end", {run, "complete", "", "1"});
  step_clock();
  f.begin(run_id(2), 4);
  EXPECT_LE(std::stod(f.one({"ZSCORE", "sync:minions", "10.0.0.5"})), static_cast<double>(f.now));
}

TEST(CallersTimeTest, TheFunctionsOfTheProgramsIgnoreIt) {
  TestRedis redis;
  FunctionCaller f(redis);
  ASSERT_EQ(f.one({"FUNCTION", "LOAD", "REPLACE", std::string(functions_source())}), "libsync1");
  f.now = 4'102'444'800'000;  // The year 2100.
  f("join", {"10.0.0.5", "1", "0", "0"});
  EXPECT_LT(std::stod(f.one({"ZSCORE", "sync:minions", "10.0.0.5"})), 4e12);
}

}  // namespace
}  // namespace libsync::test
