// Claims: source and pieces of a pull, its lease, wake-ups, and blame.

#include <gmock/gmock.h>

#include <map>
#include <set>

#include "function_caller.h"

namespace libsync::test {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr auto kLeaseMs = 45'000;
constexpr auto kReapMs = 100;
constexpr auto kOrigin = "10.0.0.1";

// Indices of the elements of a CLAIMED answer.
constexpr std::size_t kToken = 1;
constexpr std::size_t kSource = 2;
constexpr std::size_t kFirstPiece = 8;

std::set<std::string> pieces_of(const Texts& claimed) {
  std::set<std::string> pieces;
  for (std::size_t i = kFirstPiece; i < claimed.size(); i += 2) pieces.insert(claimed[i]);
  return pieces;
}

class ClaimFunctions : public testing::Test {
 protected:
  ClaimFunctions() { f.begin(run, 8, kOrigin, 2); }

  void stage_all() { f.stage(run, {0, 1, 2, 3, 4, 5, 6, 7}, FunctionCaller::Last::yes); }

  /// Announces every piece, and makes the origin offer none.
  void announce_only() {
    stage_all();
    f.ask({"HSET", "sync:slots", kOrigin, "0"});
    f.ask({"SREM", "synchronize_queue", kOrigin});
  }

  void offer_origin() {
    f.begin(run, 8, kOrigin, 2);
    stage_all();
  }

  /// A host claims all pieces that it does not have.
  Texts claim(const std::string& host, unsigned number, const std::string& have,
              unsigned most = 1) {
    return f.claim(run, host, token(number), have, have, most);
  }

