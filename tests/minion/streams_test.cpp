#include "minion/streams.h"

#include <gmock/gmock.h>

#include <string>

namespace libsync {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Kind = ParentFeedback::Kind;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr PieceNumber kPieces = 400;
constexpr PieceNumber kTrees = 4;

Address parent(unsigned tree, unsigned generation = 0) {
  return Address::parse("10.0." + std::to_string(generation) + "." + std::to_string(tree + 1))
      .value();
}

// By then a host that has come tells who is slow.
constexpr seconds kFilled{2};

class StreamsTest : public testing::Test {
 protected:
  StreamsTest() : streams_(kPieces, now_) {}

  /// Is told its parents, and the digests of the first so many pieces.
  void follow(PieceNumber known = kPieces, unsigned generation = 0) {
    Seat place{
        .poll_short = milliseconds(100), .poll_long = seconds(4), .parents = {}, .digests = {}};
    for (unsigned tree = 0; tree < kTrees; ++tree)
      place.parents.emplace_back(parent(tree, generation));
    for (PieceNumber piece = 0; piece < known; ++piece)
      place.digests.push_back({piece, digest_of(std::to_string(piece))});
    streams_.follow(place);
  }

  std::optional<StreamPull> next() {
    auto unwanted = in_place_;
    unwanted |= on_the_way_;
    return streams_.next(unwanted, now_);
  }

  /// Starts all that may start; returns how many.
  std::size_t start_all() {
    std::size_t count = 0;
    while (const auto pull = next()) {
      streams_.started(*pull, pull->tree, now_);
      asked_.insert_or_assign(pull->tree, pull->pieces);
      for (const auto& [piece, digest] : pull->pieces) on_the_way_.insert(piece);
      ++count;
    }
    return count;
  }

  /// The pull in `tree` brings so many of its pieces and ends.
  std::optional<ParentFeedback> end(std::size_t tree, std::size_t brought,
                                    PullEnd how = PullEnd::good) {
    for (const auto& [piece, digest] : asked_.at(tree)) {
      on_the_way_.erase(piece);
      if (brought == 0) continue;
      --brought;
      in_place_.insert(piece);
      streams_.arrived(tree, now_);
    }
    return streams_.ended(tree, how, how == PullEnd::good ? "" : "because", in_place_, now_);
  }

  /// Everything but this is in place.
  void lack(const std::vector<PieceNumber>& pieces) {
    for (PieceNumber piece = 0; piece < kPieces; ++piece) in_place_.insert(piece);
    for (const auto piece : pieces) in_place_.erase(piece);
  }

  /// All streams but one go on, a piece a step each, until the others are so many ahead.
  void others_go_on(std::size_t held, PieceNumber steps, milliseconds step = milliseconds(100)) {
    for (PieceNumber i = 0; i < steps; ++i) {
      start_all();
      now_ += step;
      for (std::size_t tree = 0; tree < kTrees; ++tree) {
        if (tree != held && streams_.owns(tree)) end(tree, 99);
      }
    }
  }

  bool is_carried(PieceNumber tree) {
    return streams_.carried(in_place_, now_).contains(tree + kPieces - kTrees);
  }

  Instant now_{seconds(1000)};
  Streams streams_;
  PieceSet in_place_{kPieces};
  PieceSet on_the_way_{kPieces};
  std::map<std::size_t, std::vector<StagedPiece>> asked_;
};

TEST_F(StreamsTest, WithoutAPlaceInTheTreesNothingIsPulledAndNothingClaimed) {
  EXPECT_TRUE(streams_.is_urgent(in_place_));
  EXPECT_FALSE(next());
  EXPECT_EQ(streams_.carried(in_place_, now_).size(), kPieces);
}

TEST_F(StreamsTest, WithoutTreesEverythingIsClaimed) {
  streams_.follow(
      {.poll_short = milliseconds(100), .poll_long = seconds(4), .parents = {}, .digests = {}});
  EXPECT_FALSE(next());
  EXPECT_EQ(streams_.carried(in_place_, now_).size(), 0U);
}

TEST_F(StreamsTest, EachTreeHasOnePullOfItsNextPieceFromItsParent) {
  follow();
  const auto first = next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->parent, parent(0));
  EXPECT_EQ(start_all(), kTrees);
  EXPECT_EQ(asked_.at(3).front().piece, 3U);
  EXPECT_FALSE(next()) << "one at a time";
  EXPECT_FALSE(end(3, 1));
  EXPECT_EQ(start_all(), 1U);
  EXPECT_EQ(asked_.at(3).front().piece, 7U);
}

