#include "minion/ledger.h"

#include <gtest/gtest.h>

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

class PullLedgerTest : public testing::Test {
 protected:
  Token add(TransferId id, const Pieces& pieces, PullsManifest manifest = PullsManifest::no,
            const Address& source = kNear) {
    Claim claim{random_name<Token>(), source, {}};
    for (const auto piece : pieces) claim.pieces.push_back({piece, digest_of_piece(piece)});
    ledger_.add(id, claim, manifest);
    return claim.token;
  }

  static Digest digest_of_piece(PieceNumber piece) { return digest_of(std::to_string(piece)); }

  // The piece that is said to have arrived; nothing if it is none.
  std::optional<PieceNumber> arrive(TransferId id, const std::string& name) {
    const auto arrived = ledger_.arrived({id, name, 0});
    const auto* const piece = std::get_if<PieceArrived>(&arrived);
    if (piece == nullptr) return std::nullopt;
    EXPECT_EQ(piece->piece.digest, digest_of_piece(piece->piece.piece));
    return piece->piece.piece;
  }

  void arrive_good(TransferId id, PieceNumber piece) {
    ASSERT_EQ(arrive(id, "p0000" + std::to_string(piece)), piece);
    ASSERT_TRUE(ledger_.judged({piece, Verdict::good}));
  }

  void end(TransferId id, PullEnd how = PullEnd::good) {
    ledger_.ended({id, how, how == PullEnd::good ? "" : "because"});
  }

  // How the claim that is over ended, as its id, class and detail; forgotten then.
  void expect_over(TransferId id, PullEnd how, const std::string& detail) {
    const auto over = ledger_.completed();
    ASSERT_TRUE(over);
    EXPECT_EQ(over->id, id);
    EXPECT_EQ(over->end, how);
    EXPECT_NE(over->detail.find(detail), std::string::npos) << over->detail;
    EXPECT_EQ(over->detail.empty(), how == PullEnd::good) << over->detail;
    ledger_.forget(id);
  }

  PullLedger ledger_{10};
};

TEST_F(PullLedgerTest, HoldsNothingAtFirst) {
  EXPECT_EQ(ledger_.size(), 0U);
  EXPECT_FALSE(ledger_.completed());
  EXPECT_FALSE(ledger_.is_any_running());
  EXPECT_FALSE(ledger_.is_manifest_on_the_way());
  EXPECT_TRUE(ledger_.tokens().empty());
  EXPECT_EQ(ledger_.in_flight(), PieceSet(10));
}

TEST_F(PullLedgerTest, AFileThatIsNamedTwiceIsJudgedOnceAtATime) {
  add(1, {3}, PullsManifest::yes);
  EXPECT_EQ(arrive(1, "p00003"), 3U);
  EXPECT_FALSE(arrive(1, "p00003"));
  EXPECT_TRUE(std::holds_alternative<ManifestArrived>(ledger_.arrived({1, "manifest", 0})));
  EXPECT_TRUE(std::holds_alternative<NotAwaited>(ledger_.arrived({1, "manifest", 0})));
  ledger_.judged({3, Verdict::absent});
  EXPECT_EQ(arrive(1, "p00003"), 3U) << "rsync has another go at what it finds wrong";
  ledger_.judged({3, Verdict::good});
  ledger_.judged({std::nullopt, Verdict::good});
  end(1);
  expect_over(1, PullEnd::good, "");
}

TEST_F(PullLedgerTest, CompletesAClaimOnceEndedAndJudged) {
  add(1, {3, 5});
  arrive_good(1, 3);
  EXPECT_EQ(arrive(1, "p00005"), 5U);
  EXPECT_FALSE(ledger_.completed());
  end(1);
  EXPECT_FALSE(ledger_.completed()) << "one piece is still being judged";
  EXPECT_EQ(ledger_.judged({5, Verdict::good}), kNear);
  ASSERT_TRUE(ledger_.completed());
  ASSERT_TRUE(ledger_.completed()) << "it stays until it is forgotten";
  expect_over(1, PullEnd::good, "");
  EXPECT_EQ(ledger_.size(), 0U);
}

