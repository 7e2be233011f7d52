// The hosts that a run waits for: the rules of expected.lua, and the hosts that people see.

#include <gmock/gmock.h>

#include "function_caller.h"
#include "redis/coordinator.h"

namespace libsync::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto kYes = FunctionCaller::Last::yes;
constexpr std::int64_t kSilentMs = 30'000;
constexpr std::int64_t kSeenMs = 600'000;
constexpr std::int64_t kJudgedEveryMs = 10'000;

class ExpectedFunctions : public testing::Test {
 protected:
  void begin(const std::string& rule, const std::vector<std::string>& hosts = {}) {
    std::vector<std::string> arguments{
        run,   "/data/model.1", "model.1", std::string(32, 'f'), "40", "10", "4",    digest(0),
        "100", "10.0.0.1",      "master",  std::string(32, 'a'), "2",  "0",  "auto", rule};
    arguments.insert(arguments.end(), hosts.begin(), hosts.end());
    EXPECT_EQ(f("begin", arguments).front(), "BEGUN");
    f.stage(run, {0, 1, 2, 3}, kYes);
  }
  void join(const std::string& host) { f("join", {host, "1", "0", "0"}); }
  void finish(const std::string& host) {
    EXPECT_EQ(f.finish(run, host, digest(0)), Texts{"FINISHED"});
  }
  void leave(const std::string& host) { f("leave", {run, host, "claims", ""}); }
  void admit() { EXPECT_EQ(f("admit", {run}), (Texts{"ADMITTED", "0"})); }
  /// Lets time pass in which the master judges and nobody else calls.
  void pass(std::int64_t ms) {
    f.now += ms;
    admit();
  }
  /// Finished and expected hosts, as the master sees them.
  std::string counts() {
    const auto all = f("watch");
    return all.at(3) + " of " + all.at(4);
  }
  /// Ends the run as the master does. Returns the missing hosts.
  Texts end() {
    const auto ended = coordinator.end(RunId::parse(run).value(), "complete", "", TaskAfter::goes);
    return std::get<Ended>(ended).missing;
  }
  void expect(const Expected& hosts) {
    const auto outcome = coordinator.expect(RunId::parse(run).value(), hosts);
    EXPECT_TRUE(std::holds_alternative<Done>(outcome));
  }
  Texts missing() { return coordinator.awaited()->missing; }
  Texts silent() { return coordinator.awaited()->silent; }

  TestRedis redis;
  FunctionCaller f{redis};
  RedisCoordinator coordinator{
      {.server = redis.server(), .time = [this] { return std::to_string(f.now); }}};
  const std::string run = run_id(1);
};

TEST_F(ExpectedFunctions, WithAnInventoryAHostThatIsNotNamedNeitherHoldsUpTheRunNorCounts) {
  begin("named", {"10.0.0.5", "10.0.0.6"});
  join("10.0.0.9");
  EXPECT_EQ(counts(), "0 of 2") << "before the master has judged it";
  finish("10.0.0.5");
  finish("10.0.0.9");
  admit();
  EXPECT_EQ(counts(), "1 of 2");
  EXPECT_THAT(missing(), ElementsAre("10.0.0.6"));
  join("10.0.0.8");
  admit();
  finish("10.0.0.6");
  EXPECT_EQ(counts(), "2 of 2");
  EXPECT_THAT(missing(), IsEmpty());
  EXPECT_EQ(f("end", {run, "complete", "", "1"}), (Texts{"ENDED", "2", "2", "40", "0"}));
  EXPECT_THAT(f.ask({"HMGET", "sync:last", "finished", "expected"}), ElementsAre("2", "2"));
}

TEST_F(ExpectedFunctions, WithAnInventoryASilentHostIsWaitedFor) {
  begin("named", {"10.0.0.5", "10.0.0.6"});
  join("10.0.0.5");
  finish("10.0.0.5");
  pass(2 * kSeenMs);
  EXPECT_EQ(counts(), "1 of 2");
}

TEST_F(ExpectedFunctions, WithANumberTheHostsMayBeAny) {
  begin("2");
  EXPECT_EQ(counts(), "0 of 2");
  for (const auto* const host : {"10.0.0.7", "10.0.0.8"}) {
    join(host);
    finish(host);
  }
  EXPECT_EQ(counts(), "2 of 2");
}

TEST_F(ExpectedFunctions, BeyondTheNumberAHostCountsUntilItIsSilentInItsTick) {
  begin("2");
  for (const auto* const host : {"10.0.0.7", "10.0.0.8", "10.0.0.9"}) join(host);
  admit();
  finish("10.0.0.7");
  finish("10.0.0.8");
  f.hold(run, "10.0.0.9", bits(4, {0}));
  pass(kSilentMs);
  EXPECT_EQ(counts(), "2 of 3");
  pass(kJudgedEveryMs);
  EXPECT_EQ(counts(), "2 of 2");
  EXPECT_THAT(missing(), ElementsAre("10.0.0.9"));
  EXPECT_THAT(end(), ElementsAre("10.0.0.9"));
}

