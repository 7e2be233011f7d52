// The promises of minion_coordinator.h about seats, for the fake and for Redis.

#include <algorithm>

#include "contract_fixture.h"

namespace libsync::test {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using namespace std::chrono_literals;

class SeatsContract : public Contract {
 protected:
  RunInfo begin_trees() { return begin(2, {}, Spread::trees); }

  [[nodiscard]] Seat joined_seat(const Address& by) {
    const auto outcome = joined(by, Arrival::again, SeatWish::wanted);
    EXPECT_TRUE(outcome.seat) << by.text();
    return outcome.seat.value_or(Seat{});
  }

  [[nodiscard]] Seated report_seated(const RunInfo& info, const Address& by, const PieceSet& have,
                                     const PieceSet& known,
                                     const std::vector<ParentFeedback>& feedback = {}) {
    const auto outcome = minion(by).report_from_seat(info.id, by, {have, have.size()}, 2,
                                                     Clearance::none, known, feedback);
    EXPECT_TRUE(std::holds_alternative<Seated>(outcome)) << by.text();
    return std::get<Seated>(outcome);
  }

  [[nodiscard]] static bool has_parent(const Seat& seat, const Address& parent) {
    return std::find(seat.parents.begin(), seat.parents.end(), parent) != seat.parents.end();
  }
};

INSTANTIATE_TEST_SUITE_P(Of, SeatsContract, all_backends(), name_of_backend);

TEST_P(SeatsContract, AHostGetsASeatIfItWantsOneAndTheRunHasTrees) {
  auto info = begin();
  EXPECT_FALSE(joined(host(2), Arrival::again, SeatWish::wanted).seat);
  static_cast<void>(master().end(info.id, "complete", "", TaskAfter::goes));
  info = begin_trees();
  EXPECT_FALSE(joined(host(2), Arrival::again, SeatWish::none).seat);
  const auto seat = joined_seat(host(2));
  EXPECT_GT(seat.poll_short, 0s);
  EXPECT_GE(seat.poll_long, seat.poll_short);
  EXPECT_THAT(seat.parents, Not(IsEmpty()));
  EXPECT_TRUE(has_parent(seat, origin()));
  EXPECT_FALSE(has_parent(seat, host(2))) << "nobody is its own parent";
  EXPECT_TRUE(status_of(host(2)).is_running);
  EXPECT_EQ(status_of(host(2)).claims, 0U);
}

TEST_P(SeatsContract, NeitherTheOriginNorAFinishedHostGetsASeat) {
  const auto info = begin_trees();
  stage_all(info);
  EXPECT_FALSE(joined(origin(), Arrival::again, SeatWish::wanted).seat);
  static_cast<void>(joined_seat(host(2)));
  EXPECT_EQ(finish(info, host(2)), FinishOutcome::finished);
  EXPECT_FALSE(joined(host(2), Arrival::again, SeatWish::wanted).seat);
  EXPECT_FALSE(status_of(host(2)).is_running);
}

TEST_P(SeatsContract, ALingeringHostGetsItsSeatWhenTheRunBegins) {
  master().load_functions();
  static_cast<void>(join(host(2), Arrival::again, SeatWish::wanted, 10s));
  static_cast<void>(join(host(3), Arrival::again, SeatWish::wanted, 10s));
  backend_->advance(5s);
  static_cast<void>(join(host(3), Arrival::again, SeatWish::wanted, 0s));  // Its tick ends.
  begin_trees();
  const auto seat = joined_seat(host(4));
  EXPECT_TRUE(has_parent(seat, host(2))) << "which has not joined yet";
  EXPECT_FALSE(has_parent(seat, host(3)));
}

TEST_P(SeatsContract, ThePulseCountsThePiecesThatOnlyTheOriginHas) {
  const auto info = begin_trees();
  stage_all(info);
  EXPECT_EQ(pulse().run.value().moves.of_one_source, 4U);
  static_cast<void>(joined_seat(host(2)));
  static_cast<void>(joined_seat(host(3)));
  static_cast<void>(report_seated(info, host(2), pieces({0}), all_pieces()));
  static_cast<void>(report_seated(info, host(3), pieces({0, 3}), all_pieces()));
  EXPECT_EQ(pulse().run.value().moves.of_one_source, 2U);
}

TEST_P(SeatsContract, AWaitForARunLapsesAfterItsTime) {
  master().load_functions();
  static_cast<void>(join(host(2), Arrival::again, SeatWish::wanted, 10s));
  backend_->advance(11s);
  begin_trees();
  EXPECT_FALSE(has_parent(joined_seat(host(4)), host(2)));
}

TEST_P(SeatsContract, TheFirstSeatHasAllAnnouncedDigests) {
  const auto info = begin_trees();
  stage(info, {0, 2});
  const auto seat = joined_seat(host(2));
  ASSERT_THAT(seat.digests, SizeIs(2));
  for (const auto& [piece, digest, sum] : seat.digests) EXPECT_EQ(digest, piece_digest(piece));
}

TEST_P(SeatsContract, AReportFromASeatBringsDigestsThatTheHostDoesNotKnow) {
  const auto info = begin_trees();
  stage(info, {0, 2});
  static_cast<void>(joined_seat(host(2)));
  const auto none = report_seated(info, host(2), pieces({}), pieces({0, 2}));
  EXPECT_THAT(none.seat.digests, IsEmpty());
  stage(info, {1});
  const auto seated = report_seated(info, host(2), pieces({0}), pieces({0, 2}));
  std::vector<PieceNumber> fresh;
  for (const auto& [piece, digest, sum] : seated.seat.digests) {
    EXPECT_EQ(digest, piece_digest(piece));
    fresh.push_back(piece);
  }
  EXPECT_THAT(fresh, Contains(1));
  EXPECT_EQ(seated.view.state, RunState::staging);
  EXPECT_EQ(status_of(host(2)).in_place, 1U);
  EXPECT_EQ(status_of(host(2)).seen_ago, 0s);
  EXPECT_TRUE(status_of(host(2)).is_running);
}

TEST_P(SeatsContract, AHostWithASeatServesClaimsAndMayClaim) {
  const auto info = begin_trees();
  stage_all(info);
  static_cast<void>(joined_seat(host(2)));
  static_cast<void>(report_seated(info, host(2), pieces({1}), all_pieces()));
  EXPECT_EQ(view_of(info, host(3)).sources, 2U);
  EXPECT_THAT(granted(info, host(2), pieces({1}), 4).source, origin());
}

TEST_P(SeatsContract, WithoutTreesAReportFromASeatIsStale) {
  const auto info = begin();
  EXPECT_TRUE(std::holds_alternative<Stale>(minion(host(2)).report_from_seat(
      info.id, host(2), {pieces({}), 0}, 2, Clearance::none, pieces({}), {})));
}

TEST_P(SeatsContract, AParentThatIsSlowForSeveralHostsLosesItsSeat) {
  const auto info = begin_trees();
  stage_all(info);
  for (unsigned number = 2; number < 5; ++number) static_cast<void>(joined_seat(host(number)));
  static_cast<void>(report_seated(info, host(2), all_pieces(), all_pieces()));
  const std::vector<ParentFeedback> slow{
      {host(2), ParentFeedback::Kind::slow, PullEnd::good, "slower than others"}};
  auto seated = report_seated(info, host(3), pieces({}), all_pieces(), slow);
  EXPECT_TRUE(has_parent(seated.seat, host(2))) << "one host alone may be slow itself";
  seated = report_seated(info, host(3), pieces({}), all_pieces(), slow);
  EXPECT_TRUE(has_parent(seated.seat, host(2))) << "it is still one host";
  seated = report_seated(info, host(4), pieces({}), all_pieces(), slow);
  EXPECT_FALSE(has_parent(seated.seat, host(2)));
  EXPECT_FALSE(has_parent(report_seated(info, host(3), pieces({}), all_pieces()).seat, host(2)));
  const auto sources = view_of(info, host(3)).sources;
  static_cast<void>(report_seated(info, host(2), all_pieces(), all_pieces()));
  EXPECT_EQ(view_of(info, host(3)).sources, sources) << "it offers nothing from now on";
}

TEST_P(SeatsContract, FeedbackAboutAHostThatIsNoParentIsIgnored) {
  const auto info = begin_trees();
  stage_all(info);
  for (unsigned number = 2; number < 5; ++number) static_cast<void>(joined_seat(host(number)));
  static_cast<void>(report_seated(info, host(4), all_pieces(), all_pieces()));
  const auto seat = report_seated(info, host(2), pieces({}), all_pieces()).seat;
  const auto stranger = host(77);
  ASSERT_FALSE(has_parent(seat, stranger));
  for (const auto& by : {host(2), host(3), host(4)}) {
    static_cast<void>(report_seated(
        info, by, pieces({}), all_pieces(),
        {{stranger, ParentFeedback::Kind::failing, PullEnd::corrupt, "wrong bytes"}}));
  }
  EXPECT_EQ(view_of(info, stranger).suspicion, Suspicion::none);
  EXPECT_EQ(status_of(host(2)).error, "");
}

TEST_P(SeatsContract, AFailingParentIsBlamedUntilItWorksAgain) {
  const auto info = begin_trees();
  stage_all(info);
  for (unsigned number = 2; number < 5; ++number) static_cast<void>(joined_seat(host(number)));
  static_cast<void>(report_seated(info, host(2), all_pieces(), all_pieces()));
  const auto feedback = [&](ParentFeedback::Kind kind) {
    return std::vector<ParentFeedback>{{host(2), kind, PullEnd::corrupt, "wrong bytes"}};
  };
  static_cast<void>(report_seated(info, host(3), pieces({}), all_pieces(),
                                  feedback(ParentFeedback::Kind::failing)));
  EXPECT_EQ(status_of(host(3)).error, "wrong bytes");
  auto good = feedback(ParentFeedback::Kind::good);
  good.front().end = PullEnd::good;
  static_cast<void>(report_seated(info, host(3), pieces({}), all_pieces(), good));
  static_cast<void>(report_seated(info, host(4), pieces({}), all_pieces(),
                                  feedback(ParentFeedback::Kind::failing)));
  EXPECT_EQ(view_of(info, host(2)).suspicion, Suspicion::none) << "one host at a time";
  static_cast<void>(report_seated(info, host(3), pieces({}), all_pieces(),
                                  feedback(ParentFeedback::Kind::failing)));
  EXPECT_EQ(view_of(info, host(2)).suspicion, Suspicion::verify);
}

TEST_P(SeatsContract, AFinishedHostThatLacksPiecesLosesItsSeat) {
  const auto info = begin_trees();
  stage_all(info);
  static_cast<void>(joined_seat(host(2)));
  ASSERT_TRUE(has_parent(joined_seat(host(3)), host(2)));
  EXPECT_EQ(finish(info, host(2), pieces({1}), 1), FinishOutcome::finished);
  EXPECT_FALSE(has_parent(joined_seat(host(3)), host(2)));
}

TEST_P(SeatsContract, AHostThatLeavesKeepsItsSeatOnlyIfItHasFinishedWithAll) {
  const auto info = begin_trees();
  stage_all(info);
  static_cast<void>(joined_seat(host(2)));
  ASSERT_TRUE(has_parent(joined_seat(host(3)), host(2)));
  EXPECT_EQ(finish(info, host(2), all_pieces(), 1), FinishOutcome::finished);
  minion(host(2)).leave(info.id, host(2), Retreat::claims_only, "");
  EXPECT_TRUE(has_parent(joined_seat(host(3)), host(2)));
  minion(host(2)).leave(info.id, host(2), Retreat::altogether, "");
  EXPECT_FALSE(has_parent(joined_seat(host(3)), host(2)));
  static_cast<void>(joined_seat(host(4)));
  ASSERT_TRUE(has_parent(joined_seat(host(4)), host(3)));
  minion(host(3)).leave(info.id, host(3), Retreat::claims_only, "the disk is full");
  EXPECT_FALSE(has_parent(joined_seat(host(4)), host(3)));
}

TEST_P(SeatsContract, AParentOutsideThePeersIsNotKnown) {
  begin_trees();
  const auto cautious = backend_->minion_with({Network::parse("192.168.0.0/16").value()});
  const auto outcome = cautious->join(host(2), HostId(), Arrival::again, SeatWish::wanted, {});
  ASSERT_TRUE(std::holds_alternative<Joined>(outcome));
  ASSERT_TRUE(std::get<Joined>(outcome).seat);
  for (const auto& parent : std::get<Joined>(outcome).seat->parents) {
    EXPECT_EQ(parent, std::nullopt);
  }
}

}  // namespace
}  // namespace libsync::test
