// A run on one host, to its end: reports, renewals, suspicion, deliveries, publishing, finishing.

#include <gmock/gmock.h>

#include "puller_fixture.h"

namespace libsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::host;
using test::staged;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using How = Conclude::How;
using Step = DiskState::Step;

class PullerRunTest : public test::PullerFixture {
 protected:
  /// Three pieces by one slot. The probe is good; the manifest and the first piece are here.
  void begin() {
    start({.pieces = 3, .slots = 1});
    probed();
    bring_all(grant({0}));
    tell_to_wait();
  }

  /// All pieces are here.
  void gather() {
    begin();
    for (const PieceNumber piece : {1U, 2U}) {
      hear(Listening::woken);
      pass(milliseconds(100));
      const auto id = grant({piece});
      arrive(id, piece_name(piece));
      end(id);
      judge(piece, Verdict::good);
      answer(ClaimOutcome{Wait{view()}});
    }
  }

  /// Everything is reported.
  void report_all() { pass(milliseconds(100)); }
};

// --- Reports ---

TEST_F(PullerRunTest, SlotsAreOfferedOnceTheProbeIsGoodAndTheManifestIsHere) {
  start({.pieces = 3, .slots = 1});
  EXPECT_TRUE(deeds_.is_probing);
  const auto id = grant({0});
  bring(id, 0);
  ASSERT_THAT(deeds_.reports, SizeIs(1));
  EXPECT_EQ(deeds_.reports.back().slots, 0U);
  bring_manifest(id);
  pass(seconds(1));
  EXPECT_THAT(deeds_.reports, SizeIs(1)) << "it is not served yet";
  probed();
  ASSERT_THAT(deeds_.reports, SizeIs(2));
  EXPECT_EQ(deeds_.reports.back().slots, 1U);
}

TEST_F(PullerRunTest, NewsIsReportedEveryTenthOfASecondAtTheMost) {
  start({.slots = 1});
  const auto id = grant({0, 1, 2, 3});
  bring(id, 0);
  EXPECT_THAT(deeds_.reports, SizeIs(1)) << "the first at once";
  bring(id, 1);
  pass(milliseconds(50));
  bring(id, 2);
  EXPECT_THAT(deeds_.reports, SizeIs(1));
  EXPECT_EQ(puller_->due(now_), now_ + milliseconds(50));
  pass(milliseconds(50));
  EXPECT_THAT(deeds_.reports, SizeIs(2));
  pass(seconds(10));
  EXPECT_THAT(deeds_.reports, SizeIs(2)) << "there is no news";
}

TEST_F(PullerRunTest, ALostReportIsRepeated) {
  start({.slots = 1});
  answers_reports_ = false;
  bring(grant({0}), 0);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(call<Report>().slots, 0U);
    lose_answer();
  }
  answer(ViewOutcome{view()});
  pass(seconds(1));
  EXPECT_TRUE(is_idle()) << "Redis knows";
}

TEST_F(PullerRunTest, WhatComesWhileAReportIsUnderWayIsReportedAfterIt) {
  start({.slots = 1});
  const auto id = grant({0, 1});
  arrive(id, "p00000");
  arrive(id, "p00001");
  answers_reports_ = false;
  judge(0, Verdict::good);
  ASSERT_TRUE(calls<Report>());
  judge(1, Verdict::good);
  answer(ViewOutcome{view()});
  pass(milliseconds(100));
  EXPECT_TRUE(calls<Report>());
}

// --- Renewals ---

TEST_F(PullerRunTest, LeasesAreRenewedAndAllIsReportedAgain) {
  begin();
  report_all();
  const auto reports = deeds_.reports.size();
  hear(Listening::woken);
  const auto token = wanted_token();
  grant({1});
  pass(LeaseTerms::renewal);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(call<Renew>().tokens, ElementsAre(token));
    lose_answer();
  }
  answer(RenewOutcome{Renewed{view()}});
  EXPECT_THAT(deeds_.reports, SizeIs(reports + 1)) << "Redis may have lost its data";
  EXPECT_TRUE(is_idle());
  pass(LeaseTerms::renewal - milliseconds(1));
  EXPECT_TRUE(is_idle());
  pass(milliseconds(1));
  EXPECT_TRUE(calls<Renew>());
}

