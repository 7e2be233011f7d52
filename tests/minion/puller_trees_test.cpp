// A host with a seat in the trees: it pulls from its parents, reports, and may claim besides.

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

const Address kFirstParent = host(11);
const Address kSecondParent = host(12);

class PullerTreesTest : public test::PullerFixture {
 protected:
  /// Two trees; the even pieces come from the first parent.
  void join_with_seat(PieceNumber known = 10) {
    seat_ = {.poll_short = milliseconds(100),
             .poll_long = seconds(4),
             .parents = {kFirstParent, kSecondParent},
             .digests = {}};
    for (PieceNumber piece = 0; piece < known; ++piece) seat_.digests.push_back(staged(piece));
    start({.has_trees = true, .seat = seat_});
  }

  /// The running pull from this parent.
  [[nodiscard]] TransferId pull_from(const Address& parent) const {
    for (const auto& [id, assignment] : deeds_.running) {
      if (assignment.source == parent && !assignment.token) return id;
    }
    throw std::runtime_error("nothing is pulled from " + parent.text());
  }

  /// Both parents fail; the host asks for a claim a while later, before it tries them again.
  void strand() {
    for (const auto& parent : {kFirstParent, kSecondParent}) {
      end(pull_from(parent), PullEnd::unreachable);
    }
    pass(milliseconds(4'900));
    ASSERT_TRUE(calls<AskClaim>());
  }
};

TEST_F(PullerTreesTest, AHostPullsFromItsParentsAndClaimsNothing) {
  join_with_seat();
  EXPECT_TRUE(is_idle());
  ASSERT_THAT(deeds_.running, SizeIs(2));
  const auto first = deeds_.running.at(pull_from(kFirstParent));
  EXPECT_FALSE(first.token);
  ASSERT_THAT(first.pieces, SizeIs(1));
  EXPECT_EQ(first.pieces.front().piece, 0U);
  EXPECT_EQ(first.manifests, Manifests::one);
  EXPECT_EQ(deeds_.running.at(pull_from(kSecondParent)).manifests, Manifests::none)
      << "one pull brings it";
  EXPECT_EQ(puller_->patience(), Trees::patience);
  EXPECT_EQ(puller_->ledger().claims(), 0U);
}

TEST_F(PullerTreesTest, APullFromAParentCostsNoCall) {
  join_with_seat();
  probed();
  bring_all(pull_from(kFirstParent));
  EXPECT_TRUE(is_idle());
  EXPECT_EQ(deeds_.running.at(pull_from(kFirstParent)).pieces.front().piece, 2U);
  end(pull_from(kSecondParent));
  EXPECT_TRUE(is_idle()) << "a parent may have nothing yet";
  EXPECT_THAT(drain_warnings(), IsEmpty());
  EXPECT_EQ(pieces_->state(1), PieceState::wanted);
  pass_until(puller_->due(now_));
  EXPECT_EQ(deeds_.running.at(pull_from(kSecondParent)).pieces.front().piece, 1U);
}

TEST_F(PullerTreesTest, WithoutASeatTheHostReportsForOne) {
  seat_ = {.poll_short = milliseconds(100),
           .poll_long = seconds(4),
           .parents = {kFirstParent},
           .digests = {staged(0)}};
  start({.has_trees = true});
  EXPECT_TRUE(is_idle()) << "nothing is claimed before Redis has answered";
  EXPECT_THAT(deeds_.seat_reports, IsEmpty()) << "its probe must be good first";
  probed();
  EXPECT_THAT(deeds_.seat_reports, SizeIs(1));
  EXPECT_EQ(deeds_.running.at(pull_from(kFirstParent)).pieces.front().piece, 0U);
}

TEST_F(PullerTreesTest, AConfiguredNumberOfSlotsMeansClaims) {
  seat_ = {.poll_short = milliseconds(100), .poll_long = seconds(4), .parents = {kFirstParent}};
  start({.has_trees = true, .slots = 3, .seat = seat_});
  EXPECT_THAT(deeds_.running, IsEmpty());
  EXPECT_EQ(call<AskClaim>().want.unwanted.size(), 0U);
  tell_to_wait();
  probed();
  find_manifest();
  pass(milliseconds(100));
  EXPECT_THAT(deeds_.seat_reports, IsEmpty());
  ASSERT_THAT(deeds_.reports, SizeIs(1));
  EXPECT_EQ(deeds_.reports.front().slots, 3U);
}

// --- Reports ---

TEST_F(PullerTreesTest, AServedHostReportsSoonWhileADigestIsMissingAndSeldomOtherwise) {
  join_with_seat(2);
  EXPECT_EQ(puller_->due(now_), now_ + milliseconds(500)) << "to check its running pulls";
  probed();
  EXPECT_EQ(puller_->due(now_), now_ + milliseconds(100));
  pass(milliseconds(100));
  ASSERT_THAT(deeds_.seat_reports, SizeIs(1));
  EXPECT_EQ(deeds_.seat_reports.front().slots, 0U) << "the host lacks the manifest";
  find_manifest();
  for (PieceNumber piece = 2; piece < 10; ++piece) seat_.digests.push_back(staged(piece));
  pass(milliseconds(100));
  ASSERT_THAT(deeds_.seat_reports, SizeIs(2));
  EXPECT_EQ(deeds_.seat_reports.back().slots, kSlotsBesideTrees);
  pass(milliseconds(3'999));
  EXPECT_THAT(deeds_.seat_reports, SizeIs(2));
  pass(milliseconds(1));
  EXPECT_THAT(deeds_.seat_reports, SizeIs(3));
}

TEST_F(PullerTreesTest, AWakeUpReportsAtOnceAndTheEndOfListeningDoesNot) {
  join_with_seat();
  probed();
  hear(Listening::lapsed);
  EXPECT_THAT(deeds_.seat_reports, IsEmpty());
  hear(Listening::woken);
  EXPECT_THAT(deeds_.seat_reports, SizeIs(1));
}

TEST_F(PullerTreesTest, ALostReportIsRepeatedWithItsFeedback) {
  join_with_seat();
  probed();
  end(pull_from(kFirstParent), PullEnd::unreachable);
  EXPECT_THAT(drain_warnings(), ElementsAre("because"));
  answers_reports_ = false;
  pass(milliseconds(100));
  for (int i = 0; i < 3; ++i) {
    const auto report = call<ReportFromSeat>();
    ASSERT_THAT(report.feedback, SizeIs(1));
    EXPECT_EQ(report.feedback.front().parent, kFirstParent);
    lose_answer();
  }
  answer(SeatOutcome{Seated{view(), seat_}});
  EXPECT_TRUE(is_idle());
  pass(milliseconds(100));
  EXPECT_THAT(call<ReportFromSeat>().feedback, IsEmpty()) << "Redis has it";
}

TEST_F(PullerTreesTest, AReportBringsParentsAndDigests) {
  join_with_seat(2);
  probed();
  end(pull_from(kFirstParent), PullEnd::unreachable);
  EXPECT_THAT(deeds_.running, SizeIs(1));
  seat_.parents.front() = host(21);
  seat_.digests = {staged(2), staged(3)};
  pass(milliseconds(100));
  EXPECT_EQ(deeds_.running.at(pull_from(host(21))).pieces.front().piece, 0U);
  EXPECT_TRUE(pieces_->digest(3));
}

TEST_F(PullerTreesTest, CandidatesAreCheckedWhenAReportBringsTheirDigests) {
  seat_ = {.poll_short = milliseconds(100), .poll_long = seconds(4), .parents = {kFirstParent}};
  start({.pieces = 2, .state = PieceState::candidate, .has_trees = true, .seat = seat_});
  answer(Digests{});
  tell_to_wait();  // For the manifest.
  probed();
  seat_.digests = {staged(0), staged(1)};
  pass(milliseconds(100));
  const auto checked = deeds_.candidates_checked;
  answer(Digests{});
  EXPECT_EQ(deeds_.candidates_checked, checked + 2) << "once for each answer";
  hear(Listening::woken);
  EXPECT_FALSE(calls<AskDigests>()) << "the host knows them";
}

// --- Renewals ---

TEST_F(PullerTreesTest, ASeatNeedsNoRenewalButItsClaimsDo) {
  join_with_seat();
  probed();
  pass(LeaseTerms::renewal);
  EXPECT_FALSE(calls<Renew>()) << "its reports keep the host known";
  for (const auto& parent : {kFirstParent, kSecondParent}) {
    end(pull_from(parent), PullEnd::unreachable);
  }
  pass(milliseconds(4'000));
  const auto token = wanted_token();
  grant({8});
  tell_to_wait();
  pass(LeaseTerms::renewal - milliseconds(4'000));
  EXPECT_THAT(call<Renew>().tokens, ElementsAre(token));
}

TEST_F(PullerTreesTest, AHostWithASeatThatIsNotServedYetRenews) {
  join_with_seat();
  pass(LeaseTerms::renewal);
  EXPECT_THAT(call<Renew>().tokens, IsEmpty());
}

// --- Claims beside the trees ---

TEST_F(PullerTreesTest, AHostWithoutAServingDaemonHasNoSeatAndClaims) {
  join_with_seat();
  probed("its module exports another folder");
  EXPECT_TRUE(calls<AskClaim>());
  EXPECT_THAT(call<AskClaim>().want.unwanted.members(), ElementsAre(0, 1))
      << "except the pieces of running pulls";
  tell_to_wait();
  bring_all(pull_from(kFirstParent));
  pass(milliseconds(100));
  ASSERT_THAT(deeds_.reports, SizeIs(1));
  EXPECT_EQ(deeds_.reports.front().slots, 0U);
  EXPECT_THAT(deeds_.seat_reports, IsEmpty());
  EXPECT_THAT(deeds_.running, SizeIs(1)) << "its seat starts no further pull";
}

TEST_F(PullerTreesTest, AProbeThatIsGoodLaterGivesTheSeatBack) {
  join_with_seat();
  for (const auto& parent : {kFirstParent, kSecondParent}) bring_all(pull_from(parent));
  EXPECT_THAT(deeds_.running, SizeIs(2));
  probed("the daemon is down");
  tell_to_wait();
  for (const auto& parent : {kFirstParent, kSecondParent}) bring_all(pull_from(parent));
  EXPECT_THAT(deeds_.running, IsEmpty());
  pass(LeaseTerms::renewal);
  answer(RenewOutcome{Renewed{view()}});
  ASSERT_TRUE(deeds_.is_probing);
  tell_to_wait();
  probed();
  EXPECT_THAT(deeds_.running, SizeIs(2));
  pass(seconds(4));
  EXPECT_THAT(deeds_.seat_reports, SizeIs(1));
}

TEST_F(PullerTreesTest, ALateClaimLosesThePiecesThatAStreamPullsMeanwhile) {
  join_with_seat();
  find_manifest();
  strand();
  const auto token = wanted_token();
  pass(milliseconds(100));  // Redis has granted 0 and 4. The streams go on before the answer.
  lose_answer();
  ASSERT_EQ(deeds_.running.at(pull_from(kFirstParent)).pieces.front().piece, 0U);
  EXPECT_EQ(wanted_token(), token);
  const auto id = grant({0, 4});
  ASSERT_THAT(deeds_.running.at(id).pieces, SizeIs(1));
  EXPECT_EQ(deeds_.running.at(id).pieces.front().piece, 4U);
  EXPECT_EQ(deeds_.running.at(id).token, token);
}

TEST_F(PullerTreesTest, AClaimWithoutAnyWantedPieceIsCompletedAsGood) {
  join_with_seat();
  find_manifest();
  strand();
  const auto token = wanted_token();
  pass(milliseconds(100));
  lose_answer();
  grant({0, 1});
  for (int i = 0; i < 2; ++i) {
    const auto completed = call<CompleteClaim>();
    EXPECT_FALSE(completed.pull);
    EXPECT_EQ(completed.token, token);
    EXPECT_EQ(completed.end, PullEnd::good);
    EXPECT_FALSE(completed.next);
    lose_answer();
  }
  answer(ClaimOutcome{Wait{view()}});
  EXPECT_NE(wanted_token(), token) << "the host asks for another claim";
}

// --- Ends ---

TEST_F(PullerTreesTest, AFaultOfThisHostGivesUpAtOnceAndInOneLine) {
  join_with_seat();
  end(pull_from(kFirstParent), PullEnd::local);
  ASSERT_TRUE(deeds_.failure);
  EXPECT_EQ(deeds_.failure->status(), ExitStatus::local);
  EXPECT_STREQ(deeds_.failure->what(), "because");
  EXPECT_THAT(drain_warnings(), IsEmpty());
}

TEST_F(PullerTreesTest, ParentsThatFailDoNotMakeTheHostGiveUp) {
  join_with_seat();
  find_manifest();
  for (int i = 0; i < 6; ++i) {
    end(pull_from(kFirstParent), PullEnd::refused);
    ASSERT_FALSE(deeds_.failure);
    pass(seconds(90));
    if (calls<Renew>()) answer(RenewOutcome{Renewed{view()}});
    if (calls<AskClaim>()) tell_to_wait();
  }
  EXPECT_THAT(drain_warnings(), SizeIs(6));
}

TEST_F(PullerTreesTest, APullThatBringsNothingForLongIsEnded) {
  join_with_seat();
  probed();
  const auto held = pull_from(kFirstParent);
  for (int i = 0; i < 80 && deeds_.ended.empty(); ++i) {
    pass(milliseconds(100));
    for (const auto& [id, assignment] : std::map(deeds_.running)) {
      if (id != held && deeds_.running.contains(id)) bring_all(id);
    }
  }
  EXPECT_THAT(deeds_.ended, ElementsAre(held));
  end(held, PullEnd::unreachable);
  EXPECT_EQ(deeds_.running.at(pull_from(kSecondParent)).pieces.front().piece, 0U)
      << "another parent may bring it";
}

}  // namespace
}  // namespace libsync