TEST_F(PullLedgerTest, DoesNotCompleteBeforeRsyncHasEnded) {
  add(1, {3});
  arrive_good(1, 3);
  EXPECT_FALSE(ledger_.completed());
  EXPECT_TRUE(ledger_.is_any_running());
  end(1);
  EXPECT_FALSE(ledger_.is_any_running());
  expect_over(1, PullEnd::good, "");
}

TEST_F(PullLedgerTest, TakesDigestsBeforeExitStatuses) {
  for (const auto how : {PullEnd::unreachable, PullEnd::local, PullEnd::missing, PullEnd::busy}) {
    add(1, {3});
    arrive_good(1, 3);
    end(1, how);
    expect_over(1, PullEnd::good, "");
  }
}

TEST_F(PullLedgerTest, SaysHowAPullBrokeOff) {
  for (const auto how :
       {PullEnd::busy, PullEnd::unreachable, PullEnd::refused, PullEnd::missing, PullEnd::local}) {
    add(1, {3, 5});
    arrive_good(1, 3);
    end(1, how);
    expect_over(1, how, "because");
  }
}

TEST_F(PullLedgerTest, MissesWhatEndedWellWithoutComing) {
  add(1, {3, 5});
  arrive_good(1, 5);
  end(1);
  expect_over(1, PullEnd::missing, "10.0.0.2");
  add(2, {3});
  EXPECT_EQ(arrive(2, "p00003"), 3U);
  EXPECT_FALSE(ledger_.judged({3, Verdict::absent})) << "came and went";
  end(2);
  expect_over(2, PullEnd::missing, "10.0.0.2");
}

TEST_F(PullLedgerTest, CallsWrongBytesCorruptHoweverThePullEnded) {
  for (const auto how : {PullEnd::good, PullEnd::unreachable, PullEnd::local}) {
    add(1, {3, 5}, PullsManifest::no, kFar);
    EXPECT_EQ(arrive(1, "p00003"), 3U);
    EXPECT_FALSE(ledger_.judged({3, Verdict::bad}));
    EXPECT_TRUE(ledger_.in_flight().contains(3));
    arrive_good(1, 5);
    end(1, how);
    expect_over(1, PullEnd::corrupt, "10.0.0.3");
  }
}

TEST_F(PullLedgerTest, CallsAWrongManifestCorrupt) {
  add(1, {}, PullsManifest::yes);
  EXPECT_TRUE(std::holds_alternative<ManifestArrived>(ledger_.arrived({1, "manifest", 0})));
  EXPECT_FALSE(ledger_.judged({std::nullopt, Verdict::bad}));
  end(1);
  expect_over(1, PullEnd::corrupt, "10.0.0.2");
}

TEST_F(PullLedgerTest, AwaitsAManifestBesidePieces) {
  add(1, {3}, PullsManifest::yes);
  EXPECT_TRUE(ledger_.is_manifest_on_the_way());
  arrive_good(1, 3);
  end(1);
  EXPECT_EQ(ledger_.completed().value().end, PullEnd::missing);
  EXPECT_TRUE(std::holds_alternative<ManifestArrived>(ledger_.arrived({1, "manifest", 0})));
  EXPECT_FALSE(ledger_.completed());
  EXPECT_EQ(ledger_.judged({std::nullopt, Verdict::good}), kNear);
  EXPECT_FALSE(ledger_.is_manifest_on_the_way());
  expect_over(1, PullEnd::good, "");
}

TEST_F(PullLedgerTest, AwaitsNothingThatWasNotClaimed) {
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
  EXPECT_FALSE(arrive(1, "p00003")) << "it is there already";
  for (const TransferId id : {1U, 2U}) end(id);
  expect_over(1, PullEnd::good, "");
  expect_over(2, PullEnd::missing, "10.0.0.2");
}

