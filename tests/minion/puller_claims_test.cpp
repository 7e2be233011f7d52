// A host that pulls by claims: it asks for claims, and handles answers, failures and files.

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

class PullerClaimsTest : public test::PullerFixture {
 protected:
  /// The pull ends in this way, and Redis grants no next claim.
  void fail(TransferId id, PullEnd how) {
    end(id, how);
    EXPECT_FALSE(call<CompleteClaim>().next) << "the host pauses before its next claim";
    answer(ClaimOutcome{Wait{view()}});
  }
  /// The host asks again exactly after a back-off, in spite of a wake-up.
  void wake_after(Duration back_off) {
    hear(Listening::woken);
    EXPECT_TRUE(is_idle()) << "a wake-up does not shorten a back-off";
    EXPECT_EQ(puller_->due(now_), now_ + back_off);
    pass(back_off - milliseconds(1));
    EXPECT_TRUE(is_idle());
    pass(milliseconds(1));
    EXPECT_TRUE(calls<AskClaim>());
  }
};

TEST_F(PullerClaimsTest, AHostAsksPullsJudgesAndCompletes) {
  start({.pieces = 3, .slots = 1});
  const auto want = call<AskClaim>().want;
  EXPECT_EQ(want.most_pieces, 1U);
  EXPECT_EQ(want.unwanted.size(), 0U);
  const auto id = grant({2});
  const auto assignment = deeds_.running.at(id);
  EXPECT_EQ(assignment.source, host(2));
  EXPECT_EQ(assignment.token, want.token);
  EXPECT_EQ(assignment.manifests, Manifests::one);
  EXPECT_EQ(pieces_->state(2), PieceState::in_flight);
  EXPECT_TRUE(is_idle()) << "its only slot is in use";
  bring_manifest(id);
  arrive(id, "p00002");
  EXPECT_THAT(deeds_.judging, ElementsAre(2));
  EXPECT_EQ(judge(2, Verdict::good), host(2));
  end(id);
  const auto completed = call<CompleteClaim>();
  EXPECT_EQ(completed.pull, id);
  EXPECT_EQ(completed.token, want.token);
  EXPECT_EQ(completed.end, PullEnd::good);
  ASSERT_TRUE(completed.next) << "the free slot asks at once";
  EXPECT_NE(completed.next->token, want.token);
  EXPECT_THAT(completed.next->unwanted.members(), ElementsAre(2));
  EXPECT_EQ(deeds_.running.at(grant({0})).manifests, Manifests::none)
      << "the host has the manifest";
}

TEST_F(PullerClaimsTest, AHostHoldsAsManyClaimsAsItHasSlots) {
  start({.slots = 3});
  for (PieceNumber piece = 0; piece < 3; ++piece) grant({piece});
  EXPECT_TRUE(is_idle());
  EXPECT_THAT(deeds_.running, SizeIs(3));
  EXPECT_EQ(puller_->ledger().claims(), 3U);
  start({});
  for (PieceNumber piece = 0; piece < default_slots(Cut{2, 1}); ++piece) grant({piece});
  EXPECT_TRUE(is_idle()) << "the default, if no number is configured";
}

// --- Lost answers ---

TEST_F(PullerClaimsTest, ALostClaimKeepsItsTokenUntilItIsGranted) {
  start({.slots = 1});
  const auto token = wanted_token();
  for (int i = 0; i < 3; ++i) {
    lose_answer();
    EXPECT_EQ(call<AskClaim>().want.token, token);
  }
  bring_all(grant({0}));
  EXPECT_NE(wanted_token(), token) << "the next claim is another one";
}

TEST_F(PullerClaimsTest, ALostCompletionIsRepeated) {
  start({.slots = 1});
  const auto id = grant({0, 1});
  bring_manifest(id);
  bring(id, 0);
  end(id, PullEnd::unreachable);
  const auto first = call<CompleteClaim>();
  lose_answer();
  const auto again = call<CompleteClaim>();
  EXPECT_EQ(again.pull, id);
  EXPECT_EQ(again.token, first.token);
  EXPECT_EQ(again.end, PullEnd::unreachable);
  EXPECT_EQ(again.detail, "because");
  EXPECT_FALSE(again.next);
  EXPECT_EQ(puller_->ledger().claims(), 1U) << "until Redis knows of its end";
}

