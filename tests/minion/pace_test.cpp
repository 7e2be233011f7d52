#include "minion/pace.h"

#include <gtest/gtest.h>

#include <string>

namespace libsync {
namespace {

std::string shown(const PullState& state) {
  return std::to_string(state.verified) + " verified, " + std::to_string(state.claimable) +
         " claimable, " + std::to_string(state.claims) + " claims of " +
         std::to_string(state.slots);
}

// Calls `check` with every state of payloads of a few sizes.
template <typename Check>
void for_every_state(const Check& check) {
  for (const PieceNumber pieces : {1U, 2U, 3U, 8U, 13U, kMaxPieces}) {
    const PieceNumber step = pieces > 100 ? 97 : 1;
    for (PieceNumber verified = 0; verified <= pieces; verified += step) {
      for (PieceNumber claimable = 0; verified + claimable <= pieces; claimable += step) {
        for (unsigned slots = 1; slots <= 9; slots += 2) {
          for (std::size_t claims = 0; claims <= slots + 1; ++claims) {
            check(PullState{verified, claimable, claims, slots});
            check(PullState{verified, claimable, claims, slots, 9});
          }
        }
      }
    }
  }
}

TEST(PiecesToClaim, HoldsNoMoreClaimsThanSlots) {
  for_every_state([](const PullState& state) {
    if (state.claims >= state.slots) {
      ASSERT_EQ(pieces_to_claim(state), 0U) << shown(state);
    }
  });
}

TEST(PiecesToClaim, NeverAsksForMoreThanIsClaimable) {
  for_every_state([](const PullState& state) {
    ASSERT_LE(pieces_to_claim(state), state.claimable) << shown(state);
  });
}

// Otherwise a host without a pull would wait for ever.
TEST(PiecesToClaim, AsksWheneverSomethingIsClaimableAndNothingIsPulled) {
  for_every_state([](const PullState& state) {
    if (state.claimable > 0 && state.claims == 0) {
      ASSERT_GE(pieces_to_claim(state), 1U) << shown(state);
    }
  });
}

// With one piece a host is a source, the sooner the better.
TEST(PiecesToClaim, BeginsWithOnePiece) {
  for_every_state([](const PullState& state) {
    if (state.verified == 0) {
      ASSERT_LE(pieces_to_claim(state), 1U) << shown(state);
    }
  });
}

TEST(PiecesToClaim, LeavesPiecesForItsOtherSlots) {
  PullState state{1, 6, 0, 3};
  for (; state.claims < state.slots; ++state.claims) {
    const auto claimed = pieces_to_claim(state);
    EXPECT_GE(claimed, 1U) << shown(state);
    state.claimable -= claimed;
  }
}

TEST(PiecesToClaim, AClaimHasAtMostTwoPiecesWhereStartsAreCheap) {
  for_every_state([](PullState state) {
    state.start_in_pieces = 0;
    ASSERT_LE(pieces_to_claim(state), 2U) << shown(state);
  });
  EXPECT_EQ(pieces_to_claim({100, 1000, 0, 5, 0.5}), 2U);
}

TEST(PiecesToClaim, AClaimHasMorePiecesWhereStartsAreDear) {
  EXPECT_EQ(pieces_to_claim({100, 1000, 0, 5, 2}), 6U);
  EXPECT_EQ(pieces_to_claim({100, 1000, 0, 5, 1e9}), 16U);
  EXPECT_EQ(pieces_to_claim({0, 1000, 0, 5, 1e9}), 1U) << "the host serves its first piece soon";
  EXPECT_EQ(pieces_to_claim({100, 20, 0, 5, 1e9}), 4U) << "its other slots share the last pieces";
}

class PaceTest : public testing::Test {
 protected:
  // Runs a pull whose pieces arrive at these times after its start.
  void pull(std::initializer_list<int> arrivals_ms) {
    pace_.started(1, start_);
    for (const int ms : arrivals_ms) pace_.arrived(1, start_ + Duration(ms));
    pace_.ended(1);
  }

  Pace pace_;
  Instant start_{std::chrono::hours(1)};
};

TEST_F(PaceTest, NothingIsKnownBeforeAPullOfSeveralPieces) {
  EXPECT_EQ(pace_.start_in_pieces(), 0);
  pull({300});
  EXPECT_EQ(pace_.start_in_pieces(), 0);
  pace_.arrived(7, start_);
  EXPECT_EQ(pace_.start_in_pieces(), 0);
}

TEST_F(PaceTest, TheFirstPieceIsNoPartOfTheStart) {
  pull({60, 70, 80});
  EXPECT_DOUBLE_EQ(pace_.start_in_pieces(), 5);
}

TEST_F(PaceTest, AFirstPieceThatCameFasterThanTheSecondHadNoStart) {
  pull({50, 150});
  EXPECT_EQ(pace_.start_in_pieces(), 0);
}

TEST_F(PaceTest, PiecesThatArriveTogetherAreAMillisecondApart) {
  pull({41, 41});
  EXPECT_DOUBLE_EQ(pace_.start_in_pieces(), 40);
}

TEST_F(PaceTest, ItAdaptsToAChange) {
  pull({60, 70});
  for (int i = 0; i < 30; ++i) pull({250, 450});
  EXPECT_NEAR(pace_.start_in_pieces(), 0.25, 0.01);
}

}  // namespace
}  // namespace libsync