  TestRedis redis;
  FunctionCaller f{redis};
  const std::string run = run_id(1);
  const std::string none = bits(8, {});
};

TEST_F(ClaimFunctions, AClaimNamesSourcePiecesAndDigests) {
  f.stage(run, {5});
  EXPECT_THAT(claim("10.0.0.8", 1, none), ElementsAre("CLAIMED", token(1), kOrigin, "staging", "1",
                                                      "0", "0", "0", "5", digest(5)));
  EXPECT_THAT(f.members("running_queue"), ElementsAre("10.0.0.8"));
}

// The bitmap of these two pieces is the text "0".
TEST_F(ClaimFunctions, ABitmapThatReadsLikeAZeroIsNotMissing) {
  f.stage(run, {4, 5});
  EXPECT_EQ(f.one({"HGET", "sync:run", "announced"}), "0");
  EXPECT_EQ(f.one({"HGET", "sync:course", "fresh"}), "0");
  EXPECT_EQ(claim("10.0.0.8", 1, none).at(0), "CLAIMED");
  EXPECT_EQ(f.one({"HGET", "sync:claims", token(1)}).substr(0, 8), "10.0.0.8");
  f.ask({"HDEL", "sync:run", "announced"});
  f.ask({"HDEL", "sync:course", "fresh"});
  EXPECT_EQ(claim("10.0.0.9", 2, none).at(0), "WAIT") << "no piece is announced";
}

TEST_F(ClaimFunctions, APieceThatAHostHasAndTheOriginLacksIsNotFreshAgain) {
  stage_all();
  f.ask({"HSET", "sync:have", kOrigin, none});
  f.ask({"DEL", "sync:copies"});
  f.hold(run, "10.0.0.7", bits(8, {3}));
  EXPECT_EQ(f.claim(run, "10.0.0.8", token(1), none, bits(8, {0, 1, 2, 4, 5, 6, 7})).at(2),
            "10.0.0.7");
  f.complete(run, "10.0.0.8", token(1), "refused", none);
  EXPECT_EQ(f.one({"HGET", "sync:course", "fresh"}), bits(8, {0, 1, 2, 4, 5, 6, 7}));
}

TEST_F(ClaimFunctions, ASourceLeavesTheQueueWhileAllItsSlotsAreInUse) {
  stage_all();
  claim("10.0.0.8", 1, none);
  EXPECT_THAT(f.members("synchronize_queue"), ElementsAre(kOrigin));
  claim("10.0.0.9", 2, none);
  EXPECT_THAT(f.members("synchronize_queue"), IsEmpty());
  EXPECT_EQ(claim("10.0.0.10", 3, none).at(0), "WAIT");
  f.complete(run, "10.0.0.8", token(1), "good", bits(8, {0}));
  EXPECT_THAT(f.members("synchronize_queue"), ElementsAre(kOrigin));
  EXPECT_THAT(f.members("running_queue"), ElementsAre("10.0.0.9"));
}

TEST_F(ClaimFunctions, ATokenThatIsKnownGivesTheSameClaimAgain) {
  stage_all();
  const auto first = claim("10.0.0.8", 1, none, 3);
  const auto again = claim("10.0.0.8", 1, none, 3);
  EXPECT_EQ(first, again);
  EXPECT_EQ(f.one({"HGET", "sync:uploads", kOrigin}), "1");
}

TEST_F(ClaimFunctions, NobodyGetsAnothersClaimByItsToken) {
  stage_all();
  claim("10.0.0.8", 1, none);
  EXPECT_EQ(claim("10.0.0.9", 1, none).at(0), "WAIT");
  f.complete(run, "10.0.0.9", token(1), "good", none);
  EXPECT_THAT(f.members("running_queue"), ElementsAre("10.0.0.8"));
}

TEST_F(ClaimFunctions, TheRarestPieceIsClaimedFirst) {
  stage_all();
  f.hold(run, "10.0.0.5", bits(8, {0, 1, 2, 3, 4, 5, 7}), 0);
  EXPECT_THAT(pieces_of(claim("10.0.0.8", 1, none)), ElementsAre("6"));
  f.hold(run, "10.0.0.6", bits(8, {0, 1, 2, 4, 5, 6, 7}), 0);
  EXPECT_THAT(pieces_of(claim("10.0.0.8", 2, bits(8, {6}))), ElementsAre("3"));
}

TEST_F(ClaimFunctions, TheOriginComesFirstForPiecesThatNoOtherHostHasOrPulls) {
  stage_all();
  f.hold(run, "10.0.0.5", bits(8, {0, 1, 2, 3, 4, 5}), 8);
  EXPECT_EQ(claim("10.0.0.8", 1, none).at(kSource), kOrigin);
  EXPECT_EQ(claim("10.0.0.9", 2, none).at(kSource), kOrigin);
  f.complete(run, "10.0.0.8", token(1), "good", bits(8, {6}));
  f.complete(run, "10.0.0.9", token(2), "good", bits(8, {7}));
  for (unsigned i = 10; i < 14; ++i) {
    EXPECT_NE(claim("10.0.0." + std::to_string(i), i, none).at(kSource), kOrigin);
  }
}

TEST_F(ClaimFunctions, AHostThatHasJustPulledFromTheOriginTriesOthersFirst) {
  stage_all();
  const auto others = bits(8, {0, 1, 2, 3});
  f.hold(run, "10.0.0.5", others, 8);
  ASSERT_EQ(claim("10.0.0.8", 1, none).at(kSource), kOrigin);
  const auto have = bits(8, {7});
  const auto next = f.complete(run, "10.0.0.8", token(1), "good", have, token(2), have);
  EXPECT_EQ(next.at(kSource), "10.0.0.5");
  // It returns to the origin after that, and at once if no other host has anything.
  const auto more = bits(8, {0, 1, 2, 7});
  EXPECT_EQ(f.complete(run, "10.0.0.8", token(2), "good", more, token(3), more).at(kSource),
            kOrigin);
  const auto all_of_theirs = bits(8, {0, 1, 2, 3, 7});
  const auto again =
      f.complete(run, "10.0.0.8", token(3), "good", all_of_theirs, token(4), all_of_theirs);
  EXPECT_EQ(again.at(kSource), kOrigin);
}

TEST_F(ClaimFunctions, APieceThatNoHostGotFromTheOriginIsFreshAgain) {
  f.stage(run, {3});
  f.hold(run, "10.0.0.5", none, 2);
  claim("10.0.0.8", 1, none);
  f.complete(run, "10.0.0.8", token(1), "busy", none);
  EXPECT_EQ(f.one({"HGET", "sync:course", "fresh"}), bits(8, {3}));
  EXPECT_EQ(f.one({"GET", "sync:coming"}), std::string(8, '\0'));
}

// The bitmap of these two is the text "0".
TEST_F(ClaimFunctions, PiecesFourAndFiveAreFreshLikeOthers) {
  f.stage(run, {4, 5});
  const auto answer = f.claim(run, "10.0.0.8", token(1), none, bits(8, {5}));
  EXPECT_THAT(pieces_of(answer), ElementsAre("4"));
  EXPECT_EQ(f.one({"HGET", "sync:course", "fresh"}), bits(8, {5}));
}

TEST_F(ClaimFunctions, AHostThatHasNothingGoesBeforeOneThatHasSomething) {
  f.stage(run, {0, 1});
  claim("10.0.0.8", 1, none);
  claim("10.0.0.9", 2, none);
  EXPECT_EQ(claim("10.0.0.10", 3, none).at(0), "WAIT");
  const auto have = bits(8, {0});
  EXPECT_EQ(f.complete(run, "10.0.0.8", token(1), "good", have, token(4), have).at(0), "WAIT");
  EXPECT_EQ(f.one({"EXISTS", "sync:wake:10.0.0.10"}), "1");
  EXPECT_EQ(claim("10.0.0.10", 5, none).at(0), "CLAIMED");
}

TEST_F(ClaimFunctions, NobodyWaitsLongForADeadHostThatHasNothing) {
  f.stage(run, {0, 1});
  claim("10.0.0.8", 1, none);
  claim("10.0.0.9", 2, none);
  claim("10.0.0.10", 3, none);
  f.now += 1501;
  const auto have = bits(8, {0});
  EXPECT_EQ(f.complete(run, "10.0.0.8", token(1), "good", have, token(4), have).at(0), "CLAIMED");
}

TEST_F(ClaimFunctions, TiesAreBrokenAtRandom) {
  f("hold", {run, "10.0.0.5", none, "0", "0", "0"});
  stage_all();
  std::set<std::string> seen;
  for (unsigned i = 0; i < 60; ++i) {
    seen.merge(pieces_of(claim("10.0.0.8", i, none)));
    f.complete(run, "10.0.0.8", token(i), "good", none);
  }
  EXPECT_GE(seen.size(), 6U);
}

TEST_F(ClaimFunctions, AClaimNamesSeveralPiecesRarestFirst) {
  stage_all();
  f.hold(run, "10.0.0.5", bits(8, {0, 1, 2, 3, 4}), 0);
  EXPECT_THAT(pieces_of(claim("10.0.0.8", 1, none, 3)), ElementsAre("5", "6", "7"));
  EXPECT_EQ(pieces_of(claim("10.0.0.9", 2, none, 99)).size(), 8U);
}

TEST_F(ClaimFunctions, UnwantedPiecesAreNotClaimed) {
  stage_all();
  const auto answer = f.claim(run, "10.0.0.8", token(1), none, bits(8, {0, 1, 2, 3, 5, 6, 7}), 8);
  EXPECT_THAT(pieces_of(answer), ElementsAre("4"));
  EXPECT_EQ(f.claim(run, "10.0.0.9", token(2), none, all_bits(8), 8).at(0), "WAIT");
}

TEST_F(ClaimFunctions, AClaimForTheManifestAloneUsesASlotAndNamesNoPiece) {
  f.stage(run, {0});
  const auto answer = f.claim(run, "10.0.0.8", token(1), none, all_bits(8), 0);
  EXPECT_EQ(answer.at(0), "CLAIMED");
  EXPECT_EQ(answer.at(kSource), kOrigin);
  EXPECT_EQ(answer.size(), kFirstPiece);
  EXPECT_EQ(f.one({"HGET", "sync:uploads", kOrigin}), "1");
}

TEST_F(ClaimFunctions, NobodyIsItsOwnSource) {
  f.hold(run, "10.0.0.8", bits(8, {1}));
  EXPECT_EQ(claim("10.0.0.8", 1, none).at(0), "WAIT");
}

TEST_F(ClaimFunctions, AnAddressThatSomebodyElseAddsToTheQueueIsNoSource) {
  f.ask({"SADD", "synchronize_queue", "6.6.6.6", "127.0.0.2/x#"});
  EXPECT_EQ(claim("10.0.0.8", 1, none).at(0), "WAIT");
  stage_all();
  for (unsigned i = 2; i < 20; ++i) {
    EXPECT_EQ(claim("10.0.0.8", i, none).at(kSource), kOrigin);
    f.complete(run, "10.0.0.8", token(i), "good", none);
  }
}

TEST_F(ClaimFunctions, AllFreeSourcesAreTriedBeforeAHostWaits) {
  announce_only();
  for (int i = 10; i < 60; ++i) f.hold(run, "10.0.1." + std::to_string(i), bits(8, {0}));
  f.hold(run, "10.0.2.1", bits(8, {7}));
  for (unsigned i = 0; i < 10; ++i) {
    const auto host = "10.0.0." + std::to_string(100 + i);
    const auto answer = f.claim(run, host, token(i), bits(8, {0}), bits(8, {0}), 1);
    EXPECT_EQ(answer.at(kSource), "10.0.2.1") << i;
    f.complete(run, host, token(i), "good", bits(8, {0}));
  }
}

TEST_F(ClaimFunctions, AHostThatPullsEnoughIsWorthNoSearch) {
  announce_only();
  for (int i = 10; i < 70; ++i) f.hold(run, "10.0.1." + std::to_string(i), bits(8, {0}));
  claim("10.0.0.8", 1, none);
  claim("10.0.0.8", 2, none);
  f.hold(run, "10.0.2.1", bits(8, {7}));
  // A sample finds the source one time in fifteen, a search every time.
  unsigned waits = 0;
  for (unsigned i = 0; i < 10; ++i) {
    if (claim("10.0.0.8", 10 + i, bits(8, {0})).at(0) == "WAIT") ++waits;
  }
  EXPECT_GT(waits, 0U);
}

TEST_F(ClaimFunctions, OnlyAnnouncedPiecesAreClaimed) {
  f.stage(run, {1});
  // After a loss of Redis a host has more than has been announced again.
  f.hold(run, "10.0.0.5", all_bits(8));
  EXPECT_THAT(pieces_of(claim("10.0.0.8", 1, none, 8)), ElementsAre("1"));
  EXPECT_EQ(claim("10.0.0.8", 2, bits(8, {1}), 8).at(0), "WAIT");
}

TEST_F(ClaimFunctions, TenThousandSourcesAreNotTooMany) {
  announce_only();
  // The keys as hold leaves them. Calls of hold would need long.
  f.ask({"EVAL",
         "for i = 1, 10000 do local host = '10.1.' .. math.floor(i / 250) .. '.' .. i % 250 "
         "redis.call('SADD', 'synchronize_queue', host) redis.call('HSET', 'sync:slots', host, 1) "
         "redis.call('HSET', 'sync:have', host, '\1') end",
         "0"});
  const auto only_other = bits(8, {0});
  EXPECT_EQ(claim("10.0.0.8", 1, only_other).at(0), "WAIT");
  f.hold(run, "10.0.2.1", bits(8, {7}));
  EXPECT_EQ(claim("10.0.0.8", 2, only_other).at(kSource), "10.0.2.1");
}

TEST_F(ClaimFunctions, CompleteClaimsTheNextInTheSameCall) {
  stage_all();
  claim("10.0.0.8", 1, none);
  const auto have = bits(8, {0});
  const auto answer = f.complete(run, "10.0.0.8", token(1), "good", have, token(2), have);
  EXPECT_EQ(answer.at(0), "CLAIMED");
  EXPECT_EQ(answer.at(kToken), token(2));
  EXPECT_EQ(f.one({"HEXISTS", "sync:claims", token(1)}), "0");
  EXPECT_EQ(f.one({"HGET", "sync:pulls", "10.0.0.8"}), "1");
  EXPECT_EQ(f.one({"HGET", "sync:have", "10.0.0.8"}), have);
}

TEST_F(ClaimFunctions, ARepeatedCompleteFindsTheNextClaimAndChangesNothing) {
  stage_all();
  claim("10.0.0.8", 1, none);
  const auto have = bits(8, {0});
  const auto first = f.complete(run, "10.0.0.8", token(1), "good", have, token(2), have);
  const auto again = f.complete(run, "10.0.0.8", token(1), "good", have, token(2), have);
  EXPECT_EQ(first, again);
  EXPECT_EQ(f.one({"HGET", "sync:uploads", kOrigin}), "1");
}

TEST_F(ClaimFunctions, AVerifiedPieceIsServedOnBeforeItsClaimIsComplete) {
  stage_all();
  claim("10.0.0.8", 1, none, 4);
  f.hold(run, "10.0.0.8", bits(8, {2}));
  EXPECT_THAT(f.members("synchronize_queue"), UnorderedElementsAre(kOrigin, "10.0.0.8"));
  EXPECT_THAT(f.members("running_queue"), ElementsAre("10.0.0.8"));
}

TEST_F(ClaimFunctions, AHostWithoutSlotsIsNoSource) {
  f.hold(run, "10.0.0.8", all_bits(8), 0);
  EXPECT_THAT(f.members("synchronize_queue"), IsEmpty());
}

TEST_F(ClaimFunctions, ALostPieceIsNotClaimedFromItsHost) {
  announce_only();
  f.hold(run, "10.0.0.8", bits(8, {0, 1}));
  f.hold(run, "10.0.0.8", bits(8, {1}));
  EXPECT_THAT(pieces_of(claim("10.0.0.9", 1, none, 8)), ElementsAre("1"));
  EXPECT_EQ(f.one({"GETRANGE", "sync:copies", "0", "3"}), std::string("\0\1\0\2", 4))
      << "and the origin";
}

TEST_F(ClaimFunctions, ABitmapOfTheWrongLengthIsIgnored) {
  f.hold(run, "10.0.0.8", "x");
  f.hold(run, "10.0.0.8", std::string(100, '\xff'));
  EXPECT_EQ(f.one({"HGET", "sync:have", "10.0.0.8"}), "x");
}

TEST_F(ClaimFunctions, ALapsedClaimReturnsItsSourceWhenSomebodyElseAsks) {
  stage_all();
  claim("10.0.0.8", 1, none);
  claim("10.0.0.9", 2, none);
  f.now += kLeaseMs - 1;
  EXPECT_EQ(claim("10.0.0.10", 3, none).at(0), "WAIT");
  f.now += kReapMs;
  EXPECT_EQ(claim("10.0.0.10", 3, none).at(0), "CLAIMED");
  EXPECT_THAT(f.members("running_queue"), ElementsAre("10.0.0.10"));
}

TEST_F(ClaimFunctions, ARenewedClaimLivesOn) {
  stage_all();
  claim("10.0.0.8", 1, none);
  f.now += kLeaseMs - 1;
  EXPECT_THAT(f("renew", {run, "10.0.0.8", token(1)}),
              ElementsAre("VIEW", "staged", "1", "0", "0", "0"));
  f.now += kLeaseMs - 1;
  f.hold(run, "10.0.0.9", none);
  EXPECT_THAT(f.members("running_queue"), ElementsAre("10.0.0.8"));
}

TEST_F(ClaimFunctions, RenewNamesTheLostTokens) {
  stage_all();
  claim("10.0.0.8", 1, none);
  f.now += kLeaseMs + 1;
  f.hold(run, "10.0.0.9", none);
  EXPECT_THAT(f("renew", {run, "10.0.0.8", token(1)}),
              ElementsAre("VIEW", "staged", "1", "0", "0", "0", token(1)));
}

TEST_F(ClaimFunctions, AHostKeepsVerifiedPiecesOfALapsedClaim) {
  stage_all();
  claim("10.0.0.8", 1, none);
  f.now += kLeaseMs + 1;
  f.hold(run, "10.0.0.9", none);
  f.complete(run, "10.0.0.8", token(1), "good", bits(8, {3}));
  EXPECT_EQ(f.one({"HGET", "sync:have", "10.0.0.8"}), bits(8, {3}));
  EXPECT_EQ(f.one({"HEXISTS", "sync:uploads", kOrigin}), "0");
}

TEST_F(ClaimFunctions, AWaitingHostIsWokenWhenASlotIsFree) {
  stage_all();
  claim("10.0.0.8", 1, none);
  claim("10.0.0.9", 2, none);
  claim("10.0.0.10", 3, none);
  EXPECT_EQ(f.one({"EXISTS", "sync:wake:10.0.0.10"}), "0");
  f.complete(run, "10.0.0.8", token(1), "good", bits(8, {0}));
  EXPECT_EQ(f.one({"LLEN", "sync:wake:10.0.0.10"}), "1");
}

TEST_F(ClaimFunctions, NobodyIsWokenForASlotThatIsInUseAgainAtOnce) {
  stage_all();
  claim("10.0.0.8", 1, none);
  claim("10.0.0.9", 2, none);
  claim("10.0.0.10", 3, none);
  f.complete(run, "10.0.0.8", token(1), "good", none, token(4), none);
  EXPECT_EQ(f.one({"EXISTS", "sync:wake:10.0.0.10"}), "0");
}

class StoppingHost : public ClaimFunctions {
 protected:
  // Both slots of the origin are in use, one by the host that will stop. It and another host wait.
  StoppingHost() {
    stage_all();
    claim("10.0.0.8", 1, none);
    claim("10.0.0.7", 2, none);
    claim("10.0.0.8", 3, none);
    claim("10.0.0.9", 4, none);
  }

