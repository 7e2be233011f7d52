// A host whose sources are silent or slow: it gives a silent pull up, and fetches a late piece a
// second time from another source.

#include <gmock/gmock.h>

#include "puller_fixture.h"

namespace libsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::host;
using testing::ElementsAre;
using testing::IsEmpty;

class PullerSourcesTest : public test::PullerFixture {
 protected:
  void SetUp() override { usual_piece_ = milliseconds(100); }

  /// Pieces 0 and 1 of two are in flight, from hosts 2 and 3. A third slot is free.
  void begin_two() {
    start({.pieces = 2, .slots = 3});
    probed();
    find_manifest();
    from_2_ = grant({0}, host(2));
    from_3_ = grant({1}, host(3));
    ASSERT_TRUE(is_idle());
  }
  /// Piece 0 is late, and host 4 delivers it as well.
  void begin_second() {
    begin_two();
    bring_all(from_3_);
    tell_to_wait();
    pass(seconds(1));
    second_ = grant({0}, host(4));
  }
  /// Passes the time, and renews the leases.
  void pass(Duration duration) {
    PullerFixture::pass(duration);
    if (calls<Renew>()) answer(RenewOutcome{Renewed{view()}});
  }
  /// The run is not staged yet, so the host cannot publish what it has.
  void answer_check() {
    if (calls<CheckRun>()) answer(RunChecked{RunState::staging});
  }
  /// Some seconds pass while this pull moves.
  void pass_while_moving(TransferId id, seconds time) {
    for (milliseconds passed{0}; passed < time; passed += milliseconds(500)) {
      pass(milliseconds(500));
      move_bytes(id);
    }
  }

  TransferId from_2_ = 0;
  TransferId from_3_ = 0;
  TransferId second_ = 0;
};

// --- Silence ---

TEST_F(PullerSourcesTest, ASilentPullIsGivenUpWhileAnotherMoves) {
  usual_piece_ = Duration{0};
  begin_two();
  pass_while_moving(from_3_, seconds(2));
  EXPECT_THAT(deeds_.ended, IsEmpty());
  pass_while_moving(from_3_, seconds(1));
  EXPECT_THAT(deeds_.ended, ElementsAre(from_2_));
  end(from_2_, PullEnd::unreachable);
  EXPECT_EQ(call<CompleteClaim>().end, PullEnd::unreachable);
  EXPECT_EQ(pieces_->state(0), PieceState::wanted);
}

TEST_F(PullerSourcesTest, APullThatMovesBytesIsNotSilentAlthoughItBringsNoPiece) {
  usual_piece_ = Duration{0};
  begin_two();
  for (int i = 0; i < 60; ++i) {
    pass(seconds(1));
    move_bytes(from_2_);
    move_bytes(from_3_);
  }
  EXPECT_THAT(deeds_.ended, IsEmpty());
}

TEST_F(PullerSourcesTest, NoPullIsGivenUpWhileNothingMoves) {
  usual_piece_ = Duration{0};
  begin_two();
  sources_ = 5;
  pass(seconds(50));
  EXPECT_THAT(deeds_.ended, IsEmpty()) << "this host's own network is at fault";
}

// On a link that is slow in jumps, a gap is no silence.
TEST_F(PullerSourcesTest, TheUsualGapSetsThePatience) {
  usual_piece_ = Duration{0};
  begin_two();
  for (int i = 0; i < 5; ++i) {
    pass(seconds(2));
    move_bytes(from_3_);
    move_bytes(from_2_);
  }
  for (int i = 0; i < 4; ++i) {
    EXPECT_THAT(deeds_.ended, IsEmpty()) << i;
    pass(seconds(2));
    move_bytes(from_3_);
  }
  pass(seconds(1));
  EXPECT_THAT(deeds_.ended, ElementsAre(from_2_));
}

// --- Second attempts ---

TEST_F(PullerSourcesTest, ALatePieceIsFetchedASecondTimeFromAnotherSource) {
  begin_two();
  bring_all(from_3_);
  const auto completed = call<CompleteClaim>();
  EXPECT_FALSE(completed.next) << "nothing is late yet";
  tell_to_wait();
  pass(milliseconds(799));
  EXPECT_TRUE(is_idle());
  pass(milliseconds(1));
  const auto want = call<AskClaim>().want;
  EXPECT_EQ(want.most_pieces, 1U);
  EXPECT_THAT(want.unwanted.members(), ElementsAre(1)) << "all but the late one";
  EXPECT_EQ(want.beside, host(2));
  const auto second = grant({0}, host(4));
  EXPECT_EQ(deeds_.running.at(second).attempt, Attempt::second);
  EXPECT_EQ(deeds_.running.at(from_2_).attempt, Attempt::first);
  EXPECT_TRUE(is_idle()) << "one second attempt a piece";
  pass(seconds(2));
  EXPECT_TRUE(is_idle());
}