TEST_F(PullerRunTest, ADaemonThatDidNotServeTheHostIsProbedAgainAtARenewal) {
  start({.slots = 1});
  probed("nobody listens");
  grant({0});
  pass(LeaseTerms::renewal);
  EXPECT_FALSE(deeds_.is_probing);
  answer(RenewOutcome{Renewed{view()}});
  EXPECT_TRUE(deeds_.is_probing);
  probed();
  pass(LeaseTerms::renewal);
  answer(RenewOutcome{Renewed{view()}});
  EXPECT_FALSE(deeds_.is_probing) << "it serves";
}

// --- Digests of candidates ---

TEST_F(PullerRunTest, DigestsOfCandidatesAreAskedForWithAGrowingPause) {
  start({.pieces = 2, .state = PieceState::candidate, .slots = 1});
  EXPECT_THAT(call<AskDigests>().pieces, ElementsAre(0, 1));
  lose_answer();
  EXPECT_THAT(call<AskDigests>().pieces, ElementsAre(0, 1));
  answer(Digests{{staged(1)}});
  EXPECT_EQ(deeds_.candidates_checked, 1U);
  for (const auto pause : {20, 40, 80, 160, 320, 640, 1000, 1000}) {
    if (calls<AskClaim>()) tell_to_wait(seconds(100));  // For the manifest.
    EXPECT_EQ(puller_->due(now_), now_ + milliseconds(pause));
    pass(milliseconds(pause));
    EXPECT_THAT(call<AskDigests>().pieces, ElementsAre(0));
    answer(Digests{});
  }
}

TEST_F(PullerRunTest, ACandidateThatTurnsUpLaterIsAskedForAtOnce) {
  start({.pieces = 2, .state = PieceState::unknown, .slots = 1});
  tell_to_wait(seconds(100));
  EXPECT_EQ(puller_->due(now_), now_ + LeaseTerms::renewal) << "there is no candidate";
  move(1, PieceState::candidate);
  EXPECT_THAT(call<AskDigests>().pieces, ElementsAre(1));
  answer(Digests{{staged(1)}});
  EXPECT_TRUE(is_idle());
}

TEST_F(PullerRunTest, AWakeUpAsksForDigestsAtOnce) {
  start({.pieces = 1, .state = PieceState::candidate, .slots = 1});
  answer(Digests{});
  tell_to_wait();
  hear(Listening::woken);
  EXPECT_TRUE(calls<AskDigests>());
}

// --- Suspicion ---

TEST_F(PullerRunTest, ASuspectHostReverifiesAndReportsThatItIsCleared) {
  begin();
  hear(Listening::woken);
  const auto id = grant({1, 2});
  suspicion_ = Suspicion::verify;
  bring(id, 1);
  report_all();
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(call<AskDigests>().pieces, ElementsAre(0, 1)) << "all that it serves";
    lose_answer();
  }
  answer(Digests{{staged(0), staged(1)}});
  EXPECT_EQ(deeds_.reverifications, 1U);
  EXPECT_THAT(drain_warnings(), ElementsAre(HasSubstr("other hosts got wrong bytes from here")));
  const auto reports = deeds_.reports.size();
  bring(id, 2);
  pass(seconds(2));
  EXPECT_EQ(deeds_.publications, 0U);
  EXPECT_EQ(deeds_.completions, 0U) << "it may not be good";
  for (auto i = reports; i < deeds_.reports.size(); ++i) {
    EXPECT_EQ(deeds_.reports.at(i).clearance, Clearance::none);
  }
  suspicion_ = Suspicion::none;
  reverified();
  EXPECT_EQ(deeds_.reports.back().clearance, Clearance::cleared);
  EXPECT_EQ(deeds_.completions, 1U);
  pass(seconds(1));
  EXPECT_EQ(deeds_.reverifications, 1U);
}

TEST_F(PullerRunTest, AClearanceWhoseReportIsLostIsReportedAgain) {
  begin();
  suspicion_ = Suspicion::verify;
  hear(Listening::woken);
  tell_to_wait();
  answer(Digests{{staged(0)}});
  answers_reports_ = false;
  reverified();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(call<Report>().clearance, Clearance::cleared);
    lose_answer();
  }
  answer(ViewOutcome{view()});
  EXPECT_TRUE(calls<AskDigests>()) << "another host has accused it since";
}

