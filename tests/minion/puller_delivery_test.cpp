// The origin's own minion: a master delivers the pieces, and the host pulls nothing.

#include <gmock/gmock.h>

#include "puller_fixture.h"

namespace libsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::staged;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using How = Conclude::How;

class PullerDeliveryTest : public test::PullerFixture {
 protected:
  /// A master delivers three pieces, and has announced them all.
  void await_delivery(Delivery delivery) {
    start({.pieces = 3, .state = PieceState::candidate, .delivery = delivery});
    answer(Digests{{staged(0), staged(1), staged(2)}});
  }
  /// The host finds and verifies a delivered file.
  void find(PieceNumber piece) {
    pieces_->move(piece, PieceState::checking);
    move(piece, PieceState::verified);
  }
};

TEST_F(PullerDeliveryTest, TheHostClaimsNothingAndChecksCandidatesWithAGrowingPause) {
  await_delivery(Delivery::pushed);
  EXPECT_TRUE(deeds_.is_probing) << "other hosts pull from this one";
  EXPECT_TRUE(is_idle()) << "not even the manifest is claimed";
  auto checked = deeds_.candidates_checked;
  for (const auto pause : {20, 40, 80, 160, 320, 640, 1000, 1000}) {
    EXPECT_EQ(puller_->due(now_), now_ + milliseconds(pause));
    pass(milliseconds(pause));
    EXPECT_EQ(deeds_.candidates_checked, ++checked);
  }
  EXPECT_TRUE(is_idle());
  EXPECT_THAT(deeds_.running, IsEmpty());
}

TEST_F(PullerDeliveryTest, AMissingDeliveryIsDoubtedEveryFiveSecondsAtTheMost) {
  await_delivery(Delivery::pushed);
  set_undelivered("2 pieces are missing");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(call<Doubt>().reason, "2 pieces are missing");
    lose_answer();
  }
  answer(Doubted{});
  for (int i = 0; i < 4; ++i) {
    pass(milliseconds(1'249));
    EXPECT_FALSE(calls<Doubt>());
  }
  pass(milliseconds(4));
  EXPECT_TRUE(calls<Doubt>());
  answer(Doubted{});
  set_undelivered("");
  pass(seconds(10));
  EXPECT_FALSE(calls<Doubt>());
}

TEST_F(PullerDeliveryTest, APushedRunIsFinishedOnlyWhenEveryPieceCanBeServed) {
  await_delivery(Delivery::pushed);
  probed();
  find_manifest();
  for (const PieceNumber piece : {0U, 1U}) find(piece);
  disk_.step = DiskState::Step::published;  // An equal payload lies at the destination.
  pieces_->move(2, PieceState::adopting);
  move(2, PieceState::adopted);
  pass(seconds(2));
  EXPECT_TRUE(is_idle()) << "the others lack piece 2";

  start({.pieces = 3, .state = PieceState::candidate, .delivery = Delivery::pushed});
  answer(Digests{{staged(0), staged(1), staged(2)}});
  probed();
  find_manifest();
  for (const PieceNumber piece : {0U, 1U, 2U}) find(piece);
  answer(RunChecked{RunState::staged});
  EXPECT_EQ(call<Finish>().slots, default_slots(Cut{2, 1}));
  answer(FinishOutcome::finished);
  EXPECT_EQ(deeds_.conclusion, How::finished);
}

TEST_F(PullerDeliveryTest, ASharedSpoolIsNotProbedAndOffersNothing) {
  await_delivery(Delivery::shared);
  EXPECT_FALSE(deeds_.is_probing) << "the master offers it";
  find_manifest();
  for (const PieceNumber piece : {0U, 1U, 2U}) find(piece);
  answer(RunChecked{RunState::staged});
  EXPECT_EQ(call<Finish>().slots, 0U);
  for (const auto& report : deeds_.reports) EXPECT_EQ(report.slots, 0U);
  answer(FinishOutcome::finished);
  EXPECT_EQ(deeds_.conclusion, How::finished);
}

TEST_F(PullerDeliveryTest, ASharedSpoolMayLackAPieceThatIsPublishedAlready) {
  await_delivery(Delivery::shared);
  find_manifest();
  for (const PieceNumber piece : {0U, 1U}) find(piece);
  pieces_->move(2, PieceState::adopting);
  move(2, PieceState::adopted);
  EXPECT_TRUE(calls<CheckRun>());
}

TEST_F(PullerDeliveryTest, ADeliveryInARunWithTreesHasNoSeat) {
  start({.pieces = 3,
         .state = PieceState::candidate,
         .has_trees = true,
         .delivery = Delivery::pushed});
  answer(Digests{});
  probed();
  hear(Listening::woken);
  answer(Digests{});
  EXPECT_TRUE(is_idle());
  EXPECT_THAT(deeds_.seat_reports, IsEmpty());
}

TEST_F(PullerDeliveryTest, APieceThatIsLostAfterTheDeliveryIsCheckedForAgain) {
  await_delivery(Delivery::pushed);
  for (const PieceNumber piece : {0U, 1U, 2U}) find(piece);
  pass(seconds(2));
  const auto checked = deeds_.candidates_checked;
  move(1, PieceState::candidate);  // Its file holds wrong bytes.
  pass(seconds(1));
  EXPECT_GT(deeds_.candidates_checked, checked);
}

}  // namespace
}  // namespace libsync
