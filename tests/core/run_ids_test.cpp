#include "libsync/core/run_ids.h"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "os/random.h"

namespace libsync {
namespace {

const std::string kText = "0123456789abcdef0123456789abcdef";

TEST(Name128, ParsesItsOwnText) {
  EXPECT_EQ(RunId::parse(kText).value().text(), kText);
  for (int i = 0; i < 100; ++i) {
    const auto id = random_name<RunId>();
    EXPECT_EQ(id.text().size(), 32U);
    EXPECT_EQ(RunId::parse(id.text()), id);
  }
}

TEST(Name128, RefusesAnythingButItsOneSpelling) {
  std::string upper = kText;
  upper[10] = 'A';
  for (const auto& text : std::vector<std::string>{
           "", "0", kText.substr(1), kText + "0", kText + "\n", " " + kText.substr(1), upper,
           "0x" + kText.substr(2), kText.substr(0, 31) + "g", kText.substr(0, 31) + "/",
           kText.substr(0, 31) + std::string(1, '\0'), kText + kText, "../" + kText.substr(3),
           "01234567-89ab-cdef-0123-456789abcdef"}) {
    EXPECT_FALSE(RunId::parse(text)) << text;
    EXPECT_FALSE(Token::parse(text)) << text;
    EXPECT_FALSE(Fingerprint::parse(text)) << text;
  }
}

TEST(Name128, IsNeverTheSameTwice) {
  std::set<std::string> seen;
  for (int i = 0; i < 10'000; ++i) seen.insert(random_name<RunId>().text());
  EXPECT_EQ(seen.size(), 10'000U);
}

// A random source that leaves a byte untouched would repeat it.
TEST(Name128, VariesInEveryDigit) {
  std::array<std::set<char>, 32> digits;
  for (int i = 0; i < 1000; ++i) {
    const auto token = random_name<Token>();
    for (std::size_t at = 0; at < digits.size(); ++at) digits.at(at).insert(token.text()[at]);
  }
  for (const auto& seen : digits) EXPECT_EQ(seen.size(), 16U);
}

TEST(Name128, OfOneKindIsNotOneOfAnother) {
  EXPECT_FALSE((std::is_convertible_v<RunId, Token>));
  EXPECT_FALSE((std::is_convertible_v<RunId, MasterId>));
  EXPECT_FALSE((std::is_constructible_v<RunId, Fingerprint>));
  EXPECT_FALSE((std::is_constructible_v<RunId, std::string>));
}

TEST(FillRandom, FillsMoreThanTheKernelGivesAtOnce) {
  std::vector<std::uint8_t> bytes(3'000'000, 0);
  fill_random(bytes);
  std::array<std::size_t, 3> zeros{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == 0) ++zeros.at(i / 1'000'000);
  }
  for (const auto count : zeros) EXPECT_LT(count, 10'000U);  // The expected number is 3,906.
}

}  // namespace
}  // namespace libsync
