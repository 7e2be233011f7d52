#include "libsync/core/slots.h"

#include <gtest/gtest.h>

namespace libsync {
namespace {

TEST(DefaultSlots, AreOneForOnePieceAndSeveralOtherwise) {
  for (const Cut one : {Cut{0, 1}, Cut{1000, 1000}, Cut{999, 1000}}) {
    EXPECT_EQ(default_slots(one), 1U);
    EXPECT_EQ(default_origin_uploads(one), 1U);
  }
  EXPECT_GT(default_slots({1001, 1000}), 1U);
}

TEST(DefaultSlots, OfTheOriginAreOneMoreThanAnyHostPulls) {
  for (const Cut cut : {Cut{1001, 1000}, Cut{std::uint64_t{4} << 30U, std::uint64_t{32} << 20U}}) {
    EXPECT_EQ(default_origin_uploads(cut), default_slots(cut) + 1);
  }
}

}  // namespace
}  // namespace libsync