TEST_F(PullerClaimsTest, ALostCompletionNamesTheSameNextToken) {
  start({.slots = 1});
  bring_all(grant({0}));
  const auto token = wanted_token();
  lose_answer();
  EXPECT_EQ(wanted_token(), token);
  EXPECT_EQ(deeds_.running.at(grant({1})).token, token);
}

TEST_F(PullerClaimsTest, ALostCompletionOfAClaimWithoutAPullIsRepeated) {
  start({.slots = 1});
  const auto token = wanted_token();
  answer(ClaimOutcome{Unusable{token, "evil"}});
  for (int i = 0; i < 2; ++i) {
    const auto completed = call<CompleteClaim>();
    EXPECT_FALSE(completed.pull);
    EXPECT_EQ(completed.token, token);
    EXPECT_EQ(completed.end, PullEnd::refused);
    lose_answer();
  }
  EXPECT_THAT(deeds_.warnings, SizeIs(1)) << "once";
}

// --- Waiting ---

TEST_F(PullerClaimsTest, AWaitingHostAsksAgainInCaseItsWakeUpWasLost) {
  start({.slots = 1});
  tell_to_wait(seconds(5));
  EXPECT_EQ(puller_->patience(), seconds(5));
  EXPECT_TRUE(is_idle());
  EXPECT_EQ(puller_->due(now_), now_ + seconds(10));
  pass(seconds(10));
  EXPECT_TRUE(calls<AskClaim>());
}

TEST_F(PullerClaimsTest, AWakeUpOrTheEndOfListeningAsksAtOnce) {
  start({.slots = 1});
  for (const auto heard : {Listening::woken, Listening::lapsed}) {
    tell_to_wait();
    hear(Listening::on);
    EXPECT_TRUE(is_idle());
    hear(heard);
    EXPECT_TRUE(calls<AskClaim>());
  }
}

TEST_F(PullerClaimsTest, AWakeUpDuringABackOffDoesNotShortenIt) {
  start({.slots = 1});
  for (const auto back_off : {400, 800, 1600}) {
    fail(grant({0}), PullEnd::unreachable);
    wake_after(milliseconds(back_off));
  }
}

// --- Files ---

TEST_F(PullerClaimsTest, AFileThatIsNamedTwiceIsJudgedOnce) {
  start({.slots = 1});
  const auto id = grant({0});
  for (int i = 0; i < 2; ++i) arrive(id, "p00000");
  EXPECT_THAT(deeds_.judging, ElementsAre(0));
  judge(0, Verdict::good);
  arrive(id, "p00000");
  EXPECT_THAT(deeds_.judging, IsEmpty()) << "it is verified already";
}

TEST_F(PullerClaimsTest, AFileOfAPullThatIsOverIsNotJudged) {
  start({.slots = 1});
  const auto id = grant({0});
  end(id, PullEnd::unreachable);
  arrive(id, "p00000");
  arrive(id, "manifest");
  EXPECT_THAT(deeds_.judging, IsEmpty());
  answer(ClaimOutcome{Wait{view()}});
  arrive(id, "p00000");
  arrive(99, "p00000");
  EXPECT_THAT(deeds_.judging, IsEmpty());
  EXPECT_EQ(pieces_->state(0), PieceState::wanted);
}

TEST_F(PullerClaimsTest, WrongBytesAreCompletedAsCorruptAndWantedAgain) {
  start({.slots = 1});
  const auto id = grant({0, 1});
  bring_manifest(id);
  arrive(id, "p00000");
  arrive(id, "p00001");
  end(id);
  EXPECT_TRUE(is_idle()) << "they are being judged";
  EXPECT_FALSE(judge(0, Verdict::bad));
  EXPECT_EQ(judge(1, Verdict::good), host(2));
  EXPECT_EQ(call<CompleteClaim>().end, PullEnd::corrupt);
  EXPECT_EQ(pieces_->state(0), PieceState::wanted);
}

