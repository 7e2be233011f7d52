// A host reports, renews leases, asks for digests, and reverifies while a run lasts.

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
using testing::SizeIs;

class PullerRunTest : public test::PullerFixture {};

// --- Reports ---

TEST_F(PullerRunTest, SlotsAreOfferedOnceTheProbeIsGoodAndTheManifestIsHere) {
  start({.pieces = 3, .slots = 1});
  EXPECT_TRUE(deeds_.is_probing);
  const auto id = grant({0});
  bring(id, 0);
  ASSERT_THAT(deeds_.reports, SizeIs(1));
  EXPECT_EQ(deeds_.reports.back().slots, 0U);
  bring_manifest(id);
  answer(ClaimOutcome{Wait{view()}});
  pass(seconds(1));
  EXPECT_THAT(deeds_.reports, SizeIs(1)) << "the probe has not ended";
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

TEST_F(PullerRunTest, APieceThatArrivesDuringAReportIsInTheNextOne) {
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

TEST_F(PullerRunTest, AHostRenewsItsLeasesAndReportsAgain) {
  begin();
  pass(milliseconds(100));
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
  probed("no daemon listens");
  grant({0});
  pass(LeaseTerms::renewal);
  EXPECT_FALSE(deeds_.is_probing);
  answer(RenewOutcome{Renewed{view()}});
  EXPECT_TRUE(deeds_.is_probing);
  probed();
  pass(LeaseTerms::renewal);
  answer(RenewOutcome{Renewed{view()}});
  EXPECT_FALSE(deeds_.is_probing) << "the daemon serves";
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

TEST_F(PullerRunTest, TheDigestOfALaterCandidateIsAskedForAtOnce) {
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
  pass(milliseconds(100));
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(call<AskDigests>().pieces, ElementsAre(0, 1)) << "all pieces that it serves";
    lose_answer();
  }
  answer(Digests{{staged(0), staged(1)}});
  EXPECT_EQ(deeds_.reverifications, 1U);
  EXPECT_THAT(drain_warnings(), ElementsAre(HasSubstr("other hosts got wrong bytes from here")));
  const auto reports = deeds_.reports.size();
  bring(id, 2);
  answer(ClaimOutcome{Wait{view()}});
  pass(seconds(2));
  EXPECT_EQ(deeds_.publications, 0U);
  EXPECT_EQ(deeds_.completions, 0U) << "pieces in place may be wrong";
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

TEST_F(PullerRunTest, ASuspectHostWithoutDigestsAsksLater) {
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

}  // namespace
}  // namespace libsync
