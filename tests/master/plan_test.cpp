#include "master/plan.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libsync/core/run_record.h"
#include "os/random.h"
#include "task_path.h"

namespace libsync {
namespace {

using namespace std::chrono_literals;

const std::string kTask = "/data1/release/model.7";
const std::string kOther = "/data1/release/model.8";
const TaskPath kTaskPath = test::task_path(kTask);
const TaskPath kOtherPath = test::task_path(kOther);
const MasterId kSelf = random_name<MasterId>();
const RunId kRun = random_name<RunId>();

// A run of ours that is staged and finished by 3 of 10 hosts.
RunStanding standing() {
  return {.id = kRun,
          .state = RunState::staged,
          .task = kTaskPath,
          .master = kSelf,
          .finished = 3,
          .expected = 10,
          .known_at_begin = 10,
          .age = 100s,
          .since_last_joined = 100s};
}

RunRecord spool(Standing at = Standing::running) {
  return {.role = Role::master, .run = kRun, .task = kTaskPath, .standing = at};
}

Move decide(const std::optional<std::string>& task, const std::optional<RunStanding>& run,
            const std::optional<RunRecord>& own, const EndingTerms& terms = {}) {
  return next_move({.task = task, .wrong_type = "", .run = run}, own, terms, kSelf);
}

// The move in a word: the outcome of EndRun, or the kind of any other.
std::string in_a_word(const Move& move) {
  if (const auto* const end = std::get_if<EndRun>(&move)) return end->outcome;
  constexpr std::array kNames = {"idle", "distribute", "refuse",       "resume",  "end",
                                 "note", "foreign",    "other format", "reverify"};
  return kNames.at(move.index());
}

TEST(MasterPlan, IdlesWithoutTaskRunAndSpool) { EXPECT_EQ(in_a_word(decide({}, {}, {})), "idle"); }

TEST(MasterPlan, DistributesATaskWhenNothingIsInProgress) {
  const auto next = decide(kTask, {}, {});
  ASSERT_EQ(in_a_word(next), "distribute");
  EXPECT_EQ(std::get<Distribute>(next).task, kTaskPath);
}

TEST(MasterPlan, IgnoresAPreparedSpool) {
  EXPECT_EQ(in_a_word(decide({}, {}, spool(Standing::prepared))), "idle");
  EXPECT_EQ(in_a_word(decide(kTask, {}, spool(Standing::prepared))), "distribute");
}

TEST(MasterPlan, IgnoresTheSpoolOfAnEndedRunIfRedisHasNoRun) {
  for (const auto at : {Standing::ended, Standing::ended_short}) {
    EXPECT_EQ(in_a_word(decide({}, {}, spool(at))), "idle");
    EXPECT_EQ(in_a_word(decide(kTask, {}, spool(at))), "distribute");
  }
}

TEST(MasterPlan, BeginsItsRunAgainWhenRedisLostIt) {
  for (const auto& task : {std::optional<std::string>(), std::optional(kTask)}) {
    const auto next = decide(task, {}, spool());
    ASSERT_EQ(in_a_word(next), "resume");
    EXPECT_EQ(std::get<Resume>(next).owner.run, kRun);
  }
  const auto next = decide(kOther, {}, spool());
  ASSERT_EQ(in_a_word(next), "distribute");
  EXPECT_EQ(std::get<Distribute>(next).task, kOtherPath);
}

TEST(MasterPlan, CancelsWhenTheTaskIsDeleted) {
  const auto next = decide({}, standing(), spool());
  ASSERT_EQ(in_a_word(next), "cancelled");
  const auto& end = std::get<EndRun>(next);
  EXPECT_EQ(end.run, kRun);
  EXPECT_EQ(end.task, kTaskPath);
  EXPECT_EQ(end.standing, Standing::ended_short);
  EXPECT_TRUE(end.owner);
}

TEST(MasterPlan, ATaskThatIsDeletedOnceAllHaveFinishedIsComplete) {
  auto run = standing();
  run.state = RunState::staged;
  run.finished = run.expected;
  const auto next = decide({}, run, spool());
  ASSERT_EQ(in_a_word(next), "complete");
  EXPECT_EQ(std::get<EndRun>(next).standing, Standing::ended);
}

TEST(MasterPlan, LeavesTheRunOfAnotherMasterAlone) {
  auto run = standing();
  run.master = random_name<MasterId>();
  auto other = spool();
  other.run = random_name<RunId>();
  for (const auto& own : {std::optional<RunRecord>(), std::optional(other)}) {
    for (const auto& task : {std::optional<std::string>(), std::optional(kTask)}) {
      const auto next = decide(task, run, own);
      ASSERT_EQ(in_a_word(next), "foreign");
      EXPECT_EQ(std::get<Foreign>(next).run, kRun);
      EXPECT_EQ(std::get<Foreign>(next).task, kTaskPath);
    }
  }
}

TEST(MasterPlan, EndsARunOfItsOwnWhoseSpoolIsLost) {
  auto other = spool(Standing::prepared);
  other.run = random_name<RunId>();
  for (const auto& own : {std::optional<RunRecord>(), std::optional(other)}) {
    const auto next = decide(kTask, standing(), own);
    ASSERT_EQ(in_a_word(next), "spool-lost");
    EXPECT_EQ(std::get<EndRun>(next).standing, Standing::ended_short);
    EXPECT_FALSE(std::get<EndRun>(next).owner);
  }
}

// Redis has come back from an older snapshot.
TEST(MasterPlan, EndsAnEarlierRunAndKeepsTheOneInItsSpool) {
  auto later = spool();
  later.run = random_name<RunId>();
  later.task = kOtherPath;
  const auto next = decide(kTask, standing(), later);
  ASSERT_EQ(in_a_word(next), "superseded");
  EXPECT_EQ(std::get<EndRun>(next).run, kRun);
  EXPECT_FALSE(std::get<EndRun>(next).owner);
  EXPECT_EQ(in_a_word(decide({}, {}, later)), "resume");
}

TEST(MasterPlan, EndsARunInRedisThatHasEndedByItsSpool) {
  const auto whole = decide(kTask, standing(), spool(Standing::ended));
  EXPECT_EQ(in_a_word(whole), "complete");
  EXPECT_EQ(std::get<EndRun>(whole).standing, Standing::ended);
  for (const auto& task : {std::optional<std::string>(), std::optional(kTask)}) {
    const auto cut_short = decide(task, standing(), spool(Standing::ended_short));
    EXPECT_EQ(in_a_word(cut_short), "abandoned");
    EXPECT_EQ(std::get<EndRun>(cut_short).standing, Standing::ended_short);
  }
}

TEST(MasterPlan, CompletesWhenAllExpectedHostsHaveFinished) {
  auto run = standing();
  run.finished = 9;
  EXPECT_EQ(in_a_word(decide(kTask, run, spool())), "idle");
  for (const std::size_t finished : {10U, 11U}) {
    run.finished = finished;
    const auto next = decide(kTask, run, spool());
    ASSERT_EQ(in_a_word(next), "complete");
    EXPECT_EQ(std::get<EndRun>(next).standing, Standing::ended);
    EXPECT_EQ(std::get<EndRun>(next).owner.value().run, kRun);
    EXPECT_EQ(in_a_word(decide(kOther, run, spool())), "complete");
  }
  run.state = RunState::staging;
  EXPECT_EQ(in_a_word(decide(kTask, run, spool())), "resume");
}

TEST(MasterPlan, DoesNotCompleteWithoutAnExpectedHost) {
  auto run = standing();
  run.finished = run.expected = 0;
  EXPECT_EQ(in_a_word(decide(kTask, run, spool())), "idle");
}

TEST(MasterPlan, LetsHostsSettleIfNoneWasKnownAtBegin) {
  auto run = standing();
  run.finished = run.expected = 1;
  run.known_at_begin = 0;
  run.since_last_joined = 9'999ms;
  EXPECT_EQ(in_a_word(decide(kTask, run, spool())), "idle");
  run.since_last_joined = 10s;
  EXPECT_EQ(in_a_word(decide(kTask, run, spool())), "complete");
  run.since_last_joined = 0s;
  run.known_at_begin = 1;
  EXPECT_EQ(in_a_word(decide(kTask, run, spool())), "complete");
}

struct ShortRow {
  std::optional<unsigned> quorum;
  std::optional<Duration> deadline;
  std::size_t finished;  // Out of 10 hosts, after 100 s.
  const char* outcome;
};

TEST(MasterPlan, EndsShortOnlyWhenEveryTermHolds) {
  for (const auto& row : std::vector<ShortRow>{{{}, {}, 9, "idle"},
                                               {90, {}, 8, "idle"},
                                               {90, {}, 9, "quorum"},
                                               {85, {}, 8, "idle"},
                                               {85, {}, 9, "quorum"},
                                               {1, {}, 0, "idle"},
                                               {1, {}, 1, "quorum"},
                                               {100, {}, 9, "idle"},
                                               {{}, 100'001ms, 0, "idle"},
                                               {{}, 100s, 0, "deadline"},
                                               {{}, 50s, 9, "deadline"},
                                               {90, 101s, 9, "idle"},
                                               {90, 100s, 8, "idle"},
                                               {90, 100s, 9, "quorum"}}) {
    auto run = standing();
    run.finished = row.finished;
    const auto next = decide(kTask, run, spool(), {row.quorum, row.deadline});
    EXPECT_EQ(in_a_word(next), row.outcome) << row.quorum.value_or(0) << " " << row.finished;
    if (const auto* const end = std::get_if<EndRun>(&next)) {
      EXPECT_EQ(end->standing, Standing::ended_short);
    }
  }
}

TEST(MasterPlan, NeitherResumesNorReverifiesARunOfAnotherFormatAndLetsItEnd) {
  auto run = standing();
  run.format = RunFormat::other;
  for (const auto state : {RunState::staging, RunState::staged}) {
    for (const bool is_suspect : {false, true}) {
      run.state = state;
      run.origin_is_suspect = is_suspect;
      EXPECT_EQ(in_a_word(decide(kTask, run, spool())), "other format");
      EXPECT_EQ(in_a_word(decide({}, run, spool())), "cancelled");
      EXPECT_EQ(in_a_word(decide(kOther, run, spool())), "note");
    }
  }
  EXPECT_EQ(in_a_word(decide(kTask, run, spool(), {{}, 100s})), "deadline");
  run.finished = run.expected;
  EXPECT_EQ(in_a_word(decide(kTask, run, spool())), "complete");
}

TEST(MasterPlan, HasNoQuorumOfNoHosts) {
  auto run = standing();
  run.finished = run.expected = 0;
  EXPECT_EQ(in_a_word(decide(kTask, run, spool(), {50, {}})), "idle");
}

TEST(MasterPlan, LetsAnotherTaskWaitNoLongerThanGrace) {
  const EndingTerms terms{{}, {}, 60s};
  auto run = standing();
  EXPECT_EQ(in_a_word(decide(kOther, run, spool(), terms)), "note");
  run.waiting = kOtherPath;
  run.overtaken_for = 59'999ms;
  EXPECT_EQ(in_a_word(decide(kOther, run, spool(), terms)), "idle");
  run.overtaken_for = 60s;
  EXPECT_EQ(in_a_word(decide(kOther, run, spool(), terms)), "overtaken");
  run.overtaken_for = 0s;
  EXPECT_EQ(in_a_word(decide(kOther, run, spool(), {{}, {}, 0s})), "overtaken");
}

TEST(MasterPlan, NotesEachWaitingTaskAndThatNoneWaitsAnyMore) {
  auto run = standing();
  const auto noted = [&](const std::string& task) {
    const auto next = decide(task, run, spool());
    EXPECT_EQ(in_a_word(next), "note");
    return std::get<NoteWaiting>(next).task;
  };
  EXPECT_EQ(noted(kOther), kOtherPath);
  run.overtaken_for = 24h;
  run.waiting = test::task_path("/data/yet-another");
  EXPECT_EQ(noted(kOther), kOtherPath);
  EXPECT_EQ(noted(kTask), std::nullopt);
}

TEST(MasterPlan, HasNoQuorumBeforeTheOthersHaveJoined) {
  const EndingTerms terms{90, {}, {}};
  auto run = standing();
  run.finished = run.expected = 1;
  run.state = RunState::staging;  // A staged run would be complete.
  run.known_at_begin = 0;
  run.since_last_joined = 9'999ms;
  EXPECT_NE(in_a_word(decide(kTask, run, spool(), terms)), "quorum");
  run.since_last_joined = 10s;
  EXPECT_EQ(in_a_word(decide(kTask, run, spool(), terms)), "quorum");
}

TEST(MasterPlan, ContinuesTheRunWhileAnotherTaskWaits) {
  auto run = standing();
  run.waiting = kOtherPath;
  run.overtaken_for = 1s;
  run.origin_is_suspect = true;
  EXPECT_EQ(in_a_word(decide(kOther, run, spool())), "reverify");
  run.state = RunState::staging;
  EXPECT_EQ(in_a_word(decide(kOther, run, spool())), "resume");
}

TEST(MasterPlan, ReverifiesASuspectSpoolOnceItIsStaged) {
  auto run = standing();
  run.origin_is_suspect = true;
  const auto next = decide(kTask, run, spool());
  ASSERT_EQ(in_a_word(next), "reverify");
  EXPECT_EQ(std::get<Reverify>(next).owner.run, kRun);
  run.state = RunState::staging;
  EXPECT_EQ(in_a_word(decide(kTask, run, spool())), "resume");
}

TEST(MasterPlan, RefusesATextThatIsNoTaskWithAndWithoutARun) {
  const std::string bad = "/data1/../model";
  const auto is_refused = [&](const Move& next) {
    const auto* const refused = std::get_if<Refuse>(&next);
    return refused != nullptr && refused->task == bad && !refused->reason.empty();
  };
  EXPECT_TRUE(is_refused(decide(bad, {}, {})));
  EXPECT_TRUE(is_refused(decide(bad, {}, spool(Standing::prepared))));
  EXPECT_TRUE(is_refused(decide(bad, standing(), spool())));
  auto run = standing();
  run.waiting = kOtherPath;
  run.overtaken_for = 1h;
  EXPECT_TRUE(is_refused(decide(bad, run, spool()))) << "it does not inherit another task's grace";
}

}  // namespace
}  // namespace libsync
