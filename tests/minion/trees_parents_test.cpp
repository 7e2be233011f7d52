// Parents that fail, are slow or bring nothing: the host reports them, ends pulls, and claims.

#include <gmock/gmock.h>

#include "trees_fixture.h"

namespace libsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::kFilled;
using test::kPieces;
using test::kTrees;
using test::parent;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using Kind = ParentFeedback::Kind;

class TreesParentsTest : public test::TreesFixture {};

TEST_F(TreesParentsTest, AFailureIsReportedAndTheMissingPiecesAreClaimed) {
  seat();
  start_all();
  const auto report = end(0, 0, PullEnd::unreachable);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->parent, parent(0));
  EXPECT_EQ(report->kind, Kind::failing);
  EXPECT_EQ(report->end, PullEnd::unreachable);
  EXPECT_EQ(report->detail, "because");
  trees_.reported();
  EXPECT_TRUE(is_urgent()) << "it may have another parent";
  EXPECT_TRUE(is_carried(0)) << "others report it, too";
  others_go_on(0, 9, milliseconds(1000));
  EXPECT_FALSE(is_carried(0));
  EXPECT_TRUE(is_carried(1));
}

TEST_F(TreesParentsTest, AFaultOfThisHostIsNotReported) {
  seat();
  start_all();
  EXPECT_FALSE(end(0, 0, PullEnd::local));
}

TEST_F(TreesParentsTest, AParentThatServesAgainIsReportedAsGood) {
  seat();
  start_all();
  ASSERT_TRUE(end(0, 0, PullEnd::refused));
  now_ += seconds(5);
  ASSERT_EQ(start_all(), 1U);
  const auto report = end(0, 1);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->kind, Kind::good);
  start_all();
  EXPECT_FALSE(end(0, 1)) << "once";
}

TEST_F(TreesParentsTest, ANewParentIsAskedAtOnceAndIsNotTheOldOne) {
  seat();
  start_all();
  ASSERT_TRUE(end(0, 0, PullEnd::unreachable));
  ASSERT_FALSE(next());
  seat(kPieces, 1);
  const auto pull = next();
  ASSERT_TRUE(pull);
  EXPECT_EQ(pull->source, parent(0, 1));
  EXPECT_FALSE(end(1, 0, PullEnd::unreachable)) << "its source was the old parent";
  EXPECT_TRUE(next());
}

TEST_F(TreesParentsTest, NoParentIsCalledSlowWhileTheTreeFills) {
  seat();
  others_go_on(0, 5);
  EXPECT_THAT(feedback(), IsEmpty());
  EXPECT_FALSE(end(0, 1));
}

TEST_F(TreesParentsTest, AParentThatIsSlowerThanOthersIsReportedAndLeftAlone) {
  seat();
  now_ += kFilled;
  others_go_on(0, 5);
  ASSERT_TRUE(pulls(0));
  const auto report = end(0, 1);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->kind, Kind::slow);
  EXPECT_EQ(report->parent, parent(0));
  start_all();
  EXPECT_FALSE(pulls(0));
  now_ += seconds(5);
  start_all();
  EXPECT_TRUE(pulls(0));
}

TEST_F(TreesParentsTest, APullThatBringsNothingForLongIsGivenUpAndItsParentReported) {
  seat();
  now_ += kFilled;
  others_go_on(0, 4, milliseconds(300));
  EXPECT_THAT(feedback(), IsEmpty());
  EXPECT_THAT(ended(), IsEmpty());
  others_go_on(0, 1, milliseconds(300));
  EXPECT_THAT(ended(), ElementsAre(0U));
  ASSERT_THAT(feedback(), SizeIs(1));
  EXPECT_EQ(feedback().front().parent, parent(0));
  EXPECT_EQ(feedback().front().kind, Kind::slow);
  EXPECT_THAT(ended(), IsEmpty()) << "once";
  EXPECT_THAT(feedback(), SizeIs(1)) << "once";

  EXPECT_TRUE(pulls(0)) << "it has not ended yet";
  EXPECT_FALSE(end(0, 0, PullEnd::unreachable)) << "its end adds no feedback";
  start_all();
  EXPECT_FALSE(pulls(0)) << "the parent is left alone";
  now_ += seconds(5);
  start_all();
  EXPECT_TRUE(pulls(0));
}

// The pieces are large: none comes in the time of these tests.
TEST_F(TreesParentsTest, APullThatMovesNoByteIsGivenUpWhileOthersMove) {
  seat();
  start_all();
  const auto pass = [&](milliseconds time, const std::vector<std::size_t>& moving) {
    for (; time.count() > 0; time -= milliseconds(500)) {
      now_ += milliseconds(500);
      for (const auto tree : moving) move(tree);
    }
  };
  pass(seconds(20), {0, 1, 2, 3});
  EXPECT_THAT(ended(), IsEmpty());
  pass(milliseconds(2500), {1, 2, 3});
  EXPECT_THAT(ended(), IsEmpty());
  pass(milliseconds(500), {1, 2, 3});
  EXPECT_THAT(ended(), ElementsAre(0U));
}

TEST_F(TreesParentsTest, NothingIsGivenUpWhenNoByteMovesAtAll) {
  seat();
  start_all();
  now_ += milliseconds(500);
  for (std::size_t tree = 0; tree < kTrees; ++tree) move(tree);
  now_ += seconds(60);
  EXPECT_THAT(ended(), IsEmpty());
}

