// The promises of minion_coordinator.h about joining, reporting, finishing and leaving, for the
// fake and for Redis.

#include "contract_fixture.h"

namespace libsync::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using namespace std::chrono_literals;

class MinionContract : public Contract {
 protected:
  /// Two hosts get wrong bytes from host 5, which makes it suspect.
  void make_host_5_suspect(const RunInfo& info) {
    static_cast<void>(report(info, host(5), all_pieces(), 2));
    for (const auto& accuser : {host(6), host(7)}) {
      auto outcome = claim(info, accuser, pieces({}));
      // Redis may name the origin first. The host gives that claim back without blame.
      while (std::get<Claimed>(outcome).claim.source != host(5)) {
        const auto next = want(1, pieces({}));
        outcome = complete(info, accuser, std::get<Claimed>(outcome).claim.token, PullEnd::busy,
                           pieces({}), next);
      }
      static_cast<void>(complete(info, accuser, std::get<Claimed>(outcome).claim.token,
                                 PullEnd::corrupt, pieces({})));
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Of, MinionContract, all_backends(), name_of_backend);

// --- join ---

TEST_P(MinionContract, JoinWithoutARunNamesTheLastOneThatEnded) {
  master().load_functions();
  auto outcome = join(host(2));
  ASSERT_TRUE(std::holds_alternative<NoRun>(outcome));
  EXPECT_EQ(std::get<NoRun>(outcome).ended, std::nullopt);
  const auto info = begin();
  const auto begun_ms = joined(host(2)).run.begun_ms;
  backend_->advance(5s);
  static_cast<void>(master().end(info.id, "complete", "", TaskAfter::goes));
  outcome = join(host(2));
  ASSERT_TRUE(std::holds_alternative<NoRun>(outcome));
  EXPECT_EQ(std::get<NoRun>(outcome).ended, info.id);
  EXPECT_EQ(std::get<NoRun>(outcome).ended_begun_ms, begun_ms);
}

TEST_P(MinionContract, TheFirstJoinOfATickReturnsTheClaimsOfAnEarlierTick) {
  const auto info = begin(1);
  stage_all(info);
  static_cast<void>(granted(info, host(2), pieces({})));
  static_cast<void>(joined(host(2), Arrival::again));
  EXPECT_EQ(status_of(host(2)).claims, 1U);
  static_cast<void>(joined(host(2), Arrival::first_of_tick));
  EXPECT_EQ(status_of(host(2)).claims, 0U);
  EXPECT_EQ(granted(info, host(3), pieces({})).source, origin());
}

TEST_P(MinionContract, JoinSaysWhetherTheHostHasFinished) {
  const auto info = begin();
  stage_all(info);
  EXPECT_FALSE(joined(host(2)).is_finished);
  EXPECT_EQ(finish(info, host(2)), FinishOutcome::finished);
  EXPECT_TRUE(joined(host(2)).is_finished);
  EXPECT_TRUE(joined(host(2), Arrival::first_of_tick).is_finished);
}

TEST_P(MinionContract, AHostWhoseBytesWereWrongHasToReverifyItsSpool) {
  const auto info = begin();
  stage_all(info);
  EXPECT_EQ(joined(host(5)).suspicion, Suspicion::none);
  make_host_5_suspect(info);
  EXPECT_EQ(joined(host(5)).suspicion, Suspicion::verify);
  EXPECT_EQ(view_of(info, host(5)).suspicion, Suspicion::verify);
  EXPECT_EQ(view_of(info, host(6)).suspicion, Suspicion::none);
  backend_->advance(10min);  // Longer than any quarantine.
  const auto before = view_of(info, host(5)).sources;
  static_cast<void>(report(info, host(5), all_pieces(), 2, Clearance::none));
  EXPECT_EQ(view_of(info, host(5)).sources, before) << "it serves nobody before it has";
  static_cast<void>(report(info, host(5), all_pieces(), 2, Clearance::cleared));
  EXPECT_EQ(joined(host(5)).suspicion, Suspicion::none);
  EXPECT_EQ(view_of(info, host(5)).sources, before + 1);
}

// --- digests ---

TEST_P(MinionContract, DigestsAreThoseOfAnnouncedPieces) {
  const auto info = begin();
  stage(info, {1, 3});
  const auto found = minion(host(2)).digests(info.id, {0, 1, 2, 3});
  ASSERT_THAT(found, SizeIs(2));
  for (const auto& [piece, digest, sum] : found) {
    EXPECT_TRUE(piece == 1 || piece == 3);
    EXPECT_EQ(digest, piece_digest(piece));
  }
  EXPECT_THAT(minion(host(2)).digests(info.id, {0, 2}), IsEmpty());
  EXPECT_THAT(minion(host(2)).digests(random_name<RunId>(), {1}), IsEmpty());
}

// --- report ---

TEST_P(MinionContract, AReportReplacesTheHoldingsOfItsHost) {
  const auto info = begin(1);
  stage_all(info);
  static_cast<void>(
      granted(info, host(9), pieces({})));  // The origin has no free slot from now on.
  const auto outcome = report(info, host(2), pieces({2}), 1);
  ASSERT_TRUE(std::holds_alternative<View>(outcome));
  const auto& view = std::get<View>(outcome);
  EXPECT_EQ(view.state, RunState::staged);
  EXPECT_EQ(view.sources, 1U);
  EXPECT_EQ(view.finished, 0U);
  EXPECT_EQ(status_of(host(2)).in_place, 1U);
  EXPECT_TRUE(status_of(host(2)).is_expected);
  const auto first = granted(info, host(3), pieces({}), 4);
  EXPECT_EQ(first.source, host(2));
  EXPECT_THAT(named_by(first), ElementsAre(2));
  static_cast<void>(complete(info, host(3), first.token, PullEnd::good, pieces({2})));
  // A report with fewer pieces counts too, since the disk may have lost some.
  static_cast<void>(report(info, host(2), pieces({}), 1));
  EXPECT_TRUE(std::holds_alternative<Wait>(claim(info, host(4), pieces({}))));
}

TEST_P(MinionContract, AHostThatOffersNoSlotIsNoSource) {
  const auto info = begin(1);
  stage_all(info);
  static_cast<void>(granted(info, host(9), pieces({})));
  static_cast<void>(report(info, host(2), all_pieces(), 0));
  EXPECT_TRUE(std::holds_alternative<Wait>(claim(info, host(3), pieces({}))));
}

TEST_P(MinionContract, AMinionOnTheMastersHostDoesNotSpeakForItsSpool) {
  const auto info = begin(1);
  stage_all(info);
  static_cast<void>(report(info, origin(), pieces({}), 0));
  EXPECT_EQ(granted(info, host(2), pieces({})).source, origin());
}

// --- state_of, renew ---

TEST_P(MinionContract, StateOfIsThatOfTheRunOrNothing) {
  EXPECT_EQ(minion(host(2)).state_of(random_name<RunId>()), std::nullopt);
  const auto info = begin();
  EXPECT_EQ(minion(host(2)).state_of(info.id), RunState::staging);
  stage_all(info);
  EXPECT_EQ(minion(host(2)).state_of(info.id), RunState::staged);
  EXPECT_EQ(minion(host(2)).state_of(random_name<RunId>()), std::nullopt);
  EXPECT_EQ(status_of(host(2)).seen_ago, std::nullopt) << "it changes nothing";
  static_cast<void>(master().end(info.id, "complete", "", TaskAfter::goes));
  EXPECT_EQ(minion(host(2)).state_of(info.id), std::nullopt);
}

TEST_P(MinionContract, RenewReturnsTheViewWithNoToken) {
  const auto info = begin();
  stage(info, {0});
  const auto view = view_of(info, host(2));
  EXPECT_EQ(view.state, RunState::staging);
  EXPECT_EQ(view.sources, 1U);
  EXPECT_EQ(view.finished, 0U);
  EXPECT_EQ(status_of(host(2)).seen_ago, 0s);
}

// --- finish ---

TEST_P(MinionContract, FinishIsEarlyBeforeTheRunIsStaged) {
  const auto info = begin();
  stage(info, {0, 1, 2, 3});
  EXPECT_EQ(finish(info, host(2)), FinishOutcome::early);
  EXPECT_EQ(standing().finished, 0U);
}

TEST_P(MinionContract, FinishWithAnotherManifestIsOther) {
  auto info = begin();
  stage_all(info);
  info.manifest = digest_of("what another run published");
  EXPECT_EQ(finish(info, host(2)), FinishOutcome::other);
  EXPECT_EQ(standing().finished, 0U);
}

TEST_P(MinionContract, AFinishedHostStaysFinishedAndMayRepeatIt) {
  const auto info = begin(2, {0, {"10.0.0.5"}});
  stage_all(info);
  backend_->advance(3s);
  EXPECT_EQ(finish(info, host(2)), FinishOutcome::finished);
  backend_->advance(3s);
  EXPECT_EQ(finish(info, host(2)), FinishOutcome::finished);
  EXPECT_EQ(standing().finished, 1U);
  EXPECT_EQ(standing().expected, 2U) << "it is expected, too, from now on";
  EXPECT_EQ(status_of(host(2)).finished_after, 3s);
  EXPECT_EQ(status_of(host(2)).in_place, kContractPieces);
  static_cast<void>(report(info, host(2), pieces({}), 0));
  minion(host(2)).leave(info.id, host(2), Retreat::claims_only, "");
  EXPECT_EQ(standing().finished, 1U);
  EXPECT_EQ(view_of(info, host(3)).finished, 1U);
}

TEST_P(MinionContract, FinishNeedsNoClaimAndReportsHoldings) {
  const auto info = begin(1);
  stage_all(info);
  static_cast<void>(granted(info, host(9), pieces({})));
  EXPECT_EQ(finish(info, host(2), pieces({3}), 1), FinishOutcome::finished);
  const auto fed = granted(info, host(3), pieces({}), 4);
  EXPECT_EQ(fed.source, host(2));
  EXPECT_THAT(named_by(fed), ElementsAre(3));
}

// --- doubt ---

TEST_P(MinionContract, DoubtOfTheOriginHasItsSpoolReverified) {
  for (const auto kind : {OriginKind::master, OriginKind::minion}) {
    const auto info = begin(2, {}, Spread::claims, kind);
    stage_all(info);
    minion(host(2)).doubt(info.id, host(2), "it is not the origin");
    EXPECT_FALSE(standing().origin_is_suspect);
    minion(origin()).doubt(random_name<RunId>(), origin(), "another run");
    EXPECT_FALSE(standing().origin_is_suspect);
    minion(origin()).doubt(info.id, origin(), "2 pieces are wrong");
    EXPECT_TRUE(standing().origin_is_suspect);
    EXPECT_EQ(status_of(origin()).error, "2 pieces are wrong");
    static_cast<void>(master().end(info.id, "complete", "", TaskAfter::goes));
  }
}

// --- leave ---

TEST_P(MinionContract, AHostThatGivesBackItsClaimsServesOn) {
  const auto info = begin(1);
  stage_all(info);
  const auto first = granted(info, host(2), pieces({}));
  static_cast<void>(complete(info, host(2), first.token, PullEnd::good, pieces({0})));
  static_cast<void>(report(info, host(2), pieces({0}), 1));
  static_cast<void>(granted(info, host(2), pieces({0})));
  minion(host(2)).leave(info.id, host(2), Retreat::claims_only, "the disk is full");
  EXPECT_EQ(status_of(host(2)).claims, 0U);
  EXPECT_EQ(status_of(host(2)).error, "the disk is full");
  EXPECT_FALSE(status_of(host(2)).is_running);
  EXPECT_EQ(view_of(info, host(3)).sources, 2U) << "the origin is free again";
  minion(host(2)).leave(info.id, host(2), Retreat::claims_only, "");
  EXPECT_EQ(status_of(host(2)).error, "the disk is full") << "no reason replaces none";
}

TEST_P(MinionContract, AHostThatLeavesAltogetherHasNothingAndHasNotFinished) {
  const auto info = begin(1);
  stage_all(info);
  EXPECT_EQ(finish(info, host(2)), FinishOutcome::finished);
  EXPECT_EQ(view_of(info, host(3)).sources, 2U);
  minion(host(2)).leave(info.id, host(2), Retreat::altogether, "");
  EXPECT_EQ(standing().finished, 0U);
  EXPECT_FALSE(joined(host(2)).is_finished);
  EXPECT_EQ(view_of(info, host(3)).sources, 1U);
  EXPECT_EQ(status_of(host(2)).in_place, 0U);
  EXPECT_EQ(finish(info, host(2)), FinishOutcome::finished) << "it may finish once more";
}

// --- All verbs ---

TEST_P(MinionContract, AVerbForAnotherRunIsStaleAndChangesNothing) {
  const auto info = begin();
  stage_all(info);
  const auto held = granted(info, host(2), pieces({}));
  auto other = info;
  for (const auto& id : {random_name<RunId>(), RunId()}) {
    other.id = id;
    EXPECT_TRUE(std::holds_alternative<Stale>(report(other, host(2), all_pieces(), 5)));
    EXPECT_TRUE(std::holds_alternative<Stale>(claim(other, host(2), pieces({}))));
    EXPECT_TRUE(std::holds_alternative<Stale>(
        complete(other, host(2), held.token, PullEnd::good, all_pieces())));
    EXPECT_TRUE(std::holds_alternative<Stale>(minion(host(2)).renew(id, host(2), {held.token})));
    EXPECT_TRUE(std::holds_alternative<Stale>(minion(host(2)).report_from_seat(
        id, host(2), {all_pieces(), 4}, 5, Clearance::none, pieces({}), {})));
    EXPECT_EQ(finish(other, host(2)), FinishOutcome::stale);
    minion(host(2)).leave(id, host(2), Retreat::altogether, "no reason");
  }
  EXPECT_EQ(status_of(host(2)).claims, 1U);
  EXPECT_EQ(status_of(host(2)).error, "");
  EXPECT_EQ(status_of(host(2)).in_place, 0U);
  EXPECT_EQ(standing().finished, 0U);
}

TEST_P(MinionContract, WithoutFunctionsThereIsNoRun) {
  const auto info = begin();
  stage_all(info);
  const auto held = granted(info, host(2), pieces({}));
  backend_->remove_functions();
  EXPECT_TRUE(std::holds_alternative<NoLibrary>(join(host(2))));
  EXPECT_TRUE(std::holds_alternative<Stale>(report(info, host(2), all_pieces(), 5)));
  EXPECT_TRUE(std::holds_alternative<Stale>(claim(info, host(2), pieces({}))));
  EXPECT_EQ(finish(info, host(2)), FinishOutcome::stale);
  EXPECT_EQ(minion(host(2)).state_of(info.id), RunState::staged) << "a plain command";
  master().load_functions();
  EXPECT_EQ(joined(host(2)).run.id, info.id) << "the run was there all the time";
}

}  // namespace
}  // namespace libsync::test