TEST_F(PullerSourcesTest, TheFirstGoodFileWinsAndTheOtherPullIsAccusedOfNothing) {
  begin_second();
  bring(second_, 0);
  EXPECT_THAT(deeds_.ended, ElementsAre(from_2_));
  EXPECT_EQ(call<CompleteClaim>().pull, second_) << "its rsync has not ended";
  EXPECT_EQ(call<CompleteClaim>().end, PullEnd::good);
  tell_to_wait();
  answer_check();
  end(from_2_, PullEnd::unreachable);
  const auto given_back = call<CompleteClaim>();
  EXPECT_EQ(given_back.pull, from_2_);
  EXPECT_EQ(given_back.end, PullEnd::good);
  EXPECT_EQ(given_back.detail, "");
}

TEST_F(PullerSourcesTest, TheSlowSourceMayWinAfterAll) {
  begin_second();
  bring(from_2_, 0);
  EXPECT_THAT(deeds_.ended, ElementsAre(second_));
  EXPECT_EQ(call<CompleteClaim>().end, PullEnd::good);
  tell_to_wait();
  answer_check();
  end(second_, PullEnd::unreachable);
  EXPECT_EQ(call<CompleteClaim>().end, PullEnd::good);
}

TEST_F(PullerSourcesTest, OfTwoFilesInOneStepTheSecondCountsIfTheFirstIsWrong) {
  begin_second();
  arrive(from_2_, "p00000");
  arrive(second_, "p00000");
  end(from_2_);
  end(second_);
  EXPECT_THAT(deeds_.judging, ElementsAre(0));
  judge(0, Verdict::bad);
  EXPECT_THAT(deeds_.judging, ElementsAre(0)) << "now the other file";
  EXPECT_EQ(judge(0, Verdict::good), host(4));
  EXPECT_EQ(call<CompleteClaim>().pull, from_2_);
  EXPECT_EQ(call<CompleteClaim>().end, PullEnd::corrupt);
  tell_to_wait();
  EXPECT_EQ(call<CompleteClaim>().pull, second_);
  EXPECT_EQ(call<CompleteClaim>().end, PullEnd::good);
}

TEST_F(PullerSourcesTest, OfTwoFilesInOneStepTheSecondIsNotJudgedIfTheFirstIsRight) {
  begin_second();
  arrive(second_, "p00000");
  arrive(from_2_, "p00000");
  EXPECT_EQ(judge(0, Verdict::good), host(4));
  EXPECT_THAT(deeds_.judging, IsEmpty());
  EXPECT_THAT(deeds_.ended, ElementsAre(from_2_));
}

TEST_F(PullerSourcesTest, AHostMakesTwoSecondAttemptsAtATime) {
  start({.pieces = 3, .slots = 6});
  probed();
  find_manifest();
  for (const PieceNumber piece : {0U, 1U, 2U}) grant({piece}, host(2 + piece));
  pass(seconds(1));
  const auto first = call<AskClaim>().want;
  EXPECT_EQ(first.beside, host(2)) << "the piece that has been in flight for longest";
  const auto second = grant({0}, host(9));
  EXPECT_EQ(call<AskClaim>().want.beside, host(3));
  grant({1}, host(9));
  EXPECT_TRUE(is_idle());
  bring_all(second);
  tell_to_wait();
  EXPECT_EQ(call<AskClaim>().want.beside, host(4));
}

TEST_F(PullerSourcesTest, ThereIsNoSecondAttemptWhileAPieceCanBeClaimed) {
  start({.pieces = 2, .slots = 2});
  probed();
  find_manifest();
  grant({0}, host(2));
  tell_to_wait();
  pass(seconds(10));
  EXPECT_FALSE(call<AskClaim>().want.beside) << "piece 1 is wanted";
}

TEST_F(PullerSourcesTest, OneSecondAttemptGoesBeyondSlotsThatAreAllLate) {
  start({.pieces = 3, .slots = 2});
  probed();
  find_manifest();
  grant({0}, host(2));
  pass(milliseconds(500));
  grant({1}, host(3));
  pass(milliseconds(799));
  EXPECT_TRUE(is_idle()) << "only one of them is late";
  pass(milliseconds(1));
  EXPECT_EQ(call<AskClaim>().want.beside, host(2)) << "although piece 2 is wanted";
  grant({0}, host(4));
  pass(seconds(5));
  EXPECT_TRUE(is_idle());
}

TEST_F(PullerSourcesTest, ThereIsNoSecondAttemptWithoutSpareRoom) {
  begin_two();
  disk_.has_spare_room = false;
  pass(seconds(2));
  EXPECT_TRUE(is_idle());
}

TEST_F(PullerSourcesTest, ThereIsNoSecondAttemptWhileTheUsualTimeIsUnknown) {
  usual_piece_ = Duration{0};
  begin_two();
  pass(seconds(2));
  EXPECT_TRUE(is_idle());
}

// Redis may answer with a claim that was granted before the piece was in flight.
TEST_F(PullerSourcesTest, ASecondAttemptNeedsAnotherSource) {
  begin_two();
  pass(seconds(1));
  ASSERT_TRUE(call<AskClaim>().want.beside);
  const auto last = deeds_.last_pull;
  grant({0}, host(2));
  EXPECT_EQ(deeds_.last_pull, last);
  EXPECT_EQ(call<CompleteClaim>().end, PullEnd::good);
  EXPECT_FALSE(call<CompleteClaim>().pull);
}

}  // namespace
}  // namespace libsync