TEST_F(StreamsTest, QuickPiecesAreAskedForTogether) {
  follow();
  start_all();
  now_ += milliseconds(250);
  end(0, 1);
  start_all();
  EXPECT_EQ(asked_.at(0).size(), 4U) << "as many as come in a second";
}

TEST_F(StreamsTest, WhatCannotBeProvenIsNotPulled) {
  follow(6);
  EXPECT_EQ(start_all(), kTrees);
  for (std::size_t tree = 0; tree < kTrees; ++tree) end(tree, 1);
  EXPECT_EQ(start_all(), 2U) << "pieces 4 and 5";
  auto unwanted = in_place_;
  unwanted |= on_the_way_;
  EXPECT_TRUE(streams_.is_urgent(unwanted));
  follow();
  EXPECT_FALSE(streams_.is_urgent(unwanted));
}

TEST_F(StreamsTest, AParentThatHasNothingIsAskedAgainLaterAndLater) {
  follow();
  start_all();
  milliseconds before{0};
  for (int i = 0; i < 5; ++i) {
    now_ += milliseconds(100);
    EXPECT_FALSE(end(0, 0)) << "it is not accused of anything";
    EXPECT_FALSE(next());
    const auto wait = std::chrono::duration_cast<milliseconds>(streams_.next_due(now_) - now_);
    EXPECT_GT(wait, before);
    before = wait;
    now_ = streams_.next_due(now_);
    EXPECT_EQ(start_all(), 1U);
  }
  EXPECT_LE(before, milliseconds(500));
}

TEST_F(StreamsTest, AFailureIsReportedAndWhatDoesNotComeIsClaimed) {
  follow();
  start_all();
  const auto report = end(0, 0, PullEnd::unreachable);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->parent, parent(0));
  EXPECT_EQ(report->kind, Kind::failing);
  EXPECT_EQ(report->end, PullEnd::unreachable);
  EXPECT_EQ(report->detail, "because");
  EXPECT_TRUE(streams_.is_urgent(in_place_)) << "it may have another parent";
  EXPECT_TRUE(is_carried(0)) << "others report it, too";
  others_go_on(0, 9, milliseconds(1000));
  EXPECT_FALSE(is_carried(0));
  EXPECT_TRUE(is_carried(1));
}

TEST_F(StreamsTest, AParentThatHadFailedIsPraised) {
  follow();
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

TEST_F(StreamsTest, AParentWithNoConnectionFreeIsNotAccused) {
  follow();
  start_all();
  EXPECT_FALSE(end(0, 0, PullEnd::busy));
  EXPECT_FALSE(next());
  now_ += milliseconds(500);
  EXPECT_TRUE(next());
}

TEST_F(StreamsTest, ANewParentIsAskedAtOnceAndIsNotTheOldOne) {
  follow();
  start_all();
  ASSERT_TRUE(end(0, 0, PullEnd::unreachable));
  ASSERT_FALSE(next());
  follow(kPieces, 1);
  const auto pull = next();
  ASSERT_TRUE(pull);
  EXPECT_EQ(pull->parent, parent(0, 1));
  EXPECT_FALSE(end(1, 0, PullEnd::unreachable)) << "that pull was from the old one";
  EXPECT_TRUE(next());
}

TEST_F(StreamsTest, NobodyIsCalledSlowWhileTheTreeFills) {
  follow();
  others_go_on(0, 5);
  EXPECT_TRUE(streams_.overdue(in_place_, now_).empty());
  EXPECT_FALSE(end(0, 1));
}

TEST_F(StreamsTest, AParentThatIsSlowerThanOthersIsReportedAndLeftAlone) {
  follow();
  now_ += kFilled;
  others_go_on(0, 5);
  ASSERT_TRUE(streams_.owns(0));
  const auto report = end(0, 1);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->kind, Kind::slow);
  EXPECT_EQ(report->parent, parent(0));
  start_all();
  EXPECT_FALSE(streams_.owns(0));
  now_ += seconds(5);
  start_all();
  EXPECT_TRUE(streams_.owns(0));
}

