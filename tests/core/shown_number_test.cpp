#include "libsync/core/shown_number.h"

#include <gtest/gtest.h>

namespace libsync {
namespace {

TEST(ShownNumber, BytesHaveAUnitAndFourDigits) {
  EXPECT_EQ(shown_bytes(std::uint64_t{0}), "0 B");
  EXPECT_EQ(shown_bytes(std::uint64_t{999}), "999 B");
  EXPECT_EQ(shown_bytes(1000.0), "1 kB");
  EXPECT_EQ(shown_bytes(std::uint64_t{1'747'000'000}), "1.747 GB");
}

TEST(ShownNumber, CountsHaveGroupsOfThreeDigits) {
  EXPECT_EQ(shown_count(0), "0");
  EXPECT_EQ(shown_count(999), "999");
  EXPECT_EQ(shown_count(1000), "1,000");
  EXPECT_EQ(shown_count(100'000), "100,000");
  EXPECT_EQ(shown_count(1'234'567), "1,234,567");
}

}  // namespace
}  // namespace libsync