TEST_F(ExpectedFunctions, BeyondTheNumberAHostBetweenTwoTicksCountsForTenMinutes) {
  begin("1");
  for (const auto* const host : {"10.0.0.7", "10.0.0.9"}) join(host);
  finish("10.0.0.7");
  leave("10.0.0.9");
  pass(kSeenMs);
  EXPECT_EQ(counts(), "1 of 2");
  pass(kJudgedEveryMs);
  EXPECT_EQ(counts(), "1 of 1");
}

TEST_F(ExpectedFunctions, ASilentHostThatIsBackCountsAgain) {
  begin("1");
  for (const auto* const host : {"10.0.0.7", "10.0.0.9"}) join(host);
  pass(kSilentMs + 1);
  EXPECT_EQ(f.members("sync:others"), (Texts{"10.0.0.7", "10.0.0.9"}));
  f.hold(run, "10.0.0.7", bits(4, {0}));
  join("10.0.0.9");
  pass(kJudgedEveryMs);
  EXPECT_EQ(f.members("sync:expected"), (Texts{"10.0.0.7", "10.0.0.9"}));
  EXPECT_THAT(f.members("sync:others"), IsEmpty());
}

TEST_F(ExpectedFunctions, ASilentHostThatHasFinishedCounts) {
  begin("2");
  for (const auto* const host : {"10.0.0.7", "10.0.0.8", "10.0.0.9"}) join(host);
  finish("10.0.0.7");
  pass(2 * kSeenMs);
  EXPECT_EQ(f.members("sync:expected"), Texts{"10.0.0.7"});
  finish("10.0.0.8");
  admit();
  EXPECT_EQ(counts(), "2 of 2");
  EXPECT_THAT(missing(), ElementsAre("10.0.0.9"));
}

TEST_F(ExpectedFunctions, WithoutEitherTheHostsSeenLatelyAndThoseThatJoinCount) {
  join("10.0.0.4");
  f.now += kSeenMs + 1;
  join("10.0.0.5");
  begin("0");
  EXPECT_EQ(counts(), "0 of 1");
  EXPECT_THAT(silent(), ElementsAre("10.0.0.4"));
  join("10.0.0.6");
  EXPECT_EQ(counts(), "0 of 2");
  finish("10.0.0.6");
  f.now += 1;
  EXPECT_EQ(counts(), "1 of 2");
}

TEST_F(ExpectedFunctions, AHostThatWasNeverNamedHoldsUpTheRunForTenSilentMinutes) {
  for (const auto* const host : {"10.0.0.5", "10.0.0.6"}) join(host);
  begin("0");
  finish("10.0.0.5");
  pass(kSeenMs);
  EXPECT_EQ(counts(), "1 of 2");
  pass(kJudgedEveryMs);
  EXPECT_EQ(counts(), "1 of 1");
  EXPECT_THAT(missing(), ElementsAre("10.0.0.6"));
  EXPECT_THAT(silent(), IsEmpty()) << "it is missing";
  EXPECT_THAT(end(), ElementsAre("10.0.0.6"));
}

TEST_F(ExpectedFunctions, ANewNumberCountsAtOnce) {
  begin("4");
  for (const auto* const host : {"10.0.0.5", "10.0.0.6", "10.0.0.7"}) {
    join(host);
    finish(host);
  }
  EXPECT_EQ(counts(), "3 of 4");
  expect({.count = 3});
  EXPECT_EQ(counts(), "3 of 3");
}

TEST_F(ExpectedFunctions, ANewInventoryCountsAtOnce) {
  begin("named", {"10.0.0.5", "10.0.0.6"});
  join("10.0.0.5");
  f.hold(run, "10.0.0.5", bits(4, {0}));
  finish("10.0.0.7");
  expect({.hosts = {"10.0.0.6", "10.0.0.7"}, .unnamed = Unnamed::does_not_count});
  EXPECT_EQ(counts(), "1 of 2");
  EXPECT_THAT(missing(), ElementsAre("10.0.0.6"));
}

TEST_F(ExpectedFunctions, ANumberReplacesAnInventory) {
  begin("named", {"10.0.0.5", "10.0.0.6"});
  finish("10.0.0.7");
  finish("10.0.0.5");
  admit();
  EXPECT_EQ(counts(), "1 of 2");
  expect({.count = 2});
  admit();
  EXPECT_EQ(counts(), "2 of 2") << "nobody has seen 10.0.0.6";
}

TEST_F(ExpectedFunctions, WhatIsExpectedAlreadyStays) {
  for (const auto* const host : {"10.0.0.5", "10.0.0.6"}) join(host);
  begin("0");
  finish("10.0.0.5");
  pass(kSeenMs + 1);
  EXPECT_EQ(counts(), "1 of 1");
  expect({.hosts = {"10.0.0.5", "10.0.0.6"}});
  EXPECT_EQ(counts(), "1 of 1") << "the silent host stays away";
  EXPECT_EQ(f("expect", {run_id(9), "7", "add"}), Texts{"STALE"});
}

}  // namespace
}  // namespace libsync::test