TEST_F(PullLedgerTest, CountsAJudgementOnlyForWhatArrived) {
  add(1, {3}, PullsManifest::yes);
  EXPECT_FALSE(ledger_.judged({3, Verdict::good}));
  EXPECT_FALSE(ledger_.judged({std::nullopt, Verdict::good}));
  EXPECT_FALSE(ledger_.judged({9, Verdict::good}));
  EXPECT_TRUE(ledger_.in_flight().contains(3));
  EXPECT_TRUE(ledger_.is_manifest_on_the_way());
  EXPECT_EQ(arrive(1, "p00003"), 3U);
  ledger_.forget(1);
  EXPECT_FALSE(ledger_.judged({3, Verdict::good})) << "its claim is gone";
}

TEST_F(PullLedgerTest, KeepsPiecesInFlightUntilTheyAreGood) {
  add(1, {3, 5});
  add(2, {0, 9}, PullsManifest::no, kFar);
  EXPECT_EQ(ledger_.in_flight().members(), (Pieces{0, 3, 5, 9}));
  EXPECT_EQ(arrive(1, "p00003"), 3U);
  EXPECT_EQ(ledger_.in_flight().members(), (Pieces{0, 3, 5, 9}));
  EXPECT_EQ(ledger_.judged({3, Verdict::good}), kNear);
  EXPECT_EQ(ledger_.in_flight().members(), (Pieces{0, 5, 9}));
  EXPECT_EQ(ledger_.in_flight(TransferId{1}).members(), (Pieces{0, 9}));
  EXPECT_EQ(ledger_.in_flight(TransferId{2}).members(), (Pieces{5}));
  EXPECT_EQ(ledger_.in_flight(TransferId{7}).members(), (Pieces{0, 5, 9}));
  ledger_.forget(2);
  EXPECT_EQ(ledger_.in_flight().members(), (Pieces{5}));
  ledger_.forget(2);
  add(3, {0});
  ledger_.forget_all();
  EXPECT_EQ(ledger_.in_flight(), PieceSet(10));
  EXPECT_EQ(ledger_.size(), 0U);
}

TEST_F(PullLedgerTest, NamesTheTokensOfAllItsClaims) {
  const auto first = add(1, {3});
  const auto second = add(2, {}, PullsManifest::yes);
  EXPECT_EQ(ledger_.tokens(), (std::vector{first, second}));
  end(2, PullEnd::busy);
  EXPECT_EQ(ledger_.tokens().size(), 2U);
  EXPECT_TRUE(ledger_.is_any_running());
  expect_over(2, PullEnd::busy, "because");
  EXPECT_EQ(ledger_.tokens(), (std::vector{first}));
}

TEST_F(PullLedgerTest, IgnoresTheEndOfWhatItDoesNotHold) {
  add(1, {3});
  end(7);
  EXPECT_FALSE(ledger_.completed());
  EXPECT_EQ(ledger_.size(), 1U);
}

TEST_F(PullLedgerTest, WhatNobodyPromisedIsNotMissed) {
  const auto claimed = add(1, {0});
  ledger_.add(2, {random_name<Token>(), kFar, {{1, digest_of_piece(1)}, {2, digest_of_piece(2)}}},
              PullsManifest::yes, Promise::none);
  EXPECT_EQ(ledger_.claims(), 1U);
  EXPECT_EQ(ledger_.size(), 2U);
  EXPECT_EQ(ledger_.tokens(), std::vector{claimed}) << "the coordinator knows of no other";
  arrive_good(2, 1);
  end(2);
  expect_over(2, PullEnd::good, "");
  EXPECT_EQ(ledger_.in_flight().members(), Pieces{0});
}

TEST_F(PullLedgerTest, APullThatWasNotPromisedCanStillFail) {
  ledger_.add(1, {random_name<Token>(), kFar, {{1, digest_of_piece(1)}}}, PullsManifest::no,
              Promise::none);
  end(1, PullEnd::unreachable);
  expect_over(1, PullEnd::unreachable, "because");
}

}  // namespace
}  // namespace libsync