  bool is_woken(const std::string& host) { return f.one({"EXISTS", "sync:wake:" + host}) == "1"; }
};

TEST_F(StoppingHost, DoesNotWakeItselfWhenItLeaves) {
  f("leave", {run, "10.0.0.8", "claims", "disk full"});
  EXPECT_FALSE(is_woken("10.0.0.8"));
  EXPECT_TRUE(is_woken("10.0.0.9"));
}

TEST_F(StoppingHost, DoesNotWakeItselfWhenItsPullFails) {
  f.complete(run, "10.0.0.8", token(1), "local", none);
  EXPECT_FALSE(is_woken("10.0.0.8"));
  EXPECT_TRUE(is_woken("10.0.0.9"));
  f.complete(run, "10.0.0.7", token(2), "good", none);
  EXPECT_TRUE(is_woken("10.0.0.8")) << "it still waits for its other slot";
}

TEST_F(StoppingHost, WithPiecesDoesNotWakeItselfEither) {
  const auto have = bits(8, {0});
  f.hold(run, "10.0.0.8", have, 0);
  f.ask({"DEL", "sync:hungry"});
  f.ask({"HDEL", "sync:waiting", "10.0.0.9"});
  f.complete(run, "10.0.0.8", token(1), "refused", have);
  EXPECT_FALSE(is_woken("10.0.0.8"));
}

TEST_F(StoppingHost, PassesItsWakeUpOn) {
  f.complete(run, "10.0.0.8", token(1), "good", none);
  ASSERT_TRUE(is_woken("10.0.0.8"));
  ASSERT_FALSE(is_woken("10.0.0.9"));
  f("leave", {run, "10.0.0.8", "claims", "disk full"});
  EXPECT_FALSE(is_woken("10.0.0.8"));
  EXPECT_TRUE(is_woken("10.0.0.9"));
  EXPECT_EQ(f.one({"HEXISTS", "sync:woken", "10.0.0.8"}), "0");
}

TEST_F(ClaimFunctions, AWaitingHostIsWokenWhenAPieceIsStagedThatItLacks) {
  f.stage(run, {0});
  EXPECT_EQ(claim("10.0.0.8", 1, bits(8, {0})).at(0), "WAIT");
  EXPECT_EQ(claim("10.0.0.9", 2, bits(8, {1})).at(0), "CLAIMED");
  EXPECT_EQ(claim("10.0.0.9", 3, bits(8, {0, 1})).at(0), "WAIT");
  f.stage(run, {1});
  EXPECT_EQ(f.one({"EXISTS", "sync:wake:10.0.0.8"}), "1");
  EXPECT_EQ(f.one({"EXISTS", "sync:wake:10.0.0.9"}), "0");
}

TEST_F(ClaimFunctions, AHostWithItsNextClaimStillWaitsForItsOtherSlot) {
  f.stage(run, {0, 1});
  claim("10.0.0.8", 1, none);
  EXPECT_EQ(claim("10.0.0.8", 2, bits(8, {0, 1})).at(0), "WAIT");
  const auto have = bits(8, {0});
  EXPECT_EQ(f.complete(run, "10.0.0.8", token(1), "good", have, token(3), have).at(0), "CLAIMED");
  f.stage(run, {2});
  EXPECT_EQ(f.one({"EXISTS", "sync:wake:10.0.0.8"}), "1");
}

TEST_F(ClaimFunctions, TheMoreWaitTheLaterEachAsksAgain) {
  EXPECT_EQ(claim("10.0.0.8", 1, none).back(), "1");
  f.ask({"EVAL",
         "for i = 1, 1000 do redis.call('HSET', 'sync:waiting', '10.1.' .. math.floor(i / 250) .. "
         "'.' .. i % 250, '\\0') end",
         "0"});
  EXPECT_EQ(claim("10.0.0.9", 2, none).back(), "3") << "1,002 hosts, 500 questions a second";
}

TEST_F(ClaimFunctions, WhileItStagesTheOriginCarriesNothingTwiceAtOnce) {
  f.stage(run, {0});
  EXPECT_EQ(claim("10.0.0.8", 1, none).at(0), "CLAIMED");
  EXPECT_EQ(claim("10.0.0.9", 2, none).at(0), "WAIT");
  // The piece has arrived, and its host serves none.
  f.complete(run, "10.0.0.8", token(1), "good", bits(8, {0}));
  EXPECT_EQ(claim("10.0.0.9", 3, none).at(kSource), kOrigin);
}

TEST_F(ClaimFunctions, WhileItStagesAHostThatItHasWokenGetsNothingTwiceAtOnceEither) {
  f.stage(run, {0});
  EXPECT_EQ(claim("10.0.0.8", 1, none).at(kSource), kOrigin);
  f.ask({"HSET", "sync:woken", "10.0.0.9", kOrigin});
  EXPECT_EQ(claim("10.0.0.9", 2, none).at(0), "WAIT");
}

TEST_F(ClaimFunctions, OnceAllIsStagedTheOriginCarriesTwiceAPieceThatNoOtherHostOffers) {
  f.stage(run, {0});
  f.ask({"HSET", "sync:run", "state", "staged"});
  EXPECT_EQ(claim("10.0.0.8", 1, none).at(0), "CLAIMED");
  EXPECT_EQ(claim("10.0.0.9", 2, none).at(kSource), kOrigin);
}

TEST_F(ClaimFunctions, AHostThatWaitsForTheManifestAloneIsWokenByAnySource) {
  EXPECT_EQ(f.claim(run, "10.0.0.8", token(1), none, all_bits(8), 0).at(0), "WAIT");
  f.stage(run, {3});
  EXPECT_EQ(f.one({"LLEN", "sync:wake:10.0.0.8"}), "1");
}

TEST_F(ClaimFunctions, AsManyAreWokenAsThereAreFreeSlots) {
  for (unsigned i = 10; i < 16; ++i) claim("10.0.0." + std::to_string(i), 100 + i, none);
  f.stage(run, {0});
  EXPECT_EQ(f.ask({"KEYS", "sync:wake:*"}).size(), 2U);
}

TEST_F(ClaimFunctions, AMemberThatAnotherProgramRemovedFromTheQueueReturns) {
  stage_all();
  f.ask({"SPOP", "synchronize_queue"});
  f.ask({"SADD", "synchronize_queue", "6.6.6.6"});
  f.mend(run, "10.0.0.7", none);
  EXPECT_EQ(claim("10.0.0.8", 1, none).at(0), "CLAIMED");
  EXPECT_THAT(f.members("synchronize_queue"), ElementsAre(kOrigin));
}

// --- Blame ---

TEST_F(ClaimFunctions, AFailureFirstKeepsOnlyTheAccuserAway) {
  stage_all();
  claim("10.0.0.8", 1, none);
  f.complete(run, "10.0.0.8", token(1), "unreachable", none);
  EXPECT_EQ(claim("10.0.0.8", 2, none).at(0), "WAIT");
  EXPECT_EQ(claim("10.0.0.9", 3, none).at(0), "CLAIMED");
  EXPECT_EQ(f.one({"HGET", "sync:errors", "10.0.0.8"}), "detail of unreachable");
  f.now += 1001;
  EXPECT_EQ(claim("10.0.0.8", 4, none).at(0), "CLAIMED");
}

TEST_F(ClaimFunctions, AnAccuserStaysAwayTwiceAsLongEachTime) {
  announce_only();
  f.hold(run, "10.0.0.5", all_bits(8));
  claim("10.0.0.8", 1, none);
  f.complete(run, "10.0.0.8", token(1), "unreachable", none);
  f.now += 5001;
  ASSERT_EQ(claim("10.0.0.8", 2, none).at(0), "CLAIMED");
  f.complete(run, "10.0.0.8", token(2), "unreachable", none);
  f.now += 5001;
  EXPECT_EQ(claim("10.0.0.8", 3, none).at(0), "WAIT");
  f.now += 5000;
  EXPECT_EQ(claim("10.0.0.8", 3, none).at(0), "CLAIMED");
}

class BlameFunctions : public ClaimFunctions {
 protected:
  BlameFunctions() {
    announce_only();
    f.hold(run, kAccused, all_bits(8), 8);
  }

