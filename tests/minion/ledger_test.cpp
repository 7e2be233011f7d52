#include "minion/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "libsync/core/verdict.h"
#include "os/random.h"

namespace libsync {
namespace {

using Pieces = std::vector<PieceNumber>;

const Address kNear = Address::parse("10.0.0.2").value();
const Address kFar = Address::parse("10.0.0.3").value();

class LedgerTest : public testing::Test {
 protected:
  static Digest digest_of_piece(PieceNumber piece) { return digest_of(std::to_string(piece)); }

  static Assignment assignment(const Pieces& pieces, std::optional<Token> token,
                               Manifests manifests, const Address& source) {
    Assignment assignment{source, {}, std::move(token), manifests};
    for (const auto piece : pieces) {
      assignment.pieces.push_back({piece, digest_of_piece(piece)});
    }
    return assignment;
  }

  /// A pull by a claim.
  Token add(TransferId id, const Pieces& pieces, Manifests manifests = Manifests::none,
            const Address& source = kNear) {
    auto token = random_name<Token>();
    ledger_.add(id, assignment(pieces, token, manifests, source));
    return token;
  }

  /// A pull by the seat.
  void add_seat_pull(TransferId id, const Pieces& pieces, Manifests manifests = Manifests::none) {
    ledger_.add(id, assignment(pieces, std::nullopt, manifests, kFar));
  }

  /// Returns the piece that has arrived; nothing if no pull awaits it.
  std::optional<PieceNumber> arrive(TransferId id, const std::string& name) {
    const auto arrived = ledger_.arrived({id, name, 0});
    const auto* const piece = std::get_if<PieceArrived>(&arrived);
    if (piece == nullptr) return std::nullopt;
    EXPECT_EQ(piece->piece.digest, digest_of_piece(piece->piece.piece));
    return piece->piece.piece;
  }

  /// Like Placement: a good piece is verified before the ledger learns of it.
  std::optional<Address> judge(PieceNumber piece, Verdict verdict) {
    if (verdict == Verdict::good) pieces_.move(piece, PieceState::verified);
    auto judged = ledger_.judged({piece, verdict});
    superseded_ = std::move(judged.superseded);
    return std::move(judged.source);
  }

  void arrive_good(TransferId id, PieceNumber piece) {
    ASSERT_EQ(arrive(id, "p0000" + std::to_string(piece)), piece);
    ASSERT_TRUE(judge(piece, Verdict::good));
  }

  void end(TransferId id, PullEnd how = PullEnd::good) {
    ledger_.ended({id, how, how == PullEnd::good ? "" : "because"});
  }

  /// The pull by a claim that is over has this id, end and detail. The ledger forgets it.
  void expect_over(TransferId id, PullEnd how, const std::string& detail) {
    expect_over(ledger_.over_claim(), id, how, detail);
  }
  void expect_over(const std::optional<OverPull>& over, TransferId id, PullEnd how,
                   const std::string& detail) {
    ASSERT_TRUE(over);
    EXPECT_EQ(over->id, id);
    EXPECT_EQ(over->end, how);
    EXPECT_NE(over->detail.find(detail), std::string::npos) << over->detail;
    EXPECT_EQ(over->detail.empty(), how == PullEnd::good) << over->detail;
    ledger_.forget(id);
  }

  /// The pieces that are assigned, and not verified yet.
  [[nodiscard]] Pieces on_the_way() const {
    auto all = pieces_.in(PieceState::in_flight);
    for (const auto piece : pieces_.in(PieceState::judging)) all.push_back(piece);
    std::sort(all.begin(), all.end());
    return all;
  }

  /// A second pull of a piece that is in flight.
  void add_second(TransferId id, PieceNumber piece) {
    auto second = assignment({piece}, random_name<Token>(), Manifests::none, kFar);
    second.attempt = Attempt::second;
    ledger_.add(id, std::move(second));
  }

