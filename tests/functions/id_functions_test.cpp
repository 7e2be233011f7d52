// Which host has which address: the rules of ids.lua.

#include <gmock/gmock.h>

#include "function_caller.h"

namespace libsync::test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr auto kYes = FunctionCaller::Last::yes;
constexpr std::int64_t kSilentMs = 30'000;
constexpr std::int64_t kBetweenTicksMs = 150'000;
constexpr std::int64_t kForgottenMs = 604'800'000;
constexpr std::int64_t kJudgedEveryMs = 10'000;
const std::string kOld = "10.0.0.5";
const std::string kNew = "10.0.0.6";

std::string id(char digit) { return std::string(32, digit); }

class IdFunctions : public testing::Test {
 protected:
  void begin(const std::string& rule, const std::vector<std::string>& hosts = {},
             const std::string& spread = "claims", const std::string& number = "") {
    if (!number.empty()) run = number;
    std::vector<std::string> arguments{
        run,   "/data/model.1", "model.1", std::string(32, 'f'), "40", "10", "4",    digest(0),
        "100", "10.0.0.1",      "master",  std::string(32, 'a'), "2",  "0",  spread, rule};
    arguments.insert(arguments.end(), hosts.begin(), hosts.end());
    EXPECT_EQ(f("begin", arguments).front(), "BEGUN");
    f.stage(run, {0, 1, 2, 3}, kYes);
  }
  void end() { EXPECT_EQ(f("end", {run, "complete", "", "1"}).front(), "ENDED"); }
  /// The first two words of the answer.
  std::string join(const std::string& host, const std::string& with, unsigned stays_ms = 24'000) {
    const auto answer = f("join", {host, "1", "1", std::to_string(stays_ms), with});
    if (answer.front() == "RUN" || answer.front() == "NONE") return answer.front();
    return answer.front() + (answer.size() > 1 ? " " + answer.at(1) : "");
  }
  void leave(const std::string& host) { f("leave", {run, host, "claims", ""}); }
  void finish(const std::string& host) {
    EXPECT_EQ(f.finish(run, host, digest(0)), Texts{"FINISHED"});
  }
  void admit() { EXPECT_EQ(f("admit", {run}), (Texts{"ADMITTED", "0"})); }
  void pass(std::int64_t ms) {
    f.now += ms;
    admit();
  }
  std::string counts() {
    admit();
    const auto all = f("watch");
    return all.at(3) + " of " + all.at(4);
  }
  std::string field(const std::string& name) { return f.one({"HGET", "sync:ids", name}); }

  TestRedis redis;
  FunctionCaller f{redis};
  std::string run = run_id(1);
};

// --- One address, two ids ---

TEST_F(IdFunctions, ASecondHostWithTheAddressOfALiveOneIsRefusedAndChangesNothing) {
  begin("1");
  EXPECT_EQ(join(kOld, id('a')), "RUN");
  ASSERT_EQ(f.claim(run, kOld, token(1), bits(4, {}), bits(4, {})).front(), "CLAIMED");
  const auto seen = f.one({"ZSCORE", "sync:minions", kOld});
  f.now += 7000;
  EXPECT_EQ(join(kOld, id('b')), "OCCUPIED 7000");
  EXPECT_EQ(f.one({"ZSCORE", "sync:minions", kOld}), seen);
  EXPECT_EQ(f.one({"HEXISTS", "sync:claims", token(1)}), "1") << "the claims of the first stay";
  EXPECT_EQ(field(kOld), id('a'));
  EXPECT_EQ(join(kOld, id('a')), "RUN");
}

TEST_F(IdFunctions, BetweenTwoTicksAHostKeepsItsAddress) {
  EXPECT_EQ(join(kOld, id('a'), 0), "NONE");
  f.now += kBetweenTicksMs;
  EXPECT_EQ(join(kOld, id('b')), "OCCUPIED 150000");
  f.now += 1;
  EXPECT_EQ(join(kOld, id('b')), "NONE");
  EXPECT_EQ(field(kOld), id('b'));
  EXPECT_EQ(field(id('a')), "(nil)");
  EXPECT_EQ(join(kOld, id('a')), "OCCUPIED 0") << "the address belongs to the other one now";
}