TEST_F(StreamsTest, AParentThatBringsNothingIsReportedBeforeItsPullEnds) {
  follow();
  now_ += kFilled;
  others_go_on(0, 4);
  EXPECT_TRUE(streams_.overdue(in_place_, now_).empty()) << "four pieces' time is not much";
  now_ += milliseconds(100);
  const auto reports = streams_.overdue(in_place_, now_);
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports.front().parent, parent(0));
  EXPECT_EQ(reports.front().kind, Kind::slow);
  EXPECT_TRUE(streams_.overdue(in_place_, now_).empty()) << "once a pull";
  EXPECT_THAT(streams_.give_up(now_), IsEmpty()) << "it may be slow, and bring something yet";
  follow(kPieces, 1);
  EXPECT_THAT(streams_.give_up(now_), ElementsAre(0U)) << "others find so, too";
  ASSERT_TRUE(next()) << "the stream does not wait for the old parent";
  EXPECT_EQ(next()->pieces.front().piece, 4U) << "but for the piece that may still come";
  EXPECT_TRUE(streams_.owns(0));
  EXPECT_FALSE(end(0, 0, PullEnd::unreachable));
  EXPECT_FALSE(streams_.owns(0));
}

TEST_F(StreamsTest, APullThatBringsNothingForLongIsGivenUp) {
  follow();
  now_ += kFilled;
  others_go_on(0, 9, milliseconds(300));
  EXPECT_EQ(streams_.overdue(in_place_, now_).size(), 1U);
  EXPECT_THAT(streams_.give_up(now_), IsEmpty());
  others_go_on(0, 1, milliseconds(300));
  EXPECT_THAT(streams_.overdue(in_place_, now_), IsEmpty());
  EXPECT_THAT(streams_.give_up(now_), ElementsAre(0U));
  EXPECT_THAT(streams_.give_up(now_), IsEmpty()) << "once";

  EXPECT_TRUE(streams_.owns(0)) << "it has not ended yet";
  EXPECT_FALSE(end(0, 0, PullEnd::unreachable)) << "that it was ended says nothing of its parent";
  EXPECT_FALSE(streams_.owns(0));
  start_all();
  EXPECT_FALSE(streams_.owns(0)) << "the parent is left alone";
  now_ += seconds(5);
  start_all();
  EXPECT_TRUE(streams_.owns(0));
}

