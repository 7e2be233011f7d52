#include "libsync/core/number.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>

namespace libsync {
namespace {

using namespace std::string_view_literals;

TEST(Number, IsTheWholeText) {
  EXPECT_EQ(parse_number<std::uint16_t>("0"), 0);
  EXPECT_EQ(parse_number<std::uint16_t>("65535"), 65535);
  EXPECT_EQ(parse_number<int>("-7"), -7);
  EXPECT_EQ(parse_number<unsigned>("0755", 8), 0755U);
}

TEST(Number, RefusesAnythingElse) {
  for (const auto text : {""sv, " 1"sv, "1 "sv, "+1"sv, "-1"sv, "1\n"sv, "1\0"sv, "0x1"sv, "1e1"sv,
                          "1.0"sv, "65536"sv, "one"sv}) {
    EXPECT_FALSE(parse_number<std::uint16_t>(text)) << text;
  }
}

TEST(Number, LeavesTheValueIfTheTextIsNoNumber) {
  std::uint16_t value = 7;
  EXPECT_FALSE(read_number("65536", value));
  EXPECT_EQ(value, 7);
  EXPECT_TRUE(read_number("8", value));
  EXPECT_EQ(value, 8);
}

}  // namespace
}  // namespace libsync
