// The promises of minion_coordinator.h about claims and leases, for the fake and for Redis.

#include <map>

#include "contract_fixture.h"

namespace libsync::test {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using namespace std::chrono_literals;

class ClaimsContract : public Contract {};

INSTANTIATE_TEST_SUITE_P(Of, ClaimsContract, all_backends(), name_of_backend);

TEST_P(ClaimsContract, AClaimNamesSourcePiecesAndDigests) {
  const auto info = begin();
  stage(info, {2});
  const auto asked = want(1, pieces({}));
  const auto outcome = minion(host(2)).claim(info.id, host(2), {pieces({}), 0}, asked);
  ASSERT_TRUE(std::holds_alternative<Claimed>(outcome));
  const auto& [granted_claim, view] = std::get<Claimed>(outcome);
  EXPECT_EQ(granted_claim.token, asked.token);
  EXPECT_EQ(granted_claim.source, origin());
  EXPECT_THAT(named_by(granted_claim), ElementsAre(2));
  EXPECT_EQ(view.state, RunState::staging);
  EXPECT_EQ(view.finished, 0U);
  EXPECT_EQ(status_of(host(2)).claims, 1U);
  EXPECT_TRUE(status_of(host(2)).is_running);
  EXPECT_EQ(status_of(origin()).uploads, 1U);
}

TEST_P(ClaimsContract, AKnownTokenGivesTheSameClaimAgain) {
  const auto info = begin();
  stage_all(info);
  const auto asked = want(2, pieces({}));
  const auto ask = [&] {
    const auto outcome = minion(host(2)).claim(info.id, host(2), {pieces({}), 0}, asked);
    return std::get<Claimed>(outcome).claim;
  };
  const auto first = ask();
  const auto again = ask();
  EXPECT_EQ(again.token, first.token);
  EXPECT_EQ(again.source, first.source);
  EXPECT_EQ(named_by(again), named_by(first));
  EXPECT_EQ(status_of(host(2)).claims, 1U);
  EXPECT_EQ(status_of(origin()).uploads, 1U);
}

TEST_P(ClaimsContract, ATokenIsGoodForItsHostOnly) {
  const auto info = begin();
  stage_all(info);
  const auto held = granted(info, host(2), pieces({}));
  const auto outcome =
      minion(host(3)).claim(info.id, host(3), {pieces({}), 0}, {held.token, 1, pieces({})});
  EXPECT_TRUE(std::holds_alternative<Wait>(outcome));
  static_cast<void>(complete(info, host(3), held.token, PullEnd::good, pieces({})));
  EXPECT_EQ(status_of(host(2)).claims, 1U);
}

TEST_P(ClaimsContract, UnwantedPiecesAreNeverGranted) {
  const auto info = begin();
  stage_all(info);
  const auto first = granted(info, host(2), pieces({0, 1, 3}), 4);
  EXPECT_THAT(named_by(first), ElementsAre(2));
  EXPECT_TRUE(std::holds_alternative<Wait>(claim(info, host(3), all_pieces(), 4)));
  // The host lacks unwanted pieces too: another pull may bring them.
  const auto outcome =
      minion(host(4)).claim(info.id, host(4), {pieces({}), 0}, want(4, pieces({1, 2, 3})));
  ASSERT_TRUE(std::holds_alternative<Claimed>(outcome));
  EXPECT_THAT(named_by(std::get<Claimed>(outcome).claim), ElementsAre(0));
}

TEST_P(ClaimsContract, UnannouncedPiecesAreNeverGranted) {
  const auto info = begin();
  stage(info, {1});
  EXPECT_THAT(named_by(granted(info, host(2), pieces({}), 4)), ElementsAre(1));
  EXPECT_TRUE(std::holds_alternative<Wait>(claim(info, host(3), pieces({1}), 4)));
}

TEST_P(ClaimsContract, AClaimNamesNoMorePiecesThanWanted) {
  const auto info = begin(8);
  stage_all(info);
  for (const PieceNumber most : {1U, 2U}) {
    const auto held = granted(info, host(2), pieces({}), most);
    EXPECT_THAT(held.pieces, SizeIs(most));
    static_cast<void>(complete(info, host(2), held.token, PullEnd::good, pieces({})));
  }
  EXPECT_THAT(granted(info, host(3), pieces({}), 100).pieces, SizeIs(kContractPieces));
}

TEST_P(ClaimsContract, AClaimForTheManifestAloneUsesASlotAndNamesNoPiece) {
  const auto info = begin(1);
  stage(info, {0});
  const auto held = granted(info, host(2), all_pieces(), 0);
  EXPECT_EQ(held.source, origin());
  EXPECT_THAT(held.pieces, IsEmpty());
  EXPECT_EQ(status_of(origin()).uploads, 1U);
  EXPECT_TRUE(std::holds_alternative<Wait>(claim(info, host(3), pieces({}))));
}

TEST_P(ClaimsContract, ASourceNeverHasMoreClaimsThanSlots) {
  const auto info = begin(2);
  stage_all(info);
  static_cast<void>(report(info, host(20), all_pieces(), 1));
  static_cast<void>(report(info, host(21), pieces({0, 1}), 1));
  std::map<Address, std::size_t> uploads;
  std::vector<std::pair<Address, Claim>> held;
  for (unsigned number = 2; number < 10; ++number) {
    const auto outcome = claim(info, host(number), pieces({}));
    if (const auto* const claimed = std::get_if<Claimed>(&outcome)) {
      ++uploads[claimed->claim.source];
      held.emplace_back(host(number), claimed->claim);
    }
  }
  EXPECT_LE(uploads[origin()], 2U);
  EXPECT_LE(uploads[host(20)], 1U);
  EXPECT_LE(uploads[host(21)], 1U);
  EXPECT_EQ(held.size(), 4U) << "no slot idles while hosts wait";
  EXPECT_EQ(view_of(info, host(2)).sources, 0U);
  for (const auto& [by, one] : held) {
    static_cast<void>(complete(info, by, one.token, PullEnd::good, pieces({0})));
  }
  EXPECT_EQ(status_of(origin()).uploads, 0U);
  EXPECT_EQ(view_of(info, host(2)).sources, 3U);
}

TEST_P(ClaimsContract, ALatePieceComesFromAnotherSource) {
  const auto info = begin(1);
  stage_all(info);
  static_cast<void>(report(info, host(5), all_pieces(), 2));
  for (const auto& late : {origin(), host(5)}) {
    auto request = want(1, pieces({1, 2, 3}));
    request.beside = late;
    const auto outcome = minion(host(2)).claim(info.id, host(2), {pieces({}), 0}, request);
    const auto* const claimed = std::get_if<Claimed>(&outcome);
    ASSERT_NE(claimed, nullptr);
    EXPECT_NE(claimed->claim.source, late);
    EXPECT_THAT(named_by(claimed->claim), ElementsAre(0));
    static_cast<void>(complete(info, host(2), claimed->claim.token, PullEnd::good, pieces({})));
  }
}

TEST_P(ClaimsContract, EveryViewTellsTheUsualTimeOfAPiece) {
  const auto info = begin(1);
  stage_all(info);
  EXPECT_EQ(view_of(info, host(2)).usual_piece, Duration{0}) << "not known";
  const auto held = granted(info, host(2), pieces({}), 2);
  ASSERT_EQ(held.pieces.size(), 2U);
  backend_->advance(3s);
  static_cast<void>(complete(info, host(2), held.token, PullEnd::good, pieces({0, 1})));
  EXPECT_EQ(view_of(info, host(3)).usual_piece, Duration(1500));
}

TEST_P(ClaimsContract, NoHostPullsFromItself) {
  const auto info = begin(1);
  stage(info, {0});
  static_cast<void>(granted(info, host(9), pieces({})));
  static_cast<void>(report(info, host(2), pieces({0}), 2));
  EXPECT_TRUE(std::holds_alternative<Wait>(
      minion(host(2)).claim(info.id, host(2), {pieces({0}), 1}, want(1, pieces({})))));
}

// --- complete ---

TEST_P(ClaimsContract, CompleteWithNextHoldsTheSlotWithoutAPause) {
  const auto info = begin(1);
  stage_all(info);
  const auto first = granted(info, host(2), pieces({}));
  const auto have = pieces({named_by(first).front()});
  const auto next = want(1, have);
  const auto outcome = complete(info, host(2), first.token, PullEnd::good, have, next);
  ASSERT_TRUE(std::holds_alternative<Claimed>(outcome));
  const auto& claimed = std::get<Claimed>(outcome).claim;
  EXPECT_EQ(claimed.token, next.token);
  EXPECT_EQ(claimed.source, origin());
  EXPECT_FALSE(have.contains(named_by(claimed).front()));
  EXPECT_EQ(status_of(host(2)).claims, 1U);
  EXPECT_EQ(status_of(host(2)).in_place, 1U);
  EXPECT_EQ(status_of(origin()).uploads, 1U);
}

TEST_P(ClaimsContract, NoHostIsWokenForASlotThatIsClaimedAgainInTheSameCall) {
  const auto info = begin(1);
  stage_all(info);
  const auto first = granted(info, host(2), pieces({}));
  EXPECT_TRUE(std::holds_alternative<Wait>(claim(info, host(3), pieces({0}))));
  const auto have = pieces({named_by(first).front()});
  const auto outcome = complete(info, host(2), first.token, PullEnd::good, have, want(1, have));
  ASSERT_TRUE(std::holds_alternative<Claimed>(outcome));
  EXPECT_TRUE(is_left_alone(host(3)));
  static_cast<void>(
      complete(info, host(2), std::get<Claimed>(outcome).claim.token, PullEnd::good, have));
  EXPECT_TRUE(is_woken(host(3)));
}

TEST_P(ClaimsContract, CompleteWithoutNextAnswersAViewThatHolds) {
  const auto info = begin(1);
  stage_all(info);
  const auto held = granted(info, host(2), pieces({}));
  const auto outcome = complete(info, host(2), held.token, PullEnd::good, pieces({0}));
  ASSERT_TRUE(std::holds_alternative<Wait>(outcome));
  EXPECT_EQ(std::get<Wait>(outcome).view.state, RunState::staged);
  EXPECT_EQ(std::get<Wait>(outcome).view.sources, 1U) << "its slot is free again";
  EXPECT_EQ(status_of(host(2)).claims, 0U);
  EXPECT_TRUE(is_left_alone(host(2))) << "it does not wait";
}

TEST_P(ClaimsContract, CompleteMayBeRepeatedWithTheSameArguments) {
  const auto info = begin(2);
  stage_all(info);
  const auto first = granted(info, host(2), pieces({}));
  const auto have = pieces({named_by(first).front()});
  const auto next = want(1, have);
  const auto once = complete(info, host(2), first.token, PullEnd::good, have, next);
  const auto twice = complete(info, host(2), first.token, PullEnd::good, have, next);
  ASSERT_TRUE(std::holds_alternative<Claimed>(once));
  ASSERT_TRUE(std::holds_alternative<Claimed>(twice));
  EXPECT_EQ(std::get<Claimed>(once).claim.token, std::get<Claimed>(twice).claim.token);
  EXPECT_EQ(named_by(std::get<Claimed>(once).claim), named_by(std::get<Claimed>(twice).claim));
  EXPECT_EQ(status_of(host(2)).claims, 1U);
  EXPECT_EQ(status_of(origin()).uploads, 1U);
}

TEST_P(ClaimsContract, AFailedPullKeepsItsHostAwayFromTheSourceForAWhile) {
  const auto info = begin(2);
  stage_all(info);
  for (const auto end : {PullEnd::busy, PullEnd::unreachable, PullEnd::refused}) {
    const auto held = granted(info, host(2), pieces({}));
    static_cast<void>(complete(info, host(2), held.token, end, pieces({})));
    EXPECT_EQ(status_of(host(2)).claims, 0U);
    EXPECT_TRUE(std::holds_alternative<Wait>(claim(info, host(2), pieces({}))));
    const auto other = granted(info, host(3), pieces({}));
    EXPECT_EQ(other.source, origin()) << "others may";
    static_cast<void>(complete(info, host(3), other.token, PullEnd::good, pieces({})));
    backend_->advance(1min);
  }
  EXPECT_EQ(status_of(host(2)).error, "why it failed");
  EXPECT_EQ(granted(info, host(2), pieces({})).source, origin());
}

TEST_P(ClaimsContract, ASourceThatIsBusyIsNotBlamedByAnyNumberOfHosts) {
  const auto info = begin(1);
  stage_all(info);
  for (unsigned number = 2; number < 12; ++number) {
    const auto held = granted(info, host(number), pieces({}));
    static_cast<void>(complete(info, host(number), held.token, PullEnd::busy, pieces({})));
  }
  EXPECT_EQ(granted(info, host(20), pieces({})).source, origin());
  EXPECT_FALSE(standing().origin_is_suspect);
}

TEST_P(ClaimsContract, ASourceThatSeveralHostsCannotReachIsOutForAWhile) {
  const auto info = begin(0);
  stage_all(info);
  static_cast<void>(report(info, host(5), all_pieces(), 1));
  for (const auto& by : {host(6), host(7)}) {
    const auto held = granted(info, by, pieces({}));
    EXPECT_EQ(held.source, host(5));
    static_cast<void>(complete(info, by, held.token, PullEnd::unreachable, pieces({})));
  }
  EXPECT_TRUE(std::holds_alternative<Wait>(claim(info, host(9), pieces({}))));
  EXPECT_EQ(view_of(info, host(9)).sources, 0U);
  EXPECT_EQ(view_of(info, host(5)).suspicion, Suspicion::none) << "its bytes were not wrong";
  backend_->advance(1min);
  EXPECT_EQ(granted(info, host(9), pieces({})).source, host(5));
}

TEST_P(ClaimsContract, AFaultOfTheHostItselfBlamesNoSource) {
  const auto info = begin(1);
  stage_all(info);
  const auto held = granted(info, host(2), pieces({}));
  static_cast<void>(complete(info, host(2), held.token, PullEnd::local, pieces({})));
  EXPECT_EQ(status_of(host(2)).error, "why it failed");
  EXPECT_EQ(granted(info, host(2), pieces({})).source, origin());
}

TEST_P(ClaimsContract, APieceThatIsMissingAtItsSourceHasThatHostReverify) {
  const auto info = begin(1);
  stage_all(info);
  static_cast<void>(granted(info, host(9), pieces({})));
  static_cast<void>(report(info, host(5), pieces({0}), 1));
  const auto held = granted(info, host(2), pieces({}));
  ASSERT_EQ(held.source, host(5));
  static_cast<void>(complete(info, host(2), held.token, PullEnd::missing, pieces({})));
  EXPECT_EQ(view_of(info, host(5)).suspicion, Suspicion::verify);
  EXPECT_TRUE(is_woken(host(5)));
  EXPECT_TRUE(std::holds_alternative<Wait>(claim(info, host(3), pieces({}))));
}

// --- Leases ---

TEST_P(ClaimsContract, AClaimLapsesAfterItsLifetime) {
  const auto info = begin(1);
  stage_all(info);
  const auto held = granted(info, host(2), pieces({}));
  backend_->advance(LeaseTerms::lifetime - 1s);
  EXPECT_TRUE(std::holds_alternative<Wait>(claim(info, host(3), pieces({}))));
  backend_->advance(1s);
  EXPECT_EQ(granted(info, host(3), pieces({})).source, origin());
  EXPECT_EQ(status_of(host(2)).claims, 0U);
  // The host is alive after all, and its pieces count without the claim.
  const auto late = complete(info, host(2), held.token, PullEnd::good, pieces({0}));
  EXPECT_TRUE(std::holds_alternative<Wait>(late));
  EXPECT_EQ(status_of(host(3)).claims, 1U);
}

TEST_P(ClaimsContract, RenewExtendsALease) {
  const auto info = begin(1);
  stage_all(info);
  const auto held = granted(info, host(2), pieces({}));
  for (int i = 0; i < 4; ++i) {
    backend_->advance(LeaseTerms::lifetime - 5s);
    const auto outcome = minion(host(2)).renew(info.id, host(2), {held.token});
    EXPECT_TRUE(std::holds_alternative<Renewed>(outcome));
    EXPECT_TRUE(std::holds_alternative<Wait>(claim(info, host(3), pieces({}))));
  }
  EXPECT_EQ(status_of(host(2)).claims, 1U);
}

TEST_P(ClaimsContract, RenewDoesNotReviveAClaimThatIsOver) {
  const auto info = begin(1);
  stage_all(info);
  const auto held = granted(info, host(2), pieces({}));
  static_cast<void>(complete(info, host(2), held.token, PullEnd::good, pieces({0})));
  EXPECT_TRUE(std::holds_alternative<Renewed>(
      minion(host(2)).renew(info.id, host(2), {held.token, random_name<Token>()})));
  EXPECT_EQ(status_of(host(2)).claims, 0U);
  EXPECT_EQ(status_of(origin()).uploads, 0U);
}

// --- Sources outside --peers ---

TEST_P(ClaimsContract, ASourceOutsideThePeersIsUnusable) {
  const auto info = begin(1);
  stage_all(info);
  const auto cautious = backend_->minion_with({Network::parse("192.168.0.0/16").value()});
  const auto asked = want(1, pieces({}));
  const auto outcome = cautious->claim(info.id, host(2), {pieces({}), 0}, asked);
  ASSERT_TRUE(std::holds_alternative<Unusable>(outcome));
  EXPECT_EQ(std::get<Unusable>(outcome).token, asked.token);
  EXPECT_EQ(std::get<Unusable>(outcome).source, origin().text());
  const auto over = cautious->complete(info.id, host(2), asked.token, PullEnd::refused, "",
                                       {pieces({}), 0}, std::nullopt);
  EXPECT_TRUE(std::holds_alternative<Wait>(over));
  EXPECT_EQ(status_of(host(2)).claims, 0U);
}

}  // namespace
}  // namespace libsync::test
