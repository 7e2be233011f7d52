// The policy of the master, rule by rule.

#include "libsync/master_plan.h"

#include <gtest/gtest.h>

namespace libsync {
namespace {

using namespace std::chrono_literals;

const MasterId kSelf = MasterId::random();

class MasterPlan : public testing::Test {
 protected:
  MasterPlan() {
    own_.run = RunId::random();
    own_.task = "/data/model";
    run_.id = own_.run;
    run_.state = RunState::staged;
    run_.path = own_.task;
    run_.master = kSelf;
    run_.expected = 10;
    run_.known_at_begin = 10;
    run_.age = 100s;
    run_.since_last_joined = 100s;
  }

  [[nodiscard]] Move move(const std::optional<std::string>& task) const {
    return next_move({task, run_}, own_, terms_, kSelf);
  }
  [[nodiscard]] Move move() const { return move(run_.path); }

  /// The outcome that the run ends with; empty if it does not end.
  [[nodiscard]] std::string ending() const {
    const auto next = move();
    const auto* const end = std::get_if<EndRun>(&next);
    return end == nullptr ? "" : end->outcome;
  }

  Owner own_{.standing = Standing::running};
  RunStanding run_;
  EndingTerms terms_;
};

TEST_F(MasterPlan, NothingToDoWithoutATask) {
  EXPECT_TRUE(std::holds_alternative<Idle>(next_move({}, std::nullopt, terms_, kSelf)));
}

TEST_F(MasterPlan, ATaskIsDistributed) {
  const auto next = next_move({"/data/model", std::nullopt}, std::nullopt, terms_, kSelf);
  EXPECT_EQ(std::get<Distribute>(next).task, "/data/model");
}

TEST_F(MasterPlan, ARunThatRedisLostIsGoneOnWith) {
  EXPECT_TRUE(std::holds_alternative<Resume>(next_move({}, own_, terms_, kSelf)));
  EXPECT_TRUE(
      std::holds_alternative<Resume>(next_move({own_.task, std::nullopt}, own_, terms_, kSelf)));
}

TEST_F(MasterPlan, ARunThatRedisLostGivesWayToAnotherTask) {
  const auto next = next_move({"/data/other", std::nullopt}, own_, terms_, kSelf);
  EXPECT_EQ(std::get<Distribute>(next).task, "/data/other");
}

TEST_F(MasterPlan, ARunThatEndedOrNeverBeganIsNotGoneOnWith) {
  for (const auto standing : {Standing::prepared, Standing::ended, Standing::ended_short}) {
    own_.standing = standing;
    EXPECT_TRUE(std::holds_alternative<Idle>(next_move({}, own_, terms_, kSelf)));
    EXPECT_TRUE(std::holds_alternative<Distribute>(
        next_move({own_.task, std::nullopt}, own_, terms_, kSelf)));
  }
}

TEST_F(MasterPlan, TheOperatorCancelsByDeletingTheTask) {
  const auto next = move(std::nullopt);
  const auto& end = std::get<EndRun>(next);
  EXPECT_EQ(end.outcome, "cancelled");
  EXPECT_EQ(end.standing, Standing::ended_short);
}

TEST_F(MasterPlan, WhatIsNotStagedIsStaged) {
  run_.state = RunState::staging;
  run_.expected = run_.finished = 0;
  EXPECT_TRUE(std::holds_alternative<Resume>(move()));
}

TEST_F(MasterPlan, ItEndsWhenAllHaveFinished) {
  run_.finished = 9;
  EXPECT_EQ(ending(), "");
  run_.finished = 10;
  EXPECT_EQ(ending(), "complete");
  run_.finished = 11;
  EXPECT_EQ(ending(), "complete");
}

TEST_F(MasterPlan, NobodyExpectedNeverMeansDone) {
  run_.expected = 0;
  EXPECT_EQ(ending(), "");
}

TEST_F(MasterPlan, ARunThatNobodyWasKnownForWaitsForOthersToJoin) {
  run_.known_at_begin = 0;
  run_.expected = run_.finished = 1;
  run_.since_last_joined = 9s;
  EXPECT_EQ(ending(), "");
  run_.since_last_joined = 10s;
  EXPECT_EQ(ending(), "complete");
}

TEST_F(MasterPlan, ADeadlineAloneEndsIt) {
  terms_.deadline = 100s;
  EXPECT_EQ(ending(), "deadline");
  run_.age = 99s;
  EXPECT_EQ(ending(), "");
}

TEST_F(MasterPlan, AQuorumAloneEndsIt) {
  terms_.quorum_percent = 90;
  run_.finished = 8;
  EXPECT_EQ(ending(), "");
  run_.finished = 9;
  EXPECT_EQ(ending(), "quorum");
}

TEST_F(MasterPlan, QuorumAndDeadlineMustBothHold) {
  terms_.quorum_percent = 90;
  terms_.deadline = 100s;
  run_.finished = 8;
  EXPECT_EQ(ending(), "");
  run_.finished = 9;
  EXPECT_EQ(ending(), "quorum");
  run_.age = 99s;
  EXPECT_EQ(ending(), "");
}

TEST_F(MasterPlan, AWaitingTaskIsNotedAndGetsItsTurnAfterTheGrace) {
  EXPECT_TRUE(std::holds_alternative<NoteWaiting>(move("/data/other")));
  terms_.grace = 60s;
  run_.overtaken_for = 59s;
  EXPECT_TRUE(std::holds_alternative<Idle>(move("/data/other")));
  run_.overtaken_for = 60s;
  EXPECT_EQ(std::get<EndRun>(move("/data/other")).outcome, "overtaken");
  // Even if the run could not be staged so far.
  run_.state = RunState::staging;
  EXPECT_EQ(std::get<EndRun>(move("/data/other")).outcome, "overtaken");
}

TEST_F(MasterPlan, ASuspectOriginIsHashed) {
  run_.origin_is_suspect = true;
  EXPECT_TRUE(std::holds_alternative<Reprove>(move()));
  run_.finished = 10;
  EXPECT_EQ(ending(), "complete") << "nobody needs it any more";
}

TEST_F(MasterPlan, AnEndThatRedisWasNotToldIsToldIt) {
  own_.standing = Standing::ended;
  EXPECT_EQ(ending(), "complete");
  own_.standing = Standing::ended_short;
  EXPECT_EQ(ending(), "abandoned");
}

TEST_F(MasterPlan, OurRunWithoutItsSpoolEnds) {
  const auto next = next_move({run_.path, run_}, std::nullopt, terms_, kSelf);
  EXPECT_EQ(std::get<EndRun>(next).outcome, "spool-lost");
}

TEST_F(MasterPlan, AnotherMastersRunIsLeftAlone) {
  run_.master = MasterId::random();
  run_.id = RunId::random();
  const auto next = next_move({run_.path, run_}, own_, terms_, kSelf);
  EXPECT_EQ(std::get<Foreign>(next).run, run_.id);
}

}  // namespace
}  // namespace libsync