TEST_F(TreesParentsTest, APullFromAFormerParentMayBringSomethingYet) {
  seat();
  now_ += kFilled;
  others_go_on(0, 4, milliseconds(300));
  trees_.seated({.poll_short = milliseconds(100),
                 .poll_long = seconds(4),
                 .parents = {parent(0, 1), parent(1), parent(2), parent(3)}});
  const auto pull = next();
  ASSERT_TRUE(pull) << "the stream does not wait for the old parent";
  EXPECT_EQ(pull->pieces.front().piece, 4U) << "piece 0 may still arrive";
  EXPECT_THAT(ended(), IsEmpty());
  now_ += milliseconds(300);
  EXPECT_THAT(ended(), ElementsAre(0U)) << "it has brought nothing for long";
  EXPECT_THAT(feedback(), IsEmpty()) << "Redis has replaced that parent already";
}

TEST_F(TreesParentsTest, AStreamThatHelpsIsGivenUpWithoutFeedback) {
  seat();
  now_ += kFilled;
  lack({0, 4, 8, 12, 16, 20, 24});
  start_all();
  now_ += milliseconds(100);
  end(0, 1);
  start_all();
  now_ += milliseconds(1'000);
  end(0, 3);
  now_ += milliseconds(300);
  EXPECT_THAT(ended(), IsEmpty());
  now_ += milliseconds(100);
  EXPECT_THAT(ended(), ElementsAre(1U, 2U, 3U));
  EXPECT_THAT(feedback(), IsEmpty());
}

TEST_F(TreesParentsTest, NothingIsGivenUpWhenNothingComesAtAll) {
  seat();
  now_ += kFilled;
  for (int i = 0; i < 2; ++i) {
    start_all();
    now_ += milliseconds(100);
    for (std::size_t tree = 0; tree < kTrees; ++tree) end(tree, 1);
  }
  start_all();
  now_ += seconds(50);
  EXPECT_THAT(ended(), IsEmpty()) << "the network fails, not four parents";
}

TEST_F(TreesParentsTest, TheLastPullIsGivenUp) {
  reach_the_last_piece(milliseconds(100));
  now_ += milliseconds(1'300);
  EXPECT_THAT(ended(), IsEmpty());
  now_ += milliseconds(200);
  EXPECT_THAT(ended(), ElementsAre(0U));
}

// Some sources of the last piece may be slow, so the host tries them all.
TEST_F(TreesParentsTest, TheLastPieceIsTriedFromEachParentInTurn) {
  reach_the_last_piece(milliseconds(100));
  std::vector<std::size_t> tried;
  for (int round = 0; round < 4; ++round) {
    start_all();
    for (std::size_t tree = 0; tree < kTrees; ++tree) {
      if (pulls(tree)) tried.push_back(tree);
    }
    now_ += seconds(30);  // No parent rests for longer.
    for (const auto tree : ended()) end(tree, 0, PullEnd::unreachable);
  }
  EXPECT_THAT(tried, ElementsAre(0U, 1U, 2U, 3U));
}

// Each pull that is given up doubles the patience with the next one.
TEST_F(TreesParentsTest, WhereAllParentsAreSlowTheLastPieceComesAfterAll) {
  reach_the_last_piece(milliseconds(500));
  std::vector<seconds> patience;
  for (int round = 0; round < 4; ++round) {
    start_all();
    seconds waited{0};
    std::vector<std::size_t> over;
    for (; over.empty() && waited < seconds(100); now_ += seconds(1), waited += seconds(1))
      over = ended();
    patience.push_back(waited);
    for (const auto tree : over) end(tree, 0, PullEnd::unreachable);
    now_ += seconds(6);
  }
  EXPECT_THAT(patience, ElementsAre(seconds(3), seconds(5), seconds(9), seconds(17)));
}

TEST_F(TreesParentsTest, AHostThatIsSlowInEveryTreeAccusesNoParent) {
  seat();
  for (int i = 0; i < 5; ++i) {
    start_all();
    now_ += seconds(10);
    for (std::size_t tree = 0; tree < kTrees; ++tree) EXPECT_FALSE(end(tree, 1));
  }
}

TEST_F(TreesParentsTest, AParentThatWaitsItselfGetsTime) {
  seat();
  start_all();
  now_ += milliseconds(100);
  for (std::size_t tree = 0; tree < kTrees; ++tree) end(tree, 1);
  for (int i = 0; i < 10; ++i) {
    start_all();
    now_ += seconds(1);
    for (std::size_t tree = 0; tree < kTrees; ++tree) {
      if (pulls(tree)) end(tree, tree == 0 ? 0 : 1);
    }
    EXPECT_TRUE(is_carried(0)) << i;
  }
  now_ += seconds(6);
  EXPECT_FALSE(is_carried(0));
}

TEST_F(TreesParentsTest, IfNoParentHasAnythingEveryPieceIsClaimedInTheEnd) {
  seat();
  for (int second = 0; second < 15; ++second) {
    start_all();
    now_ += seconds(1);
    for (std::size_t tree = 0; tree < kTrees; ++tree) {
      if (pulls(tree)) end(tree, 0);
    }
    EXPECT_TRUE(is_carried(0)) << second;
  }
  now_ += seconds(1);
  for (PieceNumber tree = 0; tree < kTrees; ++tree) EXPECT_FALSE(is_carried(tree)) << tree;
}

TEST_F(TreesParentsTest, IfAllParentsFailEveryPieceIsClaimedSoon) {
  seat();
  start_all();
  for (std::size_t tree = 0; tree < kTrees; ++tree) end(tree, 0, PullEnd::unreachable);
  EXPECT_TRUE(is_carried(0)) << "there may be other parents";
  now_ += seconds(4);
  for (PieceNumber tree = 0; tree < kTrees; ++tree) EXPECT_FALSE(is_carried(tree)) << tree;
}

}  // namespace
}  // namespace libsync
