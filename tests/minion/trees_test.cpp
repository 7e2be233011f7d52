// Streams along trees: a host pulls pieces from its parents, and reports.

#include "minion/trees.h"

#include <gmock/gmock.h>

#include "trees_fixture.h"

namespace libsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::kPieces;
using test::kTrees;
using test::parent;
using testing::IsEmpty;
using testing::SizeIs;

class TreesTest : public test::TreesFixture {};

TEST_F(TreesTest, WithoutASeatNothingIsPulledAndNothingClaimed) {
  EXPECT_TRUE(is_urgent());
  EXPECT_FALSE(next());
  EXPECT_EQ(trees_.carried(here()).size(), kPieces);
}

TEST_F(TreesTest, WithoutTreesEverythingIsClaimed) {
  trees_.seated({.poll_short = milliseconds(100), .poll_long = seconds(4), .parents = {}});
  EXPECT_FALSE(next());
  EXPECT_EQ(trees_.carried(here()).size(), 0U);
}

TEST_F(TreesTest, EachTreeHasOnePullOfItsNextPieceFromItsParent) {
  seat();
  const auto first = next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->source, parent(0));
  EXPECT_FALSE(first->token) << "no claim grants it";
  EXPECT_EQ(start_all(), kTrees);
  EXPECT_EQ(asked(3).front().piece, 3U);
  EXPECT_FALSE(next()) << "one at a time";
  EXPECT_FALSE(end(3, 1));
  EXPECT_EQ(start_all(), 1U);
  EXPECT_EQ(asked(3).front().piece, 7U);
}

TEST_F(TreesTest, QuickPiecesAreAskedForTogether) {
  seat();
  start_all();
  now_ += milliseconds(250);
  end(0, 1);
  start_all();
  EXPECT_THAT(asked(0), SizeIs(4)) << "as many as come in a second";
}

TEST_F(TreesTest, PiecesWithoutADigestAreNotPulled) {
  seat(6);
  EXPECT_EQ(start_all(), kTrees);
  for (std::size_t tree = 0; tree < kTrees; ++tree) end(tree, 1);
  EXPECT_EQ(start_all(), 2U) << "pieces 4 and 5";
  EXPECT_TRUE(is_urgent());
  seat();
  EXPECT_FALSE(is_urgent());
}

TEST_F(TreesTest, AParentThatHasNothingIsAskedAgainLaterAndLater) {
  seat();
  is_served_ = false;  // The host makes no reports.
  start_all();
  milliseconds before{0};
  for (int i = 0; i < 5; ++i) {
    now_ += milliseconds(100);
    EXPECT_FALSE(end(0, 0)) << "the host does not accuse it";
    EXPECT_FALSE(next());
    const auto wait = std::chrono::duration_cast<milliseconds>(trees_.due(here()) - now_);
    EXPECT_GT(wait, before);
    before = wait;
    now_ = trees_.due(here());
    EXPECT_EQ(start_all(), 1U);
  }
  EXPECT_LE(before, milliseconds(500));
}

TEST_F(TreesTest, IfPiecesArriveSlowlyAnEmptyParentIsAskedSeldom) {
  seat();
  start_all();
  now_ += seconds(32);
  for (std::size_t tree = 0; tree < kTrees; ++tree) end(tree, 1);
  start_all();
  now_ += seconds(40);
  end(0, 0);
  now_ += milliseconds(1999);
  EXPECT_EQ(start_all(), 0U);
  now_ += milliseconds(1);
  EXPECT_EQ(start_all(), 1U);
}

TEST_F(TreesTest, AParentWithNoConnectionFreeIsNotAccused) {
  seat();
  start_all();
  EXPECT_FALSE(end(0, 0, PullEnd::busy));
  EXPECT_FALSE(next());
  now_ += milliseconds(500);
  EXPECT_TRUE(next());
}