  PieceTable pieces_{10};
  Ledger ledger_{pieces_};
  std::vector<TransferId> superseded_;  // By the last verdict.
};

TEST_F(LedgerTest, HoldsNothingAtFirst) {
  EXPECT_EQ(ledger_.size(), 0U);
  EXPECT_FALSE(ledger_.over_claim());
  EXPECT_FALSE(ledger_.over_seat());
  EXPECT_FALSE(ledger_.is_any_running());
  EXPECT_FALSE(ledger_.awaits_manifest());
  EXPECT_TRUE(ledger_.tokens().empty());
  EXPECT_EQ(pieces_.wanted(), 10U);
}

TEST_F(LedgerTest, AFileThatIsNamedTwiceIsJudgedOnceAtATime) {
  add(1, {3}, Manifests::one);
  EXPECT_EQ(arrive(1, "p00003"), 3U);
  EXPECT_FALSE(arrive(1, "p00003"));
  EXPECT_TRUE(std::holds_alternative<ManifestArrived>(ledger_.arrived({1, "manifest", 0})));
  EXPECT_TRUE(std::holds_alternative<NotAwaited>(ledger_.arrived({1, "manifest", 0})));
  judge(3, Verdict::absent);
  EXPECT_EQ(arrive(1, "p00003"), 3U) << "rsync repeats a file that it finds wrong";
  judge(3, Verdict::good);
  EXPECT_TRUE(ledger_.judged({std::nullopt, Verdict::good}).source);
  end(1);
  expect_over(1, PullEnd::good, "");
}

TEST_F(LedgerTest, CompletesAClaimOnceAllIsJudged) {
  add(1, {3, 5});
  arrive_good(1, 3);
  EXPECT_EQ(arrive(1, "p00005"), 5U);
  EXPECT_FALSE(ledger_.over_claim());
  end(1);
  EXPECT_FALSE(ledger_.over_claim()) << "one piece is still being judged";
  EXPECT_EQ(judge(5, Verdict::good), kNear);
  ASSERT_TRUE(ledger_.over_claim());
  ASSERT_TRUE(ledger_.over_claim()) << "it stays until it is forgotten";
  expect_over(1, PullEnd::good, "");
  EXPECT_EQ(ledger_.size(), 0U);
}

TEST_F(LedgerTest, APullThatHasBroughtAllIsOverBeforeItsRsyncHasEnded) {
  add(1, {3, 5}, Manifests::one);
  arrive_good(1, 3);
  arrive_good(1, 5);
  EXPECT_FALSE(ledger_.over_claim()) << "it awaits the manifest";
  EXPECT_TRUE(std::holds_alternative<ManifestArrived>(ledger_.arrived({1, "manifest", 0})));
  EXPECT_FALSE(ledger_.over_claim()) << "it is being judged";
  static_cast<void>(ledger_.judged({std::nullopt, Verdict::good}));
  EXPECT_TRUE(ledger_.is_any_running());
  expect_over(1, PullEnd::good, "");
  end(1, PullEnd::unreachable);
  EXPECT_EQ(ledger_.size(), 0U) << "its end matters no more";
}

TEST_F(LedgerTest, APullThatBroughtAWrongPieceWaitsForTheEndOfItsRsync) {
  add(1, {3});
  EXPECT_EQ(arrive(1, "p00003"), 3U);
  static_cast<void>(judge(3, Verdict::bad));
  EXPECT_FALSE(ledger_.over_claim());
  end(1);
  expect_over(1, PullEnd::corrupt, "10.0.0.2 sent wrong bytes: check its disk and memory");
}

TEST_F(LedgerTest, APullByTheSeatThatLacksPiecesWaitsForTheEndOfItsRsync) {
  add_seat_pull(1, {3, 5});
  arrive_good(1, 3);
  EXPECT_FALSE(ledger_.over_seat());
  end(1);
  expect_over(ledger_.over_seat(), 1, PullEnd::good, "");
}

TEST_F(LedgerTest, DigestsOverruleExitStatuses) {
  for (const auto how : {PullEnd::unreachable, PullEnd::local, PullEnd::missing, PullEnd::busy}) {
    add(1, {3});
    arrive_good(1, 3);
    end(1, how);
    expect_over(1, PullEnd::good, "");
    pieces_.move(3, PieceState::wanted);
  }
}

TEST_F(LedgerTest, KeepsTheEndOfAPullThatLacksPieces) {
  for (const auto how :
       {PullEnd::busy, PullEnd::unreachable, PullEnd::refused, PullEnd::missing, PullEnd::local}) {
    add(1, {3, 5});
    arrive_good(1, 3);
    end(1, how);
    expect_over(1, how, "because");
    pieces_.move(3, PieceState::wanted);
  }
}

TEST_F(LedgerTest, MissesAPieceThatAGoodPullDidNotBring) {
  add(1, {3, 5});
  arrive_good(1, 5);
  end(1);
  expect_over(1, PullEnd::missing, "10.0.0.2");
  add(2, {3});
  EXPECT_EQ(arrive(2, "p00003"), 3U);
  EXPECT_FALSE(judge(3, Verdict::absent)) << "the file has vanished";
  end(2);
  expect_over(2, PullEnd::missing, "10.0.0.2");
}

TEST_F(LedgerTest, CallsWrongBytesCorruptAfterAnyEnd) {
  for (const auto how : {PullEnd::good, PullEnd::unreachable, PullEnd::local}) {
    add(1, {3, 5}, Manifests::none, kFar);
    EXPECT_EQ(arrive(1, "p00003"), 3U);
    EXPECT_FALSE(judge(3, Verdict::bad));
    EXPECT_EQ(pieces_.state(3), PieceState::in_flight);
    arrive_good(1, 5);
    end(1, how);
    expect_over(1, PullEnd::corrupt, "10.0.0.3");
    pieces_.move(5, PieceState::wanted);
  }
}

TEST_F(LedgerTest, CallsAWrongManifestCorrupt) {
  add(1, {}, Manifests::one);
  EXPECT_TRUE(std::holds_alternative<ManifestArrived>(ledger_.arrived({1, "manifest", 0})));
  EXPECT_FALSE(ledger_.judged({std::nullopt, Verdict::bad}).source);
  end(1);
  expect_over(1, PullEnd::corrupt, "10.0.0.2");
}

TEST_F(LedgerTest, AwaitsAManifestBesidePieces) {
  add(1, {3}, Manifests::one);
  EXPECT_TRUE(ledger_.awaits_manifest());
  arrive_good(1, 3);
  EXPECT_TRUE(std::holds_alternative<ManifestArrived>(ledger_.arrived({1, "manifest", 0})));
  end(1);
  EXPECT_FALSE(ledger_.over_claim());
  EXPECT_EQ(ledger_.judged({std::nullopt, Verdict::good}).source, kNear);
  EXPECT_FALSE(ledger_.awaits_manifest());
  expect_over(1, PullEnd::good, "");
}

TEST_F(LedgerTest, APullWithoutItsManifestIsMissingItAndAwaitsItNoLonger) {
  add(1, {3}, Manifests::one);
  arrive_good(1, 3);
  end(1);
  EXPECT_EQ(ledger_.over_claim().value().end, PullEnd::missing);
  EXPECT_FALSE(ledger_.awaits_manifest()) << "another pull may bring it";
  EXPECT_TRUE(std::holds_alternative<NotAwaited>(ledger_.arrived({1, "manifest", 0})));
  expect_over(1, PullEnd::missing, "10.0.0.2");
}

TEST_F(LedgerTest, AwaitsOnlyAssignedFiles) {
  add(1, {3});
  add(2, {4});
  for (const auto& [id, name] : std::vector<std::pair<TransferId, std::string>>{{1, "manifest"},
                                                                                {1, "p00004"},
                                                                                {2, "p00003"},
                                                                                {3, "p00003"},
                                                                                {1, "p3"},
                                                                                {1, "p00003 "},
                                                                                {1, "P00003"},
                                                                                {1, ""},
                                                                                {1, "probe"},
                                                                                {1, "../p00003"},
                                                                                {1, "p000003"},
                                                                                {1, ".p00003"}}) {
    EXPECT_TRUE(std::holds_alternative<NotAwaited>(ledger_.arrived({id, name, 0}))) << name;
  }
  arrive_good(1, 3);
  EXPECT_FALSE(arrive(1, "p00003")) << "it has arrived already";
  for (const TransferId id : {1U, 2U}) end(id);
  expect_over(1, PullEnd::good, "");
  expect_over(2, PullEnd::missing, "10.0.0.2");
}

TEST_F(LedgerTest, AwaitsNothingFromAPullThatIsOver) {
  add(1, {3, 5}, Manifests::one);
  end(1, PullEnd::unreachable);
  EXPECT_TRUE(ledger_.over_claim());
  EXPECT_EQ(pieces_.wanted(), 10U) << "another pull may name them";
  EXPECT_FALSE(arrive(1, "p00003"));
  EXPECT_EQ(pieces_.state(3), PieceState::wanted);
  expect_over(1, PullEnd::unreachable, "because");
}

TEST_F(LedgerTest, CountsAJudgementOnlyForAFileThatArrived) {
  add(1, {3}, Manifests::one);
  EXPECT_FALSE(ledger_.judged({3, Verdict::good}).source);
  EXPECT_FALSE(ledger_.judged({std::nullopt, Verdict::good}).source);
  EXPECT_FALSE(ledger_.judged({9, Verdict::good}).source);
  EXPECT_EQ(pieces_.state(3), PieceState::in_flight);
  EXPECT_TRUE(ledger_.awaits_manifest());
  EXPECT_EQ(arrive(1, "p00003"), 3U);
  ledger_.forget(1);
  EXPECT_FALSE(judge(3, Verdict::good)) << "no pull waits for it any more";
}

TEST_F(LedgerTest, KeepsPiecesOnTheWayUntilTheyAreGoodOrTheirPullIsOver) {
  add(1, {3, 5});
  add(2, {0, 9}, Manifests::none, kFar);
  EXPECT_EQ(on_the_way(), (Pieces{0, 3, 5, 9}));
  EXPECT_EQ(arrive(1, "p00003"), 3U);
  EXPECT_EQ(pieces_.state(3), PieceState::judging);
  EXPECT_EQ(on_the_way(), (Pieces{0, 3, 5, 9}));
  EXPECT_EQ(judge(3, Verdict::good), kNear);
  EXPECT_EQ(on_the_way(), (Pieces{0, 5, 9}));
  end(7);
  EXPECT_EQ(on_the_way(), (Pieces{0, 5, 9}));
  end(2, PullEnd::unreachable);
  expect_over(2, PullEnd::unreachable, "because");
  EXPECT_EQ(on_the_way(), (Pieces{5}));
  ledger_.forget(2);
  add(3, {0});
  EXPECT_EQ(on_the_way(), (Pieces{0, 5}));
  for (const TransferId id : {1U, 3U}) {
    end(id, PullEnd::busy);
    expect_over(id, PullEnd::busy, "because");
  }
  EXPECT_EQ(on_the_way(), Pieces{});
  EXPECT_EQ(pieces_.wanted(), 9U);
  EXPECT_EQ(ledger_.size(), 0U);
}

TEST_F(LedgerTest, NamesTheTokensOfAllItsClaims) {
  const auto first = add(1, {3});
  const auto second = add(2, {}, Manifests::one);
  EXPECT_EQ(ledger_.tokens(), (std::vector{first, second}));
  end(2, PullEnd::busy);
  EXPECT_EQ(ledger_.tokens().size(), 2U);
  EXPECT_TRUE(ledger_.is_any_running());
  expect_over(2, PullEnd::busy, "because");
  EXPECT_EQ(ledger_.tokens(), (std::vector{first}));
}

TEST_F(LedgerTest, IgnoresTheEndOfAPullThatItDoesNotHold) {
  add(1, {3});
  end(7);
  EXPECT_FALSE(ledger_.over_claim());
  EXPECT_EQ(ledger_.size(), 1U);
}

TEST_F(LedgerTest, APullByTheSeatMayBringLess) {
  const auto claimed = add(1, {0});
  add_seat_pull(2, {1, 2}, Manifests::one);
  EXPECT_EQ(ledger_.claims(), 1U);
  EXPECT_EQ(ledger_.size(), 2U);
  EXPECT_EQ(ledger_.tokens(), std::vector{claimed}) << "a pull by the seat has none";
  arrive_good(2, 1);
  end(2);
  EXPECT_FALSE(ledger_.over_claim());
  expect_over(ledger_.over_seat(), 2, PullEnd::good, "");
  EXPECT_EQ(on_the_way(), Pieces{0});
  EXPECT_EQ(pieces_.state(2), PieceState::wanted);
}

TEST_F(LedgerTest, APullByTheSeatCanStillFail) {
  add_seat_pull(1, {1});
  end(1, PullEnd::unreachable);
  expect_over(ledger_.over_seat(), 1, PullEnd::unreachable, "because");
}

TEST_F(LedgerTest, TheFirstGoodFileSupersedesTheOtherPull) {
  add(1, {3, 5});
  add_second(2, 3);
  EXPECT_EQ(ledger_.second_attempts(), 1U);
  EXPECT_THAT(ledger_.sources_of(3), testing::ElementsAre(kNear, kFar));
  EXPECT_EQ(arrive(2, "p00003"), 3U);
  EXPECT_EQ(judge(3, Verdict::good), kFar);
  EXPECT_THAT(superseded_, testing::ElementsAre(1U));
  EXPECT_TRUE(ledger_.is_superseded(1));
  EXPECT_FALSE(ledger_.is_superseded(2));
  EXPECT_FALSE(ledger_.is_superseded(9));
  EXPECT_FALSE(arrive(1, "p00003")) << "nobody awaits it";
  end(1, PullEnd::unreachable);
  end(2);
  expect_over(1, PullEnd::good, "");
  expect_over(2, PullEnd::good, "");
  EXPECT_EQ(pieces_.state(5), PieceState::wanted) << "the superseded pull did not bring it";
  ledger_.forget(1);
  EXPECT_EQ(ledger_.superseded(), 1U) << "of all pulls so far";
}

TEST_F(LedgerTest, OfTwoFilesInOneStepOneIsJudged) {
  add(1, {3});
  add_second(2, 3);
  EXPECT_EQ(arrive(1, "p00003"), 3U);
  EXPECT_FALSE(arrive(2, "p00003")) << "it waits for the verdict on the other one";
  end(1);
  end(2);
  EXPECT_FALSE(ledger_.over_claim()) << "neither is settled";
  EXPECT_FALSE(ledger_.next_delivered());
  EXPECT_EQ(judge(3, Verdict::good), kNear);
  EXPECT_TRUE(superseded_.empty()) << "its rsync has ended already";
  EXPECT_EQ(ledger_.superseded(), 1U) << "its bytes are not needed";
  EXPECT_FALSE(ledger_.next_delivered());
  expect_over(1, PullEnd::good, "");
  expect_over(2, PullEnd::good, "");
}

TEST_F(LedgerTest, AfterAWrongFileTheOtherOneIsJudged) {
  add(1, {3});
  add_second(2, 3);
  EXPECT_EQ(arrive(1, "p00003"), 3U);
  EXPECT_FALSE(arrive(2, "p00003"));
  end(1);
  end(2);
  EXPECT_FALSE(judge(3, Verdict::bad));
  const auto next = ledger_.next_delivered();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->piece.piece, 3U);
  EXPECT_EQ(next->attempt, Attempt::second);
  EXPECT_EQ(judge(3, Verdict::good), kFar);
  expect_over(1, PullEnd::corrupt, "10.0.0.2 sent wrong bytes");
  expect_over(2, PullEnd::good, "");
}

TEST_F(LedgerTest, APieceStaysInFlightWhileOneOfItsPullsRuns) {
  for (const bool first_ends_first : {true, false}) {
    add(1, {3});
    add_second(2, 3);
    end(first_ends_first ? 1 : 2, PullEnd::unreachable);
    expect_over(first_ends_first ? 1 : 2, PullEnd::unreachable, "because");
    EXPECT_EQ(pieces_.state(3), PieceState::in_flight);
    end(first_ends_first ? 2 : 1, PullEnd::unreachable);
    expect_over(first_ends_first ? 2 : 1, PullEnd::unreachable, "because");
    EXPECT_EQ(pieces_.state(3), PieceState::wanted);
  }
}

}  // namespace
}  // namespace libsync