TEST_F(PullerClaimsTest, AClaimWithoutPiecesIsForTheManifest) {
  start({.pieces = 2, .state = PieceState::unknown, .slots = 1});
  EXPECT_EQ(call<AskClaim>().want.most_pieces, 0U);
  const auto id = grant({});
  EXPECT_EQ(deeds_.running.at(id).manifests, Manifests::one);
  EXPECT_THAT(deeds_.running.at(id).pieces, IsEmpty());
  bring_all(id);
  EXPECT_EQ(call<CompleteClaim>().end, PullEnd::good);
  EXPECT_FALSE(call<CompleteClaim>().next) << "the states of the pieces are unknown";
}

TEST_F(PullerClaimsTest, AClaimForAManifestThatIsHereAlreadyIsCompletedAsGood) {
  start({.pieces = 2, .state = PieceState::unknown, .slots = 1});
  const auto token = wanted_token();
  find_manifest();
  grant({});
  EXPECT_THAT(deeds_.running, IsEmpty());
  EXPECT_FALSE(call<CompleteClaim>().pull);
  EXPECT_EQ(call<CompleteClaim>().token, token);
  EXPECT_EQ(call<CompleteClaim>().end, PullEnd::good);
  answer(ClaimOutcome{Wait{view()}});
  EXPECT_TRUE(is_idle());
}

// --- Answers that the host does not expect ---

TEST_F(PullerClaimsTest, AnUnusableSourceIsRefusedWithAWarningAndAPause) {
  start({.slots = 1});
  const auto token = wanted_token();
  answer(ClaimOutcome{Unusable{token, "evil"}});
  EXPECT_THAT(drain_warnings(), ElementsAre(HasSubstr("the source 'evil' is no address")));
  const auto completed = call<CompleteClaim>();
  EXPECT_FALSE(completed.pull);
  EXPECT_EQ(completed.end, PullEnd::refused);
  EXPECT_THAT(completed.detail, HasSubstr("evil"));
  EXPECT_FALSE(completed.next);
  answer(ClaimOutcome{Wait{view()}});
  wake_after(seconds(1));
  EXPECT_NE(wanted_token(), token);
}

TEST_F(PullerClaimsTest, ThreeUnusableSourcesInARowGiveUp) {
  start({.slots = 1});
  for (int i = 0; i < 3; ++i) {
    ASSERT_FALSE(deeds_.failure) << i;
    answer(ClaimOutcome{Unusable{wanted_token(), "2001:db8::7"}});
    if (i == 2) break;
    answer(ClaimOutcome{Wait{view()}});
    wake_after(seconds(1));
  }
  ASSERT_TRUE(deeds_.failure);
  EXPECT_EQ(deeds_.failure->status(), ExitStatus::no_source);
  EXPECT_EQ(deeds_.failure->remedy(), Remedy::operator_acts);
  EXPECT_THAT(deeds_.failure->what(), HasSubstr("'2001:db8::7' is no address within --peers"));
}

TEST_F(PullerClaimsTest, AGoodPieceBetweenUnusableSourcesMakesTheHostGoOn) {
  start({.slots = 1});
  for (PieceNumber piece = 0; piece < 4; ++piece) {
    for (int i = 0; i < 2; ++i) {
      answer(ClaimOutcome{Unusable{wanted_token(), "2001:db8::7"}});
      answer(ClaimOutcome{Wait{view()}});
      wake_after(seconds(1));
    }
    bring_all(grant({piece}));
  }
  EXPECT_FALSE(deeds_.failure);
}

TEST_F(PullerClaimsTest, TheEndOfAClaimWithoutAPullMakesNoHostWait) {
  start({.slots = 1});
  answer(ClaimOutcome{Unusable{wanted_token(), "evil"}});
  answer(ClaimOutcome{Wait{view(), seconds(30)}});
  EXPECT_EQ(puller_->due(now_), now_ + seconds(1)) << "the host asked for no claim";
  pass(seconds(1));
  EXPECT_TRUE(calls<AskClaim>());
}