TEST_F(TreesTest, AStreamOfAFinishedTreeHelpsTheTreeFurthestBehind) {
  seat();
  lack({0, 4, 8, 12, 21});
  EXPECT_TRUE(is_carried(0)) << "the host does not claim it";
  EXPECT_EQ(start_all(), kTrees);
  EXPECT_EQ(asked(0).front().piece, 0U);
  EXPECT_EQ(asked(1).front().piece, 21U) << "its own tree lacks one";
  EXPECT_EQ(asked(2).front().piece, 4U);
  EXPECT_EQ(asked(3).front().piece, 8U);

  now_ += milliseconds(100);
  EXPECT_FALSE(end(3, 0)) << "a parent need not have pieces of other trees";
  end(0, 1);
  start_all();
  EXPECT_EQ(asked(0).front().piece, 8U) << "its own stream goes on";
  EXPECT_FALSE(pulls(3)) << "every missing piece is on its way";
  EXPECT_TRUE(is_carried(0));
}

TEST_F(TreesTest, AStreamThatHelpsAsksForFewPieces) {
  seat();
  lack({0, 4, 8, 12, 16, 20, 24, 28, 32, 36});
  start_all();
  now_ += milliseconds(50);
  end(1, 1);
  const auto help = next();
  ASSERT_TRUE(help);
  EXPECT_EQ(help->source, parent(1));
  EXPECT_THAT(help->pieces, SizeIs(4)) << "though more would come in a second";
}

TEST_F(TreesTest, NoStreamHelpsWithPiecesWithoutADigest) {
  seat(4);
  lack({0, 4, 8});
  EXPECT_EQ(start_all(), 1U);
  EXPECT_THAT(asked(0), SizeIs(1));
}

// --- Reports ---

TEST_F(TreesTest, AHostReportsSoonWhileItLacksAParentAndSeldomOtherwise) {
  seat();
  now_ = reported_at_ + milliseconds(3999);
  EXPECT_FALSE(trees_.report(here()));
  EXPECT_LE(trees_.due(here()), reported_at_ + seconds(4));
  now_ = reported_at_ + seconds(4);
  EXPECT_TRUE(trees_.report(here()));

  trees_.seated({.poll_short = milliseconds(100),
                 .poll_long = seconds(4),
                 .parents = {parent(0), std::nullopt, parent(2), parent(3)}});
  now_ = reported_at_ + milliseconds(99);
  EXPECT_FALSE(trees_.report(here()));
  EXPECT_EQ(trees_.due(here()), reported_at_ + milliseconds(100));
  now_ = reported_at_ + milliseconds(100);
  EXPECT_TRUE(trees_.report(here()));
}

TEST_F(TreesTest, AWakeUpMakesAReportDueAtOnce) {
  seat();
  EXPECT_FALSE(trees_.report(here()));
  trees_.woken();
  EXPECT_TRUE(trees_.report(here()));
  trees_.reported();
  EXPECT_FALSE(trees_.report(here()));
}

TEST_F(TreesTest, AHostThatIsNotServedReportsOnlyThatItIsCleared) {
  seat();
  is_served_ = false;
  trees_.woken();
  now_ += seconds(60);
  EXPECT_FALSE(trees_.report(here()));
  EXPECT_EQ(trees_.due(here()), Instant::max());
  auto cleared = here();
  cleared.clearance = Clearance::cleared;
  const auto report = trees_.report(cleared);
  ASSERT_TRUE(report);
  EXPECT_EQ(std::get<ReportFromSeat>(*report).clearance, Clearance::cleared);
}

TEST_F(TreesTest, AReportCarriesTheFeedbackUntilItHasArrived) {
  seat();
  start_all();
  ASSERT_TRUE(end(0, 0, PullEnd::unreachable));
  now_ += milliseconds(100);
  for (int i = 0; i < 2; ++i) {
    const auto report = std::get<ReportFromSeat>(trees_.report(here()).value());
    EXPECT_EQ(report.slots, 2U);
    ASSERT_THAT(report.feedback, SizeIs(1));
    EXPECT_EQ(report.feedback.front().parent, parent(0));
  }
  trees_.reported();
  EXPECT_THAT(trees_.feedback(), IsEmpty());
}

}  // namespace
}  // namespace libsync
