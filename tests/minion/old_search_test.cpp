// The search for pieces in an old payload, apart from the run that needs them.

#include "minion/old_search.h"

#include <gtest/gtest.h>

#include "os/random.h"

namespace libsync::test {
namespace {

OldSearch search() {
  return {Spool("/nonexistent", random_name<Fingerprint>(), 0), Cut{4000, 1000}};
}

TEST(OldSearch, EightUnequalRangesAndNoEqualOneAreEnough) {
  auto one = search();
  for (int range = 0; range < 7; ++range) EXPECT_FALSE(one.compared(false));
  EXPECT_TRUE(one.compared(false));
  EXPECT_EQ(one.likeness(), Likeness::unknown);
  auto other = search();
  EXPECT_FALSE(other.compared(true));
  EXPECT_EQ(other.likeness(), Likeness::shown);
  for (int range = 0; range < 100; ++range) EXPECT_FALSE(other.compared(false));
}

TEST(OldSearch, TheKinshipOfTheFormerReleaseTellsHowLongToWait) {
  const auto waits = [](Kinship kinship) {
    auto one = search();
    one.open({}, kinship);
    int calls = 1;
    while (one.is_worth_waiting()) ++calls;
    return calls;
  };
  EXPECT_EQ(waits(Kinship::unlike), 1);
  EXPECT_EQ(waits(Kinship::unknown), 7);
  EXPECT_EQ(waits(Kinship::alike), 10);
}

TEST(OldSearch, ALikelyBasisIsNoProofOfEqualRanges) {
  auto one = search();
  one.open({}, Kinship::alike);
  EXPECT_EQ(one.expected(), Likeness::shown);
  EXPECT_EQ(one.likeness(), Likeness::unknown);
  auto other = search();
  other.open({}, Kinship::unlike);
  EXPECT_EQ(other.expected(), Likeness::unknown);
  EXPECT_FALSE(other.compared(true));
  EXPECT_EQ(other.expected(), Likeness::shown);
}

TEST(OldSearch, HoldsPiecesUntilItIsClosed) {
  auto one = search();
  one.hold(1);
  one.hold(3);
  EXPECT_TRUE(one.holds(1));
  EXPECT_FALSE(one.holds(2));
  EXPECT_EQ(one.close(), (std::vector<PieceNumber>{1, 3}));
  EXPECT_EQ(one.held(), 0U);
}

}  // namespace
}  // namespace libsync::test
