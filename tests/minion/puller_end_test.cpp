// The end of a run on one host: it publishes and finishes, or the run ends before.

#include <gmock/gmock.h>

#include "puller_fixture.h"

namespace libsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using How = Conclude::How;
using Step = DiskState::Step;

class PullerEndTest : public test::PullerFixture {};

// --- Publishing and finishing ---

TEST_F(PullerEndTest, AHostPublishesOnceTheRunIsStagedAndThenFinishes) {
  gather();
  EXPECT_EQ(deeds_.completions, 1U);
  ASSERT_TRUE(calls<CheckRun>());
  answer(RunChecked{RunState::staging});
  pass(milliseconds(100));
  EXPECT_TRUE(is_idle());
  pass(milliseconds(899));
  EXPECT_TRUE(is_idle());
  pass(milliseconds(1));
  ASSERT_TRUE(calls<CheckRun>());
  EXPECT_EQ(deeds_.publications, 0U);
  answer(RunChecked{RunState::staged});
  EXPECT_EQ(deeds_.publications, 1U);
  EXPECT_EQ(call<Finish>().slots, 1U);
  EXPECT_FALSE(puller_->is_finished());
  answer(FinishOutcome::finished);
  EXPECT_TRUE(puller_->is_finished());
  EXPECT_EQ(deeds_.conclusion, How::finished);
  EXPECT_EQ(deeds_.publications, 1U);
}

TEST_F(PullerEndTest, AWakeUpChecksTheRunAtOnce) {
  gather();
  answer(RunChecked{RunState::staging});
  hear(Listening::woken);
  EXPECT_TRUE(calls<CheckRun>());
}

TEST_F(PullerEndTest, LostChecksAndFinishesAreRepeatedASecondLater) {
  gather();
  lose_answer();
  EXPECT_FALSE(calls<CheckRun>());
  pass(seconds(1));
  answer(RunChecked{RunState::staged});
  ASSERT_TRUE(calls<Finish>());
  lose_answer();
  EXPECT_FALSE(calls<Finish>());
  pass(seconds(1));
  EXPECT_TRUE(calls<Finish>());
  EXPECT_EQ(deeds_.publications, 1U);
}

TEST_F(PullerEndTest, AHostThatFinishesEarlyTriesAgainASecondLater) {
  gather();
  answer(RunChecked{RunState::staged});
  answer(FinishOutcome::early);
  EXPECT_FALSE(calls<Finish>());
  pass(milliseconds(999));
  EXPECT_FALSE(calls<Finish>());
  pass(milliseconds(1));
  answer(FinishOutcome::finished);
  EXPECT_EQ(deeds_.conclusion, How::finished);
}

TEST_F(PullerEndTest, AHostWithAnEqualPayloadFinishesWithoutPublishing) {
  begin();
  disk_.step = Step::published;
  for (const PieceNumber piece : {1U, 2U}) {
    pieces_->move(piece, PieceState::in_flight);
    for (const auto state : {PieceState::judging, PieceState::verified})
      pieces_->move(piece, state);
  }
  pass(seconds(1));
  EXPECT_TRUE(calls<Finish>());
  EXPECT_EQ(deeds_.publications, 0U);
}

TEST_F(PullerEndTest, AFinishedHostConcludesWhenAllItsPullsAreSettled) {
  start({.pieces = 2, .slots = 2});
  probed();
  find_manifest();
  const auto first = grant({0});
  const auto second = grant({1});
  bring(first, 0);
  EXPECT_FALSE(call<CompleteClaim>().next) << "it needs nothing more";
  answer(ClaimOutcome{Wait{view()}});
  bring(second, 1);
  EXPECT_EQ(call<CompleteClaim>().pull, second) << "before the run is checked";
  answer(ClaimOutcome{Wait{view()}});
  answer(RunChecked{RunState::staged});
  EXPECT_FALSE(deeds_.conclusion);
  answer(FinishOutcome::finished);
  EXPECT_EQ(deeds_.conclusion, How::finished) << "though no rsync has ended";
}

TEST_F(PullerEndTest, AFinishedHostConcludesWhenItsProbeHasEndedAndItsSlotsAreReported) {
  start({.pieces = 1});
  const auto id = grant({0});
  bring_manifest(id);
  bring(id, 0);
  answer(ClaimOutcome{Wait{view()}});
  answer(RunChecked{RunState::staged});
  answer(FinishOutcome::finished);
  EXPECT_FALSE(deeds_.conclusion) << "the probe runs";
  answers_reports_ = false;
  probed();
  pass(milliseconds(100));
  EXPECT_EQ(call<Report>().slots, 1U);
  answer(ViewOutcome{view()});
  EXPECT_EQ(deeds_.conclusion, How::finished);
}

// --- The run ends ---

TEST_F(PullerEndTest, ARunThatEndsAtAnyCallConcludesTheDownload) {
  answers_reports_ = false;
  const auto expect_over = [this] {
    answer_stale();
    EXPECT_EQ(deeds_.conclusion, How::run_over);
  };
  start({.slots = 1});
  ASSERT_TRUE(calls<AskClaim>());
  expect_over();

  start({.slots = 1});
  bring_manifest(grant({0}));
  end(deeds_.last_pull);
  ASSERT_TRUE(calls<CompleteClaim>());
  expect_over();

  start({.slots = 1});
  bring(grant({0}), 0);
  ASSERT_TRUE(calls<Report>());
  expect_over();

  start({.slots = 1});
  tell_to_wait(seconds(100));
  pass(LeaseTerms::renewal);
  ASSERT_TRUE(calls<Renew>());
  expect_over();

  start({.has_trees = true});
  probed();
  ASSERT_TRUE(calls<ReportFromSeat>());
  expect_over();

  answers_reports_ = true;
  gather();
  ASSERT_TRUE(calls<CheckRun>());
  expect_over();

  for (const auto outcome : {FinishOutcome::stale, FinishOutcome::other}) {
    gather();
    answer(RunChecked{RunState::staged});
    ASSERT_TRUE(calls<Finish>());
    answer(outcome);
    EXPECT_EQ(deeds_.conclusion, How::run_over);
  }
}

TEST_F(PullerEndTest, ARunThatEndsAfterThisHostHasFinishedIsNoFault) {
  start({.pieces = 1});
  const auto id = grant({0});
  bring_manifest(id);
  bring(id, 0);
  answer(ClaimOutcome{Wait{view()}});
  answer(RunChecked{RunState::staged});
  answer(FinishOutcome::finished);
  EXPECT_FALSE(deeds_.conclusion);
  answers_reports_ = false;
  probed();
  pass(milliseconds(100));
  ASSERT_TRUE(calls<Report>());
  answer_stale();
  EXPECT_EQ(deeds_.conclusion, How::finished);
}

}  // namespace
}  // namespace libsync
