// The life of a run in the functions: begin, stage, join, finish, leave, end, refuse, and the
// answers to a master and to people.

#include <gmock/gmock.h>
#include <signal.h>

#include "function_caller.h"
#include "libsync/core/failure.h"
#include "redis/answer.h"
#include "redis/coordinator.h"

namespace libsync::test {
namespace {

using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

constexpr auto kYes = FunctionCaller::Last::yes;

class RunFunctions : public testing::Test {
 protected:
  /// Ends the run as the master does. Returns the missing hosts.
  Texts end(const std::string& outcome) {
    const auto ended = coordinator.end(RunId::parse(run).value(), outcome, "why", TaskAfter::goes);
    return std::get<Ended>(ended).missing;
  }

  TestRedis redis;
  FunctionCaller f{redis};
  RedisCoordinator coordinator{
      {.server = redis.server(), .time = [this] { return std::to_string(f.now); }}};
  const std::string run = run_id(1);
  const std::string none = bits(4, {});
};

TEST_F(RunFunctions, BeginStoresTheRunAndOffersNothingYet) {
  EXPECT_THAT(f.begin(run, 4), ElementsAre("BEGUN"));
  EXPECT_EQ(f.one({"HGET", "sync:run", "id"}), run);
  EXPECT_EQ(f.one({"HGET", "sync:run", "state"}), "staging");
  EXPECT_EQ(f.one({"HGET", "sync:run", "pieces"}), "4");
  EXPECT_THAT(f.members("synchronize_queue"), IsEmpty());
}

TEST_F(RunFunctions, BeginOfTheSameRunChangesNothing) {
  f.begin(run, 4);
  f.stage(run, {0, 1});
  EXPECT_THAT(f.begin(run, 4), ElementsAre("SAME"));
  EXPECT_THAT(f.members("synchronize_queue"), ElementsAre("10.0.0.1"));
  EXPECT_EQ(f.one({"GET", "sync:digests"}), digest(0) + digest(1));
}

TEST_F(RunFunctions, BeginIsRefusedWhileAnotherRunIsInProgress) {
  f.begin(run, 4);
  EXPECT_THAT(f.begin(run_id(2), 4), ElementsAre("BUSY", run, "/data/model.1"));
  EXPECT_EQ(f.one({"HGET", "sync:run", "id"}), run);
}

TEST_F(RunFunctions, BeginOfTheSameRunWithAnotherManifestIsRefused) {
  f.begin(run, 4);
  f.ask({"HSET", "sync:run", "manifest", digest(7)});
  EXPECT_THAT(f.begin(run, 4), ElementsAre("BUSY", run, "/data/model.1"));
}

TEST_F(RunFunctions, BeginExpectsTheHostsSeenInTheLastTenMinutes) {
  f("join", {"10.0.0.8", "1", "0", "0"});
  f.now += 540'000;
  f("join", {"10.0.0.9", "1", "0", "0"});
  f.now += 120'000;
  EXPECT_THAT(f.begin(run, 4), ElementsAre("BEGUN", "10.0.0.9"));
  EXPECT_THAT(f.members("sync:expected"), ElementsAre("10.0.0.9"));
}

TEST_F(RunFunctions, BeginExpectsTheHostsThatAreNamedAndNoOthers) {
  f("join", {"10.0.0.8", "1", "0", "0"});
  EXPECT_THAT(f.begin(run, 4, "10.0.0.1", 2, {"10.0.0.5", "10.0.0.6"}),
              ElementsAre("BEGUN", "10.0.0.5", "10.0.0.6"));
  EXPECT_THAT(f.members("sync:expected"), ElementsAre("10.0.0.5", "10.0.0.6"));
}

TEST_F(RunFunctions, BeginWakesTheMinionsThatLinger) {
  f("join", {"10.0.0.8", "1", "0", "0"});
  f.begin(run, 4);
  EXPECT_EQ(f.one({"LLEN", "sync:wake:10.0.0.8"}), "1");
  EXPECT_GT(std::stoi(f.one({"TTL", "sync:wake:10.0.0.8"})), 0);
}

TEST_F(RunFunctions, BeginWritesTheTaskAgainOnlyIfAskedAndMissing) {
  const auto begin_restoring = [&](const std::string& id) {
    return f("begin",
             {id, "/data/model.1", "model.1", std::string(32, 'f'), "10", "10", "1", digest(0),
              "100", "10.0.0.1", "master", std::string(32, 'a'), "2", "1", "auto", "0"});
  };
  f.begin(run, 4);
  EXPECT_EQ(f.one({"EXISTS", "task"}), "0");
  f("end", {run, "complete", "", "1"});
  begin_restoring(run);
  EXPECT_EQ(f.one({"GET", "task"}), "/data/model.1");
  f("end", {run, "complete", "", "1"});
  f.ask({"SET", "task", "/data/other"});
  begin_restoring(run);
  EXPECT_EQ(f.one({"GET", "task"}), "/data/other");
}

TEST_F(RunFunctions, StagedPiecesMakeTheOriginASource) {
  f.begin(run, 4);
  EXPECT_THAT(f.stage(run, {0}), ElementsAre("STAGED"));
  EXPECT_THAT(f.members("synchronize_queue"), ElementsAre("10.0.0.1"));
  EXPECT_EQ(f.one({"HGET", "sync:have", "10.0.0.1"}), bits(4, {0}));
  EXPECT_EQ(f.one({"GET", "sync:digests"}), digest(0));
  EXPECT_EQ(f.one({"HGET", "sync:run", "state"}), "staging");
  f.stage(run, {1, 2, 3}, kYes);
  EXPECT_EQ(f.one({"HGET", "sync:run", "state"}), "staged");
  EXPECT_EQ(f.one({"HGET", "sync:have", "10.0.0.1"}), all_bits(4));
}

TEST_F(RunFunctions, PushedPiecesAreServedOnlyOnceTheTargetHoldsThem) {
  f("begin", {run, "/data/model.1", "model.1", std::string(32, 'f'), "40", "10", "4", digest(0),
              "100", "10.0.0.7", "minion", std::string(32, 'a'), "0", "0", "auto", "0"});
  f.stage(run, {0, 1});
  EXPECT_THAT(f.members("synchronize_queue"), IsEmpty());
  EXPECT_EQ(f.one({"LLEN", "sync:wake:10.0.0.7"}), "1");
  f.hold(run, "10.0.0.7", bits(4, {0}));
  EXPECT_THAT(f.members("synchronize_queue"), ElementsAre("10.0.0.7"));
}

TEST_F(RunFunctions, AMinionOnTheOriginDoesNotSpeakForTheMastersSpool) {
  f.begin(run, 4);
  f.stage(run, {0, 1});
  f.hold(run, "10.0.0.1", none, 7);
  EXPECT_EQ(f.one({"HGET", "sync:have", "10.0.0.1"}), bits(4, {0, 1}));
  EXPECT_EQ(f.one({"HGET", "sync:slots", "10.0.0.1"}), "2");
}

TEST_F(RunFunctions, PiecesThatThePushTargetLacksArePushedAgain) {
  const Texts begin{
      run,   "/data/model.1", "model.1", std::string(32, 'f'), "40", "10", "4",    digest(0),
      "100", "10.0.0.7",      "minion",  std::string(32, 'a'), "0",  "0",  "auto", "0"};
  f("begin", begin);
  f.stage(run, {0, 1, 2, 3}, kYes);
  f.hold(run, "10.0.0.7", bits(4, {0}));
  EXPECT_EQ(f("begin", begin).at(0), "SAME");
  EXPECT_EQ(f.one({"HGET", "sync:slots", "10.0.0.7"}), "2") << "they are the host's to say";
  f("doubt", {run, "10.0.0.7", "3 pieces are missing"});
  EXPECT_EQ(f("watch").at(5), "1");
  EXPECT_THAT(f.members("synchronize_queue"), ElementsAre("10.0.0.7")) << "what it has is good";
  f("vouch", {run});
  EXPECT_EQ(f("watch").at(5), "0");
  EXPECT_EQ(f.one({"HGET", "sync:have", "10.0.0.7"}), bits(4, {0})) << "it says so itself";
}

TEST_F(RunFunctions, AHostThatFinishesWithoutJoiningIsExpectedFromThenOn) {
  f.begin(run, 4, "10.0.0.1", 2, {"10.0.0.5", "10.0.0.6"});
  f.stage(run, {0, 1, 2, 3}, kYes);
  f.finish(run, "10.0.0.5", digest(0));
  f.finish(run, "10.0.0.9", digest(0));
  const auto watch = f("watch");
  EXPECT_EQ(watch.at(3), "2");
  EXPECT_EQ(watch.at(4), "3") << "10.0.0.6 is still missing";
}

TEST_F(RunFunctions, AFinishedHostReportsItsHoldings) {
  f.begin(run, 4);
  f.stage(run, {0, 1, 2, 3}, kYes);
  f.finish(run, "10.0.0.8", digest(0), bits(4, {0, 2}), 3);
  EXPECT_EQ(f.one({"HGET", "sync:have", "10.0.0.8"}), bits(4, {0, 2}));
  EXPECT_EQ(f.one({"HGET", "sync:slots", "10.0.0.8"}), "3");
  EXPECT_THAT(f.members("synchronize_queue"), ElementsAre("10.0.0.1", "10.0.0.8"));
}

TEST_F(RunFunctions, JoinReturnsTheRunAndTheMasterExpectsTheNewcomer) {
  f.begin(run, 4, "10.0.0.1", 2, {"10.0.0.5"});
  const auto answer = f("join", {"10.0.0.8", "1", "0", "0"});
  EXPECT_EQ(answer.at(0), "RUN");
  EXPECT_EQ(answer.at(1), "0");
  EXPECT_THAT(answer, Contains(run));
  f("join", {"10.0.0.5", "1", "0", "0"});
  EXPECT_THAT(f.members("sync:expected"), ElementsAre("10.0.0.5"));
  EXPECT_THAT(f.members("sync:joined"), ElementsAre("10.0.0.8"));
  EXPECT_EQ(f("watch").at(4), "2");
  EXPECT_EQ(f("watch").at(16), "1");
  EXPECT_THAT(f("admit", {run}), ElementsAre("ADMITTED", "0"));
  EXPECT_THAT(f.members("sync:expected"), ElementsAre("10.0.0.5", "10.0.0.8"));
  EXPECT_THAT(f.members("sync:joined"), IsEmpty());
  EXPECT_EQ(f("watch").at(4), "2");
  EXPECT_EQ(f("watch").at(16), "0");
  f("join", {"10.0.0.8", "1", "0", "0"});
  EXPECT_THAT(f.members("sync:joined"), IsEmpty());
}

TEST_F(RunFunctions, OnlyAddressesAreAdmittedAndManyInSteps) {
  f.begin(run, 4);
  f.ask({"SADD", "sync:joined", "10.0.0.8", "fd00::8", "x\nstanding ended", std::string(46, '1')});
  EXPECT_THAT(f("admit", {run}), ElementsAre("ADMITTED", "0"));
  EXPECT_THAT(f.members("sync:expected"), ElementsAre("10.0.0.8", "fd00::8"));
  RedisCommand many{"SADD", "sync:joined"};
  for (unsigned i = 0; i < 2500; ++i) {
    many.push_back("10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250));
  }
  f.ask(many);
  EXPECT_THAT(f("admit", {run}), ElementsAre("ADMITTED", "1500"));
  EXPECT_THAT(f("admit", {run}), ElementsAre("ADMITTED", "500"));
  EXPECT_THAT(f("admit", {run}), ElementsAre("ADMITTED", "0"));
  EXPECT_EQ(f.one({"SCARD", "sync:expected"}), "2502");
}

TEST_F(RunFunctions, TheEndNamesAHostThatJoinedAndWasNotAdmitted) {
  f.begin(run, 4, "10.0.0.1", 2, {"10.0.0.5"});
  f("join", {"10.0.0.8", "1", "0", "0"});
  EXPECT_THAT(end("cancelled"), ElementsAre("10.0.0.5", "10.0.0.8"));
  EXPECT_THAT(f.ask({"KEYS", "sync:*"}),
              UnorderedElementsAre("sync:minions", "sync:events", "sync:last", "sync:last_expected",
                                   "sync:last_accounts", "sync:wake:10.0.0.8"));
}

// Any minion can write there, or delete it.
TEST_F(RunFunctions, ACourseThatIsMissingOrMalformedStopsNoHost) {
  for (const auto& fields : {Texts{}, Texts{"fresh", "x", "left", "-", "reaped", "1e99", "mended",
                                            "", "joined", "soon", "woken", "nan"}}) {
    f.begin(run, 4);
    f.stage(run, {0, 1, 2, 3}, kYes);
    f.ask({"DEL", "sync:course"});
    RedisCommand command{"HSET", "sync:course"};
    command.insert(command.end(), fields.begin(), fields.end());
    if (!fields.empty()) f.ask(command);
    EXPECT_EQ(f("join", {"10.0.0.8", "1", "1", "0"}).at(0), "RUN");
    EXPECT_EQ(f.claim(run, "10.0.0.8", token(1), none, none).at(0), "CLAIMED");
    EXPECT_EQ(f.finish(run, "10.0.0.8", digest(0)).at(0), "FINISHED");
    EXPECT_EQ(f("watch").at(3), "1");
    EXPECT_EQ(f("end", {run, "complete", "", "1"}).at(0), "ENDED");
  }
}

TEST_F(RunFunctions, JoinWithoutARunNamesTheOneThatEndedLast) {
  EXPECT_THAT(f("join", {"10.0.0.8", "1", "0", "0"}), ElementsAre("NONE", "", "0"));
  f.begin(run, 4);
  const auto begun = std::to_string(f.now);
  f.now += 1000;
  f("end", {run, "complete", "", "1"});
  EXPECT_THAT(f("join", {"10.0.0.8", "1", "0", "0"}), ElementsAre("NONE", run, begun));
}

TEST_F(RunFunctions, TheFirstJoinOfATickEndsTheClaimsOfAnEarlierOne) {
  f.begin(run, 4, "10.0.0.1", 1);
  f.stage(run, {0});
  f.claim(run, "10.0.0.8", token(1), none, none);
  EXPECT_THAT(f.members("synchronize_queue"), IsEmpty());
  f("join", {"10.0.0.8", "0", "0", "0"});
  EXPECT_THAT(f.members("running_queue"), ElementsAre("10.0.0.8"));
  f("join", {"10.0.0.8", "1", "0", "0"});
  EXPECT_THAT(f.members("running_queue"), IsEmpty());
  EXPECT_THAT(f.members("synchronize_queue"), ElementsAre("10.0.0.1"));
}

TEST_F(RunFunctions, NobodyFinishesARunThatIsNotStaged) {
  f.begin(run, 4);
  f.stage(run, {0, 1, 2});
  EXPECT_THAT(f.finish(run, "10.0.0.8", digest(0)), ElementsAre("EARLY"));
  EXPECT_THAT(f.members("finished_queue"), IsEmpty());
}

TEST_F(RunFunctions, NobodyFinishesWithAnotherManifest) {
  f.begin(run, 4);
  f.stage(run, {0, 1, 2, 3}, kYes);
  EXPECT_THAT(f.finish(run, "10.0.0.8", digest(7)), ElementsAre("OTHER"));
  EXPECT_THAT(f.members("finished_queue"), IsEmpty());
}

TEST_F(RunFunctions, FinishNeedsNoLeaseAndMayBeRepeated) {
  f.begin(run, 4);
  f.stage(run, {0, 1, 2, 3}, kYes);
  EXPECT_THAT(f.finish(run, "10.0.0.8", digest(0)), ElementsAre("FINISHED"));
  EXPECT_THAT(f.finish(run, "10.0.0.8", digest(0)), ElementsAre("FINISHED"));
  EXPECT_THAT(f.members("finished_queue"), ElementsAre("10.0.0.8"));
  EXPECT_EQ(f.one({"HLEN", "sync:done"}), "1");
  EXPECT_EQ(f("join", {"10.0.0.8", "0", "0", "0"}).at(1), "1");
}

TEST_F(RunFunctions, AnAddressThatSomebodyElseAddsToFinishedQueueFinishesNothing) {
  f.begin(run, 4, "10.0.0.1", 2, {"10.0.0.8"});
  f.stage(run, {0, 1, 2, 3}, kYes);
  f.ask({"SADD", "finished_queue", "10.0.0.8"});
  EXPECT_EQ(f("watch").at(3), "0");
  EXPECT_EQ(f("join", {"10.0.0.8", "0", "0", "0"}).at(1), "0");
}

TEST_F(RunFunctions, AHostThatLeavesAltogetherHasNothingAndHasNotFinished) {
  f.begin(run, 4);
  f.stage(run, {0, 1, 2, 3}, kYes);
  f.hold(run, "10.0.0.8", all_bits(4));
  f.finish(run, "10.0.0.8", digest(0));
  EXPECT_THAT(f("leave", {run, "10.0.0.8", "all", "disk wiped"}), ElementsAre("LEFT"));
  EXPECT_THAT(f.members("finished_queue"), IsEmpty());
  EXPECT_THAT(f.members("synchronize_queue"), ElementsAre("10.0.0.1"));
  EXPECT_EQ(f.one({"HGET", "sync:errors", "10.0.0.8"}), "disk wiped");
}

TEST_F(RunFunctions, AHostThatLeavesItsClaimsGoesOnServing) {
  f.begin(run, 4);
  f.stage(run, {0, 1, 2, 3}, kYes);
  f.hold(run, "10.0.0.8", bits(4, {0}));
  f.claim(run, "10.0.0.8", token(1), bits(4, {0}), bits(4, {0}));
  f("leave", {run, "10.0.0.8", "claims", ""});
  EXPECT_THAT(f.members("running_queue"), IsEmpty());
  EXPECT_THAT(f.members("synchronize_queue"), UnorderedElementsAre("10.0.0.1", "10.0.0.8"));
  EXPECT_EQ(f.one({"HEXISTS", "sync:errors", "10.0.0.8"}), "0");
}

TEST_F(RunFunctions, EndDeletesEverythingOfTheRunInOneStep) {
  f.ask({"SET", "task", "/data/model.1"});
  f.ask({"INCR", "lookup"});
  f("join", {"10.0.0.8", "1", "0", "0"});
  f.begin(run, 4);
  f.stage(run, {0, 1, 2, 3}, kYes);
  f.claim(run, "10.0.0.8", token(1), none, none);
  f.claim(run, "10.0.0.9", token(2), none, all_bits(4));
  f.finish(run, "10.0.0.8", digest(0));
  EXPECT_THAT(f("end", {run, "complete", "", "1"}), ElementsAre("ENDED", "1", "1", "40", "0"));
  f.ask({"DEL", "sync:wake:10.0.0.8", "sync:wake:10.0.0.9"});
  EXPECT_THAT(f.ask({"KEYS", "*"}),
              UnorderedElementsAre("sync:minions", "sync:events", "sync:last", "sync:last_expected",
                                   "sync:last_done", "sync:last_progress"));
}

TEST_F(RunFunctions, EndNamesTheMissingHostsAndKeepsASummary) {
  f.begin(run, 4, "10.0.0.1", 2, {"10.0.0.5", "10.0.0.6", "10.0.0.7"});
  f.stage(run, {0, 1, 2, 3}, kYes);
  f.finish(run, "10.0.0.6", digest(0));
  EXPECT_THAT(end("deadline"), ElementsAre("10.0.0.5", "10.0.0.7"));
  EXPECT_THAT(f.ask({"HMGET", "sync:last", "run", "outcome", "reason", "finished", "expected"}),
              ElementsAre(run, "deadline", "why", "1", "3"));
}

TEST_F(RunFunctions, EndLeavesATaskThatTheOperatorHasSetMeanwhile) {
  f.ask({"SET", "task", "/data/model.2"});
  f.begin(run, 4);
  f("end", {run, "complete", "", "1"});
  EXPECT_EQ(f.one({"GET", "task"}), "/data/model.2");
}

TEST_F(RunFunctions, EndLeavesTheTaskIfItHoldsAnotherPayloadNow) {
  f.ask({"SET", "task", "/data/model.1"});
  f.begin(run, 4);
  f("end", {run, "complete", "", "0"});
  EXPECT_EQ(f.one({"GET", "task"}), "/data/model.1");
  EXPECT_EQ(f.one({"EXISTS", "lookup"}), "0");
}

TEST_F(RunFunctions, ARefusedTaskIsRemovedAndRecorded) {
  f.ask({"SET", "task", "/etc/shadow"});
  f.ask({"INCR", "lookup"});
  EXPECT_THAT(f("refuse", {"/etc/shadow", "outside"}), ElementsAre("REFUSED"));
  EXPECT_EQ(f.one({"EXISTS", "task"}), "0");
  EXPECT_EQ(f.one({"EXISTS", "lookup"}), "0");
  EXPECT_THAT(f.ask({"HMGET", "sync:last", "path", "outcome", "reason"}),
              ElementsAre("/etc/shadow", "refused", "outside"));
}

TEST_F(RunFunctions, ARefusedTaskThatWaitedLeavesTheRunItsOwn) {
  f.begin(run, 4);
  f.ask({"SET", "task", "/etc/shadow"});
  EXPECT_THAT(f("refuse", {"/etc/shadow", "outside"}), ElementsAre("REFUSED"));
  EXPECT_EQ(f.one({"GET", "task"}), "/data/model.1");
}

TEST_F(RunFunctions, ARefusalHasNoFiguresOfTheRunBefore) {
  f.begin(run, 4);
  f("end", {run, "complete", "", "1"});
  ASSERT_EQ(f.one({"HEXISTS", "sync:last", "bytes"}), "1");
  f.ask({"SET", "task", "/etc/shadow"});
  f("refuse", {"/etc/shadow", "outside"});
  for (const auto* const field : {"finished", "expected", "bytes"}) {
    EXPECT_EQ(f.one({"HEXISTS", "sync:last", field}), "0") << field;
  }
}

// Redis may restart from an older snapshot.
TEST_F(RunFunctions, ARunThatHasLostPiecesIsNotStaged) {
  f.begin(run, 4);
  f.stage(run, {0, 3}, kYes);
  EXPECT_EQ(f.one({"HGET", "sync:run", "state"}), "staging");
  f.stage(run, {0, 1, 2, 3}, kYes);
  EXPECT_EQ(f.one({"HGET", "sync:run", "state"}), "staged");
}

TEST_F(RunFunctions, ATaskThatWasSetAfterTheRefusedOneStays) {
  f.ask({"SET", "task", "/data/good"});
  EXPECT_THAT(f("refuse", {"/etc/shadow", "outside"}), ElementsAre("CHANGED"));
  EXPECT_EQ(f.one({"GET", "task"}), "/data/good");
}

TEST_F(RunFunctions, ACallForAnotherRunChangesNothingAndSaysSo) {
  f.begin(run, 4);
  f.stage(run, {0, 1, 2, 3}, kYes);
  f.claim(run, "10.0.0.8", token(1), none, none);
  const auto before = f("status");
  const auto old = run_id(2);
  const auto blank = bits(4, {});
  for (const auto& id : {old, std::string()}) {
    EXPECT_THAT(f.stage(id, {0}), ElementsAre("STALE"));
    EXPECT_THAT(f.hold(id, "10.0.0.8", all_bits(4)), ElementsAre("STALE"));
    EXPECT_THAT(f.claim(id, "10.0.0.8", token(2), blank, blank), ElementsAre("STALE"));
    EXPECT_THAT(f.complete(id, "10.0.0.8", token(1), "good", all_bits(4)), ElementsAre("STALE"));
    EXPECT_THAT(f("renew", {id, "10.0.0.8", token(1)}), ElementsAre("STALE"));
    EXPECT_THAT(f.finish(id, "10.0.0.8", digest(0)), ElementsAre("STALE"));
    EXPECT_THAT(f("leave", {id, "10.0.0.8", "all", "x"}), ElementsAre("STALE"));
    EXPECT_THAT(f("end", {id, "complete", "", "1"}), ElementsAre("STALE"));
    EXPECT_THAT(f("vouch", {id, blank}), ElementsAre("STALE"));
    EXPECT_THAT(f("overtake", {id, "/x"}), ElementsAre("STALE"));
    EXPECT_THAT(f("digests", {id, "0"}), ElementsAre("STALE"));
  }
  EXPECT_EQ(f("status"), before);
}

TEST_F(RunFunctions, WatchReturnsTheStateOfTheRun) {
  f.ask({"SET", "task", "/data/model.2"});
  EXPECT_THAT(f("watch"), ElementsAre("LOOK", "/data/model.2", testing::_, "0", "0", "0"));
  const auto began = std::to_string(f.now);
  f.begin(run, 4, "10.0.0.1", 2, {"10.0.0.5", "10.0.0.6"});
  f.stage(run, {0, 1, 2, 3}, kYes);
  f.finish(run, "10.0.0.5", digest(0));
  f.now += 5000;
  f("overtake", {run, "/data/model.3"});
  const auto overtaken = std::to_string(f.now);
  f.now += 5000;
  f("overtake", {run, "/data/model.2"});
  EXPECT_THAT(f("watch"), ElementsAre("LOOK", "/data/model.2", std::to_string(f.now), "1", "2", "0",
                                      "2", began, began, overtaken, run, "staged", "/data/model.1",
                                      "/data/model.2", std::string(32, 'a'), digest(0), "0"));
  f("overtake", {run, ""});
  EXPECT_EQ(f("watch").at(9), "");
  EXPECT_EQ(f("watch").at(13), "");
}

TEST_F(RunFunctions, DigestsAreThoseOfAnnouncedPieces) {
  f.begin(run, 4);
  f.stage(run, {1, 3});
  EXPECT_THAT(f("digests", {run, "0", "1", "2", "3"}),
              ElementsAre("DIGESTS", "1", digest(1), "3", digest(3)));
}

TEST_F(RunFunctions, StatusShowsEveryHostOnce) {
  f("join", {"10.0.0.9", "1", "0", "0"});
  f.begin(run, 4, "10.0.0.1", 2, {"10.0.0.5", "10.0.0.8"});
  f.stage(run, {0, 1, 2, 3}, kYes);
  f.claim(run, "10.0.0.8", token(1), none, none);
  f.ask({"HSET", "sync:progress", "10.0.0.8", "no number"});
  // The run of begin() has texts that the coordinator does not read.
  for (const auto& [field, value] :
       {std::pair{"fingerprint", std::string(32, 'f')},
        std::pair{"manifest", manifest_field(digest_of("manifest"))}}) {
    f.ask({"HSET", "sync:run", field, value});
  }
  const auto hosts = coordinator.status().hosts;
  ASSERT_EQ(hosts.size(), 4U);
  EXPECT_EQ(hosts.at(0).address, "10.0.0.1");
  EXPECT_EQ(hosts.at(0).uploads, 1U);
  EXPECT_EQ(hosts.at(1).address, "10.0.0.5");
  EXPECT_FALSE(hosts.at(1).seen_ago);
  EXPECT_EQ(hosts.at(2).address, "10.0.0.8");
  EXPECT_EQ(hosts.at(2).claims, 1U);
  EXPECT_EQ(hosts.at(2).in_place, 0U);
  EXPECT_TRUE(hosts.at(2).is_expected);
  EXPECT_TRUE(hosts.at(2).is_running);
  EXPECT_EQ(hosts.at(3).address, "10.0.0.9");
  EXPECT_TRUE(hosts.at(3).seen_ago);
  EXPECT_FALSE(hosts.at(3).is_running);
}

TEST_F(RunFunctions, APageOfHostsBelongsToOneRun) {
  f.begin(run, 4);
  for (unsigned i = 0; i < 3000; ++i) {
    f.ask({"HSET", "sync:progress",
           "10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250), "1"});
  }
  const auto page = f("hosts", {run, "progress", "0"});
  EXPECT_EQ(page.at(0), "HOSTS");
  EXPECT_NE(page.at(1), "0");
  EXPECT_LT(page.size(), 4000U);
  EXPECT_THAT(f("hosts", {run_id(2), "progress", page.at(1)}), ElementsAre("OTHER"));
  f("end", {run, "complete", "", "1"});
  EXPECT_THAT(f("hosts", {run, "progress", page.at(1)}), ElementsAre("OTHER"));
}

TEST_F(RunFunctions, EachMinionIsWokenInTurn) {
  for (unsigned i = 0; i < 1200; ++i) {
    f.ask({"ZADD", "sync:minions", std::to_string(f.now - i),
           "10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250)});
  }
  const auto woken = [&] { return f.ask({"KEYS", "sync:wake:*"}).size(); };
  f.begin(run, 4);
  EXPECT_EQ(woken(), 500U);
  std::string last;
  while (last != "0") last = f("wake", {last, "1"}).at(1);
  EXPECT_EQ(woken(), 1200U);
}

TEST_F(RunFunctions, APrefixKeepsTwoFleetsApart) {
  FunctionCaller g{redis, "blue:"};
  f.begin(run, 4);
  EXPECT_THAT(g("join", {"10.0.0.8", "1", "0", "0"}), ElementsAre("NONE", "", "0"));
  g.begin(run_id(2), 4);
  g.stage(run_id(2), {0});
  g.claim(run_id(2), "10.0.0.8", token(1), none, none);
  g.finish(run_id(2), "10.0.0.8", digest(0));
  EXPECT_EQ(f.one({"HGET", "sync:run", "id"}), run);
  EXPECT_EQ(f.one({"SCARD", "running_queue"}), "0");
  EXPECT_EQ(f.one({"SCARD", "blue:running_queue"}), "1");
  f("end", {run, "complete", "", "1"});
  EXPECT_EQ(f.one({"HGET", "blue:sync:run", "id"}), run_id(2));
}

// The names of its keys would cost Redis memory outside of maxmemory.
TEST_F(RunFunctions, ALongPrefixIsRefused) {
  FunctionCaller longest{redis, std::string(1000, 'x')};
  EXPECT_THAT(longest("watch").at(0), "LOOK");
  FunctionCaller longer{redis, std::string(1001, 'x')};
  EXPECT_THAT(longer("watch"), ElementsAre(testing::HasSubstr("longer than 1000 bytes")));
}

// 2,000 sets of key names would need over 100 MB.
TEST_F(RunFunctions, TheirMemoryDoesNotGrowWithWhatCallersPass) {
  const auto used = [&] {
    const auto all = f.one({"INFO", "memory"});
    constexpr std::string_view kField = "used_memory_vm_functions:";
    return std::stol(all.substr(all.find(kField) + kField.size()));
  };
  f.begin(run_id(1), 8);
  const auto before = used();
  for (unsigned i = 0; i < 2000; ++i) {
    const auto prefix = std::string(990, 'x') + std::to_string(i);
    EXPECT_EQ(f.ask({"FCALL", "libsync1_watch", "0", prefix, ""}).at(0), "LOOK");
    f.hold(run_id(1), "10.0.0.9", std::string(i, '\xff'));
  }
  EXPECT_LT(used() - before, 20'000'000);
}

// A second copy would keep Redis at work while the first one is not done.
TEST_F(RunFunctions, ACallWithoutAnAnswerInTimeIsSentOnce) {
  const auto calls = [&] {
    const auto all = f.one({"INFO", "commandstats"});
    long sum = 0;
    for (const std::string name : {"cmdstat_fcall:calls=", "cmdstat_fcall_ro:calls="}) {
      const auto at = all.find(name);
      if (at != std::string::npos) sum += std::stol(all.substr(at + name.size()));
    }
    return sum;
  };
  f.begin(run, 4);
  static_cast<void>(coordinator.pulse());
  const auto before = calls();
  ASSERT_EQ(kill(redis.pid(), SIGSTOP), 0);
  EXPECT_THROW(static_cast<void>(coordinator.pulse()), Failure);
  ASSERT_EQ(kill(redis.pid(), SIGCONT), 0);
  EXPECT_TRUE(eventually([&] { return calls() > before; }));
  EXPECT_EQ(calls(), before + 1);
}

TEST_F(RunFunctions, TheClockOfRedisCountsIfNoTimeIsPassed) {
  const auto answer = f.ask({"FCALL", "libsync1_watch", "0", "", ""});
  const auto clock = f.ask({"TIME"});
  EXPECT_NEAR(std::stod(answer.at(2)) / 1000, std::stod(clock.at(0)), 5);
}

TEST_F(RunFunctions, AHandLoadedCopyIsTheSameLibrary) {
  const auto printed = test::run({std::string(PROGRAM_FOLDER "/sync-master"), "functions"});
  ASSERT_EQ(printed.status, 0) << printed.errors;
  f.ask({"FUNCTION", "FLUSH"});
  EXPECT_EQ(redis.cli({"-x", "function", "load", "replace"}, printed.output), "libsync1");
  EXPECT_THAT(f.begin(run_id(1), 4), ElementsAre("BEGUN"));
}

}  // namespace
}  // namespace libsync::test