TEST_F(IdFunctions, AHostWhoseTickDiedInTheRunKeepsItsAddressFor30Seconds) {
  begin("1");
  join(kOld, id('a'));
  f.now += kSilentMs;
  EXPECT_EQ(join(kOld, id('b')), "OCCUPIED 30000");
  f.now += 1;
  EXPECT_EQ(join(kOld, id('b')), "RUN");
  EXPECT_EQ(counts(), "0 of 1");
}

TEST_F(IdFunctions, AHostThatLeftOrFinishedKeepsItsAddressUntilItsNextTick) {
  begin("2");
  join(kOld, id('a'));
  leave(kOld);
  join(kNew, id('b'));
  finish(kNew);
  f.now += kSilentMs + 1;
  EXPECT_EQ(join(kOld, id('c')), "OCCUPIED 30001");
  EXPECT_EQ(join(kNew, id('c')), "OCCUPIED 30001");
}

// The master serves under the address of the origin, and never joins.
TEST_F(IdFunctions, TheOriginsOwnMinionIsNotRefused) {
  begin("1");
  EXPECT_EQ(join("10.0.0.1", id('a')), "RUN");
  EXPECT_EQ(f.claim(run, kOld, token(1), bits(4, {}), bits(4, {})).at(2), "10.0.0.1");
}

// --- One id, two addresses ---

TEST_F(IdFunctions, AnIdWhoseTickIsAtWorkElsewhereIsACopy) {
  join(kOld, id('a'));
  f.now += 20'000;
  EXPECT_EQ(join(kNew, id('a')), "COPIED " + kOld) << "it lingers";
  begin("2");
  EXPECT_EQ(join(kOld, id('a')), "RUN");
  f.now += kSilentMs;
  EXPECT_EQ(join(kNew, id('a')), "COPIED " + kOld) << "it is in the run";
  EXPECT_EQ(f.members("sync:ticking"), Texts{kOld});
  EXPECT_EQ(join(kNew, id('b')), "RUN");
  EXPECT_EQ(counts(), "0 of 2");
}

TEST_F(IdFunctions, OfTwoCopiesThatNeverMeetOneHasAnotherIdAfterTheNextTick) {
  join(kOld, id('a'), 0);
  f.now += 1000;
  EXPECT_EQ(join(kNew, id('a'), 0), "NONE") << "as if it had moved";
  f.now += 60'000;
  EXPECT_EQ(join(kOld, id('a'), 0), "COPIED " + kNew);
  EXPECT_EQ(join(kOld, id('b'), 0), "NONE");
  f.now += 60'000;
  EXPECT_EQ(join(kNew, id('a'), 0), "NONE");
  begin("0");
  EXPECT_EQ(counts(), "0 of 2");
}

TEST_F(IdFunctions, AHostThatMovesBackToAnAddressOfItsOwnHasMoved) {
  join(kOld, id('a'), 0);
  join(kNew, id('a'), 0);
  f.now += kBetweenTicksMs + 1;
  EXPECT_EQ(join(kOld, id('a'), 0), "NONE");
  EXPECT_EQ(field(id('a')), kOld);
}

class MovedHost : public IdFunctions, public testing::WithParamInterface<std::string> {};

INSTANTIATE_TEST_SUITE_P(Of, MovedHost, testing::Values("claims", "trees"));

