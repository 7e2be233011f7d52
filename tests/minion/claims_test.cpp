#include "minion/claims.h"

#include <gtest/gtest.h>

namespace libsync {
namespace {

class ClaimsTest : public testing::Test {
 protected:
  [[nodiscard]] std::optional<Want> want(std::size_t held, Manifests manifests) const {
    return claims_.want({.pieces = pieces_, .ledger = ledger_, .now = now_, .view = view_}, held,
                        claims_.slots(), carried_, manifests);
  }

  Instant now_{std::chrono::hours(1)};
  PieceTable pieces_{10};
  Ledger ledger_{pieces_};
  View view_;
  PieceSet carried_{10};
  Timers timers_;
  Claims claims_{2, timers_, [] { return Token(Token::Bytes{1}); }};
};

TEST_F(ClaimsTest, AsksForWantedPiecesThatAreNotCarried) {
  carried_.insert(3);
  pieces_.move(5, PieceState::in_flight);
  const auto wanted = want(0, Manifests::none);
  ASSERT_TRUE(wanted);
  EXPECT_EQ(wanted->most_pieces, 1U);
  EXPECT_EQ(wanted->unwanted.members(), (std::vector<PieceNumber>{3, 5}));
}

TEST_F(ClaimsTest, AsksForTheManifestAloneIfNoPieceIsWanted) {
  for (PieceNumber piece = 0; piece < 10; ++piece) carried_.insert(piece);
  EXPECT_FALSE(want(0, Manifests::none));
  ASSERT_TRUE(want(0, Manifests::one));
  EXPECT_EQ(want(0, Manifests::one)->most_pieces, 0U);
}

TEST_F(ClaimsTest, AsksForNothingWithAllSlotsInUse) {
  EXPECT_TRUE(want(1, Manifests::one));
  EXPECT_FALSE(want(2, Manifests::none));
  EXPECT_FALSE(want(2, Manifests::one)) << "not even for the manifest";
}

}  // namespace
}  // namespace libsync
