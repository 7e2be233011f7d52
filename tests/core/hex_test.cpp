#include "libsync/core/hex.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace libsync {
namespace {

using namespace std::string_view_literals;

TEST(Hex, WritesEveryByteAndReadsItBack) {
  for (unsigned value = 0; value < 256; ++value) {
    const std::array<std::uint8_t, 2> bytes = {static_cast<std::uint8_t>(value),
                                               static_cast<std::uint8_t>(255 - value)};
    const auto text = to_hex(bytes);
    std::array<std::uint8_t, 2> back{};
    EXPECT_TRUE(from_hex(text, back)) << text;
    EXPECT_EQ(back, bytes) << text;
  }
}

TEST(Hex, IsLowerCaseHighDigitFirst) {
  const std::array<std::uint8_t, 5> bytes = {0x00, 0x0f, 0xa0, 0x19, 0xff};
  EXPECT_EQ(to_hex(bytes), "000fa019ff");
  EXPECT_EQ(to_hex({}), "");
}

TEST(Hex, RefusesAnythingButItsDigits) {
  for (const auto text : {""sv,      "0"sv,
                          "00"sv,    "000"sv,
                          "00000"sv, "000000"sv,
                          "ABCD"sv,  "abcD"sv,
                          "abcg"sv,  "0x12"sv,
                          " 123"sv,  "123 "sv,
                          "12 3"sv,  "+123"sv,
                          "-123"sv,  "12:3"sv,
                          "123/"sv,  "123`"sv,
                          "123\0"sv, "\0\0\0\0"sv,
                          "123\n"sv, "\xff\xff\xff\xff"sv}) {
    std::array<std::uint8_t, 2> bytes{};
    EXPECT_FALSE(from_hex(text, bytes)) << text;
  }
}

}  // namespace
}  // namespace libsync