// It dies with its claim, and comes back with another address.
TEST_P(MovedHost, ReplacesTheOldAddressInTheRun) {
  for (const auto& host : {kOld, std::string("10.0.0.7")}) {
    join(host, host == kOld ? id('a') : id('c'));
  }
  begin("0", {}, GetParam());
  f.now += 1000;
  join(kOld, id('a'));
  join("10.0.0.7", id('c'));
  f.hold(run, kOld, bits(4, {0}), 2);
  ASSERT_EQ(f.claim(run, kOld, token(1), bits(4, {0}), bits(4, {0})).front(), "CLAIMED");
  f.ask({"HSET", "sync:errors", kOld, "the disk is full"});
  EXPECT_EQ(counts(), "0 of 2");
  f.now += kSilentMs + 1;
  EXPECT_EQ(join(kNew, id('a')), "RUN");
  EXPECT_EQ(counts(), "0 of 2");
  EXPECT_EQ(f.members("sync:expected"), (Texts{kNew, "10.0.0.7"}));
  EXPECT_EQ(f.one({"HEXISTS", "sync:claims", token(1)}), "0");
  EXPECT_EQ(f.one({"HGET", "sync:have", kOld}), bits(4, {}));
  EXPECT_EQ(f.one({"HEXISTS", "sync:seat_of", kOld}), "0");
  EXPECT_EQ(f.one({"ZSCORE", "sync:minions", kOld}), "(nil)");
  EXPECT_EQ(f.one({"ZSCORE", "sync:lingering", kOld}), "(nil)");
  for (const auto* const key : {"synchronize_queue", "running_queue", "finished_queue",
                                "sync:ticking", "sync:others", "sync:joined"}) {
    EXPECT_THAT(f.members(key), Not(Contains(kOld))) << key;
  }
  for (const auto& host : {kNew, std::string("10.0.0.7")}) finish(host);
  EXPECT_EQ(counts(), "2 of 2");
  EXPECT_THAT(f("awaited"), ElementsAre("AWAITED", run, "2", "2", "0"));
  for (const auto& text : f("status")) EXPECT_THAT(text, Not(HasSubstr(kOld)));
  EXPECT_THAT(f("end", {run, "complete", "", "1"}), ElementsAre("ENDED", "2", "2", "40", "31001"));
}

TEST_F(IdFunctions, AFinishedHostThatMovesFinishesAtItsNewAddress) {
  begin("2");
  join(kOld, id('a'));
  finish(kOld);
  EXPECT_EQ(join(kOld, id('a'), 0), "RUN");  // Its tick ends.
  f.now += 5000;
  EXPECT_EQ(join(kNew, id('a')), "RUN");
  EXPECT_EQ(counts(), "0 of 2");
  finish(kNew);
  EXPECT_EQ(counts(), "1 of 2");
}

TEST_F(IdFunctions, AHostThatLeftTheRunMovesAtOnce) {
  begin("1");
  join(kOld, id('a'));
  leave(kOld);
  f.now += 1;
  EXPECT_EQ(join(kNew, id('a')), "RUN");
  EXPECT_EQ(counts(), "0 of 1");
}

TEST_F(IdFunctions, AHostThatMovesBetweenTwoRunsIsExpectedOnce) {
  join(kOld, id('a'));
  join(kOld, id('a'), 0);  // Its tick ends.
  EXPECT_EQ(join(kNew, id('a')), "NONE");
  begin("0");
  EXPECT_EQ(f.members("sync:expected"), Texts{kNew});
}

TEST_F(IdFunctions, AnInventoryKeepsItsAddressesAndWhatFinishedThere) {
  begin("named", {kOld, "10.0.0.7"});
  join(kOld, id('a'));
  finish(kOld);
  f.now += kSilentMs + 1;
  join(kNew, id('a'));
  EXPECT_EQ(counts(), "1 of 2");
  EXPECT_EQ(f.members("sync:expected"), (Texts{kOld, "10.0.0.7"}));
  finish("10.0.0.7");
  EXPECT_EQ(counts(), "2 of 2");
}

// The disk of the master names the hosts of the beginning.
TEST_F(IdFunctions, TheMasterDoesNotExpectAMovedHostAgain) {
  join(kOld, id('a'));
  begin("0");
  leave(kOld);
  join(kNew, id('a'));
  EXPECT_EQ(counts(), "0 of 1");
  std::string digests;
  for (unsigned piece = 0; piece < 4; ++piece) digests += digest(piece);
  EXPECT_EQ(
      f("repair", {run, run_id(2), "1", "/data/model.1", "model.1", std::string(32, 'f'), "40",
                   "10", "4", digest(0), "100", std::string(32, 'a'), "0", digests, kOld}),
      (Texts{"REPAIRED", run}));
  f("expect", {run, "0", kOld});
  pass(kJudgedEveryMs + 1);
  EXPECT_EQ(f.members("sync:expected"), Texts{kNew});
  EXPECT_EQ(counts(), "0 of 1");
}