TEST_F(StreamsTest, WhoHelpsIsGivenUpWithoutAWord) {
  follow();
  now_ += kFilled;
  lack({0, 4, 8, 12, 16, 20, 24});
  start_all();
  now_ += milliseconds(100);
  end(0, 1);
  start_all();
  now_ += milliseconds(1'000);
  end(0, 3);
  now_ += milliseconds(1'800);
  EXPECT_THAT(streams_.give_up(now_), IsEmpty());
  now_ += milliseconds(100);
  EXPECT_THAT(streams_.overdue(in_place_, now_), IsEmpty());
  EXPECT_THAT(streams_.give_up(now_), ElementsAre(1U, 2U, 3U));
}

TEST_F(StreamsTest, NothingIsGivenUpWhenNothingComesAtAll) {
  follow();
  now_ += kFilled;
  for (int i = 0; i < 2; ++i) {
    start_all();
    now_ += milliseconds(100);
    for (std::size_t tree = 0; tree < kTrees; ++tree) end(tree, 1);
  }
  start_all();
  now_ += seconds(50);
  EXPECT_THAT(streams_.give_up(now_), IsEmpty()) << "it is the network, and not four parents";
}

TEST_F(StreamsTest, ThePullThatIsLeftIsGivenUp) {
  follow();
  now_ += kFilled;
  lack({0, 4});
  start_all();
  now_ += milliseconds(100);
  end(1, 1);
  now_ += milliseconds(2'800);
  EXPECT_THAT(streams_.give_up(now_), IsEmpty());
  now_ += milliseconds(200);
  EXPECT_THAT(streams_.give_up(now_), ElementsAre(0U));
}

TEST_F(StreamsTest, WhoeverIsSlowInEveryTreeAccusesNobody) {
  follow();
  for (int i = 0; i < 5; ++i) {
    start_all();
    now_ += seconds(10);
    for (std::size_t tree = 0; tree < kTrees; ++tree) EXPECT_FALSE(end(tree, 1));
  }
}

TEST_F(StreamsTest, AParentThatWaitsItselfIsGivenTime) {
  follow();
  start_all();
  now_ += milliseconds(100);
  for (std::size_t tree = 0; tree < kTrees; ++tree) end(tree, 1);
  for (int i = 0; i < 10; ++i) {
    start_all();
    now_ += seconds(1);
    for (std::size_t tree = 0; tree < kTrees; ++tree) {
      if (streams_.owns(tree)) end(tree, tree == 0 ? 0 : 1);
    }
    EXPECT_TRUE(is_carried(0)) << i;
  }
  now_ += seconds(6);
  EXPECT_FALSE(is_carried(0));
}

TEST_F(StreamsTest, WherePiecesTakeLongAnEmptyParentIsAskedSeldom) {
  follow();
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

TEST_F(StreamsTest, WhereNoParentHasAnythingAllIsClaimedInTheEnd) {
  follow();
  for (int second = 0; second < 15; ++second) {
    start_all();
    now_ += seconds(1);
    for (std::size_t tree = 0; tree < kTrees; ++tree) {
      if (streams_.owns(tree)) end(tree, 0);
    }
    EXPECT_TRUE(is_carried(0)) << second;
  }
  now_ += seconds(1);
  for (PieceNumber tree = 0; tree < kTrees; ++tree) EXPECT_FALSE(is_carried(tree)) << tree;
}

TEST_F(StreamsTest, WhereAllParentsFailAllIsClaimedSoon) {
  follow();
  start_all();
  for (std::size_t tree = 0; tree < kTrees; ++tree) end(tree, 0, PullEnd::unreachable);
  EXPECT_TRUE(is_carried(0)) << "there may be other parents";
  now_ += seconds(4);
  for (PieceNumber tree = 0; tree < kTrees; ++tree) EXPECT_FALSE(is_carried(tree)) << tree;
}

TEST_F(StreamsTest, AStreamWhoseTreeIsDoneHelpsTheTreeThatIsFurthestBehind) {
  follow();
  lack({0, 4, 8, 12, 21});
  EXPECT_TRUE(is_carried(0)) << "nobody claims it";
  EXPECT_EQ(start_all(), kTrees);
  EXPECT_EQ(asked_.at(0).front().piece, 0U);
  EXPECT_EQ(asked_.at(1).front().piece, 21U) << "it has some of its own";
  EXPECT_EQ(asked_.at(2).front().piece, 4U);
  EXPECT_EQ(asked_.at(3).front().piece, 8U);

  now_ += milliseconds(100);
  EXPECT_FALSE(end(3, 0)) << "a parent need not have what is of other trees";
  end(0, 1);
  start_all();
  EXPECT_EQ(asked_.at(0).front().piece, 8U) << "its own stream goes on";
  EXPECT_FALSE(streams_.owns(3)) << "nothing is left to ask for";
  EXPECT_TRUE(is_carried(0));
}

TEST_F(StreamsTest, WhoHelpsAsksForFewPieces) {
  follow();
  lack({0, 4, 8, 12, 16, 20, 24, 28, 32, 36});
  start_all();
  now_ += milliseconds(50);
  end(1, 1);
  const auto help = next();
  ASSERT_TRUE(help);
  EXPECT_EQ(help->tree, 1U);
  EXPECT_EQ(help->parent, parent(1));
  EXPECT_EQ(help->pieces.size(), 4U) << "though more would come in a second";
}

TEST_F(StreamsTest, NobodyHelpsWithWhatCannotBeProven) {
  follow(4);
  lack({0, 4, 8});
  EXPECT_EQ(start_all(), 1U);
  EXPECT_EQ(asked_.at(0).size(), 1U);
}

}  // namespace
}  // namespace libsync