TEST_F(PullerRunTest, ASuspectHostWhoseDigestsAreNotKnownAsksLater) {
  begin();
  hear(Listening::woken);
  suspicion_ = Suspicion::verify;
  tell_to_wait();
  answer(Digests{});
  EXPECT_EQ(deeds_.reverifications, 0U);
  EXPECT_TRUE(is_idle()) << "until the next answer";
  hear(Listening::woken);
  tell_to_wait();
  EXPECT_TRUE(calls<AskDigests>());
}

TEST_F(PullerRunTest, ASuspectHostThatServesNothingIsClearedAtOnce) {
  start({.slots = 1});
  suspicion_ = Suspicion::verify;
  answers_reports_ = false;
  tell_to_wait();
  answer(Digests{});
  EXPECT_EQ(call<Report>().clearance, Clearance::cleared);
}

// --- Publishing and finishing ---

TEST_F(PullerRunTest, TheTreeIsPublishedOnceTheRunIsStagedAndThenFinished) {
  gather();
  EXPECT_EQ(deeds_.completions, 1U);
  ASSERT_TRUE(calls<CheckRun>());
  answer(RunChecked{RunState::staging});
  report_all();
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

TEST_F(PullerRunTest, AWakeUpChecksTheRunAtOnce) {
  gather();
  answer(RunChecked{RunState::staging});
  hear(Listening::woken);
  EXPECT_TRUE(calls<CheckRun>());
}

TEST_F(PullerRunTest, LostChecksAndFinishesAreRepeatedASecondLater) {
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

TEST_F(PullerRunTest, AHostThatFinishesEarlyTriesAgainASecondLater) {
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

TEST_F(PullerRunTest, AnEqualPayloadIsFinishedWithoutBeingPublished) {
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

TEST_F(PullerRunTest, AFinishedHostConcludesWhenAllItsPullsAreSettled) {
  start({.pieces = 2, .slots = 2});
  probed();
  find_manifest();
  const auto first = grant({0});
  const auto second = grant({1});
  bring(first, 0);
  bring(second, 1);
  answer(RunChecked{RunState::staged});
  answer(FinishOutcome::finished);
  EXPECT_FALSE(deeds_.conclusion) << "Redis has not heard of the ends of two claims";
  end(first);
  EXPECT_FALSE(call<CompleteClaim>().next) << "it needs nothing more";
  answer(ClaimOutcome{Wait{view()}});
  EXPECT_FALSE(deeds_.conclusion);
  end(second, PullEnd::unreachable);
  EXPECT_EQ(call<CompleteClaim>().end, PullEnd::good);
  answer(ClaimOutcome{Wait{view()}});
  EXPECT_EQ(deeds_.conclusion, How::finished);
}

TEST_F(PullerRunTest, AFinishedHostConcludesWhenItsProbeHasEndedAndItsSlotsAreReported) {
  start({.pieces = 1});
  const auto id = grant({0});
  bring_manifest(id);
  bring(id, 0);
  answer(RunChecked{RunState::staged});
  answer(FinishOutcome::finished);
  end(id);
  answer(ClaimOutcome{Wait{view()}});
  EXPECT_FALSE(deeds_.conclusion) << "the probe is under way";
  answers_reports_ = false;
  probed();
  pass(milliseconds(100));
  EXPECT_EQ(call<Report>().slots, 1U);
  answer(ViewOutcome{view()});
  EXPECT_EQ(deeds_.conclusion, How::finished);
}

// --- The run ends ---

TEST_F(PullerRunTest, ARunThatEndsAtAnyCallConcludesTheDownload) {
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

TEST_F(PullerRunTest, ARunThatEndsAfterThisHostHasFinishedIsAFinishedOne) {
  start({.pieces = 1});
  const auto id = grant({0});
  bring_manifest(id);
  bring(id, 0);
  answer(RunChecked{RunState::staged});
  answer(FinishOutcome::finished);
  EXPECT_FALSE(deeds_.conclusion);
  end(id);
  ASSERT_TRUE(calls<CompleteClaim>());
  answer_stale();
  EXPECT_EQ(deeds_.conclusion, How::finished);
}

}  // namespace
}  // namespace libsync