TEST_F(PullerClaimsTest, APieceThatTheRunDoesNotHaveEndsTheDownload) {
  start({.pieces = 3, .slots = 1});
  grant({0, 3});
  ASSERT_TRUE(deeds_.failure);
  EXPECT_EQ(deeds_.failure->status(), ExitStatus::redis);
  EXPECT_EQ(deeds_.failure->remedy(), Remedy::operator_acts);
  EXPECT_THAT(deeds_.failure->what(), HasSubstr("Redis grants piece 3, and the run has 3"));
  EXPECT_THAT(deeds_.running, IsEmpty());
}

TEST_F(PullerClaimsTest, APieceThatIsGrantedTwiceIsPulledOnce) {
  start({.slots = 1});
  EXPECT_THAT(deeds_.running.at(grant({4, 4})).pieces, SizeIs(1));
}

// --- Failures ---

TEST_F(PullerClaimsTest, FourFailuresInARowGiveUp) {
  start({.slots = 1});
  for (int i = 0; i < 4; ++i) {
    ASSERT_FALSE(deeds_.failure);
    fail(grant({0}), PullEnd::unreachable);
    hear(Listening::woken);
    pass(seconds(4));
  }
  ASSERT_TRUE(deeds_.failure);
  EXPECT_EQ(deeds_.failure->status(), ExitStatus::no_source);
  EXPECT_EQ(deeds_.failure->remedy(), Remedy::try_again);
  EXPECT_STREQ(deeds_.failure->what(),
               "no usable source, after 4 failures in a row; the last: because");
  EXPECT_THAT(drain_warnings(), SizeIs(3)) << "the last one is in the failure";
}

TEST_F(PullerClaimsTest, ThreeRefusalsInARowGiveUp) {
  start({.slots = 1});
  for (int i = 0; i < 3; ++i) {
    ASSERT_FALSE(deeds_.failure);
    fail(grant({0}), PullEnd::refused);
    hear(Listening::woken);
    pass(seconds(4));
  }
  ASSERT_TRUE(deeds_.failure);
  EXPECT_EQ(deeds_.failure->status(), ExitStatus::no_source);
  EXPECT_EQ(deeds_.failure->remedy(), Remedy::operator_acts);
}

TEST_F(PullerClaimsTest, AGoodPieceBetweenFailuresCounts) {
  start({.slots = 1});
  for (int i = 0; i < 6; ++i) {
    const auto id = grant({0, static_cast<PieceNumber>(i + 1)});
    bring(id, static_cast<PieceNumber>(i + 1));
    fail(id, PullEnd::unreachable);
    hear(Listening::woken);
    pass(milliseconds(400));
    ASSERT_FALSE(deeds_.failure) << i;
  }
}

TEST_F(PullerClaimsTest, AHostDoesNotGiveUpWhileAnotherPullRuns) {
  start({.slots = 2});
  const auto other = grant({9});
  for (int i = 0; i < 4; ++i) {
    fail(grant({0}), PullEnd::unreachable);
    ASSERT_FALSE(deeds_.failure) << i;
    hear(Listening::woken);
    pass(milliseconds(3'200));
  }
  tell_to_wait();
  fail(other, PullEnd::unreachable);
  EXPECT_TRUE(deeds_.failure);
}

TEST_F(PullerClaimsTest, ABusySourceIsNoFault) {
  start({.slots = 1});
  for (int i = 0; i < 10; ++i) {
    fail(grant({0}), PullEnd::busy);
    wake_after(milliseconds(200));
  }
  EXPECT_FALSE(deeds_.failure);
  EXPECT_THAT(drain_warnings(), IsEmpty());
}

TEST_F(PullerClaimsTest, AFaultOfThisHostGivesUpAtOnceAndInOneLine) {
  start({.slots = 2});
  grant({1});
  end(grant({0}), PullEnd::local);
  EXPECT_EQ(call<CompleteClaim>().end, PullEnd::local);
  answer(ClaimOutcome{Wait{view()}});
  ASSERT_TRUE(deeds_.failure);
  EXPECT_EQ(deeds_.failure->status(), ExitStatus::local);
  EXPECT_EQ(deeds_.failure->remedy(), Remedy::try_again);
  EXPECT_STREQ(deeds_.failure->what(), "because");
  EXPECT_THAT(drain_warnings(), IsEmpty());
}

}  // namespace
}  // namespace libsync