TEST_F(IdFunctions, AnAddressThatAHostLeftIsFreeForAnother) {
  join(kOld, id('a'), 0);
  join(kNew, id('a'));
  EXPECT_EQ(join(kOld, id('b')), "NONE");
  begin("0");
  EXPECT_EQ(f.members("sync:expected"), (Texts{kOld, kNew}));
}

// --- The key ---

TEST_F(IdFunctions, AHostIsForgottenWithItsId) {
  join(kOld, id('a'), 0);
  f.now += kForgottenMs + 1;
  join(kNew, id('b'), 0);
  begin("0");
  EXPECT_EQ(field(kOld), "(nil)");
  EXPECT_EQ(field(id('a')), "(nil)");
  EXPECT_EQ(field(kNew), id('b'));
}

TEST_F(IdFunctions, WhatOtherProgramsWroteGoesWithTheNextRun) {
  join(kOld, id('a'), 0);
  RedisCommand command{"HSET", "sync:ids"};
  for (int i = 0; i < 1100; ++i) {
    command.push_back("stray" + std::to_string(i));
    command.emplace_back("x");
  }
  f.ask(command);
  begin("0");
  EXPECT_EQ(f.one({"EXISTS", "sync:ids"}), "0");
  EXPECT_EQ(join(kOld, id('a')), "RUN");
  EXPECT_EQ(f.one({"HLEN", "sync:ids"}), "2");
}

TEST_F(IdFunctions, ALostKeyCostsThatIdsAreLearntAgain) {
  begin("2");
  for (const auto* const key : {"sync:ids", "sync:minions"}) {
    join(kOld, id('a'));
    f.ask({"DEL", key});
    EXPECT_EQ(join(kOld, id('a')), "RUN");
    EXPECT_THAT(join(kOld, id('b')), HasSubstr("OCCUPIED")) << key;
  }
  f.ask({"DEL", "sync:minions"});
  EXPECT_EQ(join(kOld, id('b')), "OCCUPIED 0") << "a host that Redis has lost counts as seen now";
}

TEST_F(IdFunctions, AStepOfTheClockKeepsNoAddressForLonger) {
  join(kOld, id('a'), 0);
  f.now -= 10 * kBetweenTicksMs;
  EXPECT_EQ(join(kOld, id('b')), "OCCUPIED 0");
  f.now += kBetweenTicksMs + 1;
  EXPECT_EQ(join(kOld, id('b')), "NONE");
}

TEST_F(IdFunctions, AnAbsurdIdIsRefusedAndAnEarlierVersionHasNone) {
  for (const auto& wrong : {std::string("x"), std::string(32, 'g'), std::string(32, 'A'),
                            std::string(33, 'a'), std::string(31, 'a') + "\n", kOld}) {
    EXPECT_THAT(f("join", {kOld, "1", "0", "0", wrong}).front(), HasSubstr("32 hexadecimal digits"))
        << wrong;
  }
  EXPECT_EQ(f.one({"EXISTS", "sync:ids", "sync:minions"}), "0");
  EXPECT_EQ(f("join", {kOld, "1", "0", "0"}).front(), "NONE");
  EXPECT_EQ(f("join", {kOld, "1", "0", "0", ""}).front(), "NONE");
  EXPECT_EQ(f.one({"EXISTS", "sync:ids"}), "0");
}

TEST_F(IdFunctions, AWrongTypeIsDroppedAndTheIdLearntAgain) {
  f.ask({"SET", "sync:ids", "x"});
  EXPECT_EQ(f("join", {kOld, "1", "0", "0", id('a')}).front(), "NONE");
  EXPECT_EQ(f.one({"HGET", "sync:ids", kOld}), id('a'));
}

}  // namespace
}  // namespace libsync::test