  void accuse(const std::string& accuser, const std::string& kind) {
    const auto answer = claim(accuser, ++next_, none);
    ASSERT_EQ(answer.at(0), "CLAIMED");
    f.complete(run, accuser, token(next_), kind, none);
  }

  bool is_source(const std::string& host) {
    const auto sources = f.members("synchronize_queue");
    return std::find(sources.begin(), sources.end(), host) != sources.end();
  }

  static constexpr auto kAccused = "10.0.0.5";
  unsigned next_ = 1000;
};

TEST_F(BlameFunctions, TwoHostsThatGotWrongBytesMakeAQuarantine) {
  accuse("10.0.0.8", "corrupt");
  EXPECT_TRUE(is_source(kAccused));
  f.now += 5001;
  accuse("10.0.0.8", "corrupt");
  EXPECT_TRUE(is_source(kAccused)) << "one accuser is one, however often it accuses";
  accuse("10.0.0.9", "corrupt");
  EXPECT_FALSE(is_source(kAccused));
}

TEST_F(BlameFunctions, TwoHostsThatCannotReachASourceOrThreeThatItRefusesMakeAQuarantine) {
  for (const std::string kind : {"unreachable", "refused"}) {
    accuse("10.0.0.8", kind);
    EXPECT_TRUE(is_source(kAccused));
    accuse("10.0.0.9", kind);
    EXPECT_EQ(is_source(kAccused), kind == "refused");
    if (kind == "refused") accuse("10.0.0.10", kind);
    EXPECT_FALSE(is_source(kAccused));
    const auto fault = [&] { return f.one({"HGET", "sync:unfed", kAccused}); };
    const auto why = "others cannot pull from here (" + kind + ")";
    EXPECT_EQ(fault(), why);
    f("finish", {run, kAccused, f.one({"HGET", "sync:run", "manifest"}), all_bits(8), "8"});
    f.hold(run, kAccused, all_bits(8), 8);
    EXPECT_EQ(fault(), why) << "although it offers slots";
    f.now += 3'600'000;
    f.hold(run, kAccused, all_bits(8), 8);
    EXPECT_EQ(fault(), "(nil)");
  }
}

// The host may be behind a firewall, and its own probe succeeds.
TEST_F(BlameFunctions, AfterAQuarantineASourceGetsOneClaimUntilAPullSucceeds) {
  accuse("10.0.0.8", "unreachable");
  accuse("10.0.0.9", "unreachable");
  f.now += 60'001;
  f.hold(run, "10.0.0.77", none);
  const auto claim = [&](unsigned number) {
    return f.claim(run, "10.0.2." + std::to_string(number), token(number), none, none).at(0);
  };
  const auto complete = [&](unsigned number) {
    f.now += 100;
    f.complete(run, "10.0.2." + std::to_string(number), token(number), "good", none);
  };
  EXPECT_EQ(claim(1), "CLAIMED");
  EXPECT_EQ(claim(2), "WAIT");
  complete(1);
  for (unsigned number = 3; number < 8; ++number) {
    ASSERT_EQ(claim(number), "CLAIMED");
    complete(number);
  }
  EXPECT_EQ(claim(11), "CLAIMED");
  EXPECT_EQ(claim(12), "CLAIMED");
}

TEST_F(BlameFunctions, StrikesOfDifferentKindsDoNotAddUp) {
  accuse("10.0.0.8", "corrupt");
  accuse("10.0.0.9", "unreachable");
  accuse("10.0.0.10", "refused");
  EXPECT_TRUE(is_source(kAccused));
}

TEST_F(BlameFunctions, ABusySourceIsNotToBlame) {
  for (int i = 10; i < 20; ++i) accuse("10.0.1." + std::to_string(i), "busy");
  EXPECT_TRUE(is_source(kAccused));
  EXPECT_EQ(f.one({"HLEN", "sync:errors"}), "0");
}

TEST_F(BlameFunctions, ALocalFaultBlamesNoSource) {
  for (int i = 10; i < 20; ++i) accuse("10.0.1." + std::to_string(i), "local");
  EXPECT_TRUE(is_source(kAccused));
  EXPECT_EQ(f.one({"HLEN", "sync:errors"}), "10");
  EXPECT_EQ(f.one({"HLEN", "sync:blame"}), "0");
}

TEST_F(BlameFunctions, AQuarantineEndsAfterAMinuteAndTheNextLastsTwice) {
  for (const auto* const host : {"10.0.0.8", "10.0.0.9"}) accuse(host, "unreachable");
  f.now += 59'000;
  f.hold(run, "10.0.0.77", none);
  EXPECT_FALSE(is_source(kAccused));
  f.now += 1001;
  f.hold(run, "10.0.0.77", none);
  EXPECT_TRUE(is_source(kAccused));
  for (const auto* const host : {"10.0.0.8", "10.0.0.9"}) accuse(host, "unreachable");
  f.now += 119'000;
  f.hold(run, "10.0.0.77", none);
  EXPECT_FALSE(is_source(kAccused));
  f.now += 1001;
  f.hold(run, "10.0.0.77", none);
  EXPECT_TRUE(is_source(kAccused));
}

TEST_F(BlameFunctions, ASourceOfWrongBytesOffersNothingBeforeItHasHashedItsSpool) {
  accuse("10.0.0.8", "corrupt");
  accuse("10.0.0.9", "corrupt");
  f.now += 3'600'000;
  EXPECT_THAT(f.hold(run, kAccused, all_bits(8), 8),
              ElementsAre("VIEW", "staged", "0", "0", "1", "0"));
  EXPECT_FALSE(is_source(kAccused));
  EXPECT_EQ(f("join", {kAccused, "0", "0", "0"}).at(2), "1");
  f("hold", {run, kAccused, bits(8, {0, 1}), "8", "0", "1"});
  EXPECT_TRUE(is_source(kAccused));
  EXPECT_EQ(f("join", {kAccused, "0", "0", "0"}).at(2), "0");
}

TEST_F(BlameFunctions, AHostThatAccusesTwoSourcesAccusesItself) {
  accuse("10.0.0.8", "unreachable");
  f.hold(run, kAccused, all_bits(8), 0);
  f.hold(run, "10.0.0.6", all_bits(8), 8);
  accuse("10.0.0.8", "unreachable");
  f.hold(run, kAccused, all_bits(8), 8);
  f.hold(run, "10.0.0.6", all_bits(8), 0);
  accuse("10.0.0.10", "unreachable");
  EXPECT_TRUE(is_source(kAccused)) << "only one accuser is left that has accused nobody else";
  accuse("10.0.0.11", "unreachable");
  EXPECT_FALSE(is_source(kAccused));
}

TEST_F(BlameFunctions, AnAccusationIsForgottenOnceAPullSucceeds) {
  accuse("10.0.0.8", "unreachable");
  f.now += 5001;
  accuse("10.0.0.8", "good");
  accuse("10.0.0.10", "unreachable");
  EXPECT_TRUE(is_source(kAccused));
}

TEST_F(BlameFunctions, TheOriginIsNeverOutForLonger) {
  f.hold(run, kAccused, none, 0);
  offer_origin();
  for (int round = 0; round < 4; ++round) {
    for (const auto* const host : {"10.0.0.8", "10.0.0.9"}) accuse(host, "unreachable");
    EXPECT_FALSE(is_source(kOrigin));
    f.now += 5001;
    f.hold(run, "10.0.0.77", none);
    EXPECT_TRUE(is_source(kOrigin)) << round;
    f.now += 60'000;
  }
}

TEST_F(BlameFunctions, AQuarantineForWrongBytesOutlastsTheHashingOfTheSpool) {
  accuse("10.0.0.8", "corrupt");
  accuse("10.0.0.9", "corrupt");
  f("hold", {run, kAccused, all_bits(8), "8", "0", "1"});
  EXPECT_FALSE(is_source(kAccused)) << "its memory or network may be bad, not its disk";
  f.now += 60'001;
  f.hold(run, "10.0.0.77", none);
  EXPECT_TRUE(is_source(kAccused));
}

TEST_F(BlameFunctions, AMissingPieceMakesTheSourceHashItsSpoolAtOnce) {
  accuse("10.0.0.8", "missing");
  EXPECT_FALSE(is_source(kAccused));
  EXPECT_EQ(f("join", {kAccused, "0", "0", "0"}).at(2), "1");
  f("hold", {run, kAccused, bits(8, {1}), "8", "0", "1"});
  EXPECT_TRUE(is_source(kAccused));
  accuse("10.0.0.9", "missing");
  EXPECT_TRUE(is_source(kAccused)) << "not again for one host alone, so soon";
  f.now += 60'001;
  accuse("10.0.0.10", "missing");
  EXPECT_FALSE(is_source(kAccused));
}

TEST_F(BlameFunctions, OneHostThatGetsWrongBytesFromTheOriginIsEnoughToHashItsSpool) {
  f.hold(run, kAccused, none, 0);
  offer_origin();
  accuse("10.0.0.8", "corrupt");
  EXPECT_FALSE(is_source(kOrigin));
  EXPECT_EQ(f("watch").at(5), "1");
  f("hold", {run, kOrigin, all_bits(8), "2", "8", "1"});
  EXPECT_EQ(f("watch").at(5), "1") << "a minion on that host does not speak for the master's spool";
  EXPECT_EQ(f("join", {kOrigin, "0", "0", "0"}).at(2), "0");
  f("vouch", {run});
  EXPECT_TRUE(is_source(kOrigin));
  accuse("10.0.0.9", "corrupt");
  EXPECT_TRUE(is_source(kOrigin)) << "one host with bad memory does not keep the origin hashing";
}

TEST_F(BlameFunctions, AnOriginServesDuringStagingEvenIfItIsSuspect) {
  f.hold(run, kAccused, none, 0);
  offer_origin();
  f.ask({"HSET", "sync:run", "state", "staging"});
  accuse("10.0.0.8", "corrupt");
  accuse("10.0.0.9", "missing");
  f("doubt", {run, kOrigin, "piece 3 is damaged"});
  EXPECT_TRUE(is_source(kOrigin));
  EXPECT_EQ(f("watch").at(5), "1") << "the master hashes its spool as soon as it has staged all";
  f.stage(run, {7}, FunctionCaller::Last::yes);
  EXPECT_FALSE(is_source(kOrigin));
}

TEST_F(BlameFunctions, AHostThatAccusesTwoDoesNotMakeTheOriginHash) {
  accuse("10.0.0.8", "corrupt");
  f.hold(run, kAccused, none, 0);
  offer_origin();
  accuse("10.0.0.8", "corrupt");
  EXPECT_TRUE(is_source(kOrigin));
  EXPECT_EQ(f("watch").at(5), "0");
}

TEST_F(BlameFunctions, AQuarantineProvesItsAccusersRight) {
  for (const auto* const host : {"10.0.0.8", "10.0.0.9"}) accuse(host, "unreachable");
  f.hold(run, "10.0.0.6", all_bits(8), 8);
  for (const auto* const host : {"10.0.0.8", "10.0.0.9"}) accuse(host, "unreachable");
  EXPECT_FALSE(is_source("10.0.0.6")) << "they accused two, but the first was out already";
}

TEST_F(BlameFunctions, TheOriginsOwnMinionMakesTheMasterHashItsSpool) {
  f.hold(run, kAccused, none, 0);
  offer_origin();
  EXPECT_THAT(f("doubt", {run, "10.0.0.8", "not its to say"}), ElementsAre("VIEW"));
  EXPECT_EQ(f("watch").at(5), "0");
  f("doubt", {run, kOrigin, "piece 3 is damaged"});
  EXPECT_FALSE(is_source(kOrigin));
  EXPECT_EQ(f("watch").at(5), "1");
  EXPECT_EQ(f.one({"HGET", "sync:errors", kOrigin}), "piece 3 is damaged");
}

TEST_F(BlameFunctions, ASuspectOriginIsClearedByTheMaster) {
  f.hold(run, kAccused, none, 0);
  offer_origin();
  accuse("10.0.0.8", "corrupt");
  EXPECT_EQ(f("watch").at(5), "1");
  f.now += 60'000;
  f.hold(run, "10.0.0.77", none);
  EXPECT_FALSE(is_source(kOrigin));
  f("vouch", {run});
  EXPECT_TRUE(is_source(kOrigin));
  EXPECT_EQ(f("watch").at(5), "0");
  EXPECT_EQ(f.one({"HGET", "sync:have", kOrigin}), all_bits(8));
}

}  // namespace
}  // namespace libsync::test
