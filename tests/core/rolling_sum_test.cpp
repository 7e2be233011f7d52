// Blocks are found in a text at any offset, by their sums.

#include "libsync/core/rolling_sum.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace libsync::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

using Found = std::vector<std::pair<std::size_t, std::uint64_t>>;

std::string random_text(std::size_t bytes, unsigned seed) {
  std::mt19937 random(seed);
  std::string text(bytes, '\0');
  for (auto& byte : text) byte = static_cast<char>(random());
  return text;
}

RollingSum sum_of(std::string_view text) {
  RollingSummer summer;
  summer.add(text);
  return summer.sum();
}

// The formula of the header, without rolling and without parts.
RollingSum plain_sum_of(std::string_view text, const std::vector<RollingSum>& of_bytes) {
  RollingSum sum = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    sum += (text.size() - i) * of_bytes[static_cast<unsigned char>(text[i])];
  }
  return sum;
}

// Gives the text in parts of `part` bytes.
Found find(BlockFinder& finder, std::uint64_t length, std::string_view text, std::size_t part) {
  std::vector<BlockFinder::Block> found;
  for (std::size_t at = 0; at < text.size(); at += part) {
    const auto bytes = std::min(part, text.size() - at);
    std::string leaving(bytes, '?');
    for (std::size_t i = 0; i < bytes; ++i) {
      if (at + i >= length) leaving[i] = text[at + i - length];
    }
    finder.add(text.substr(at, bytes), leaving, found);
  }
  Found pairs;
  for (const auto& [number, offset] : found) pairs.emplace_back(number, offset);
  return pairs;
}

TEST(RollingSum, IsTheFormulaWhateverThePartsAre) {
  std::vector<RollingSum> of_bytes;
  for (int byte = 0; byte < 256; ++byte)
    of_bytes.push_back(sum_of(std::string(1, static_cast<char>(byte))));
  const auto text = random_text(1000, 1);
  EXPECT_EQ(sum_of(text), plain_sum_of(text, of_bytes));
  RollingSummer summer;
  for (const auto& [at, bytes] : {std::pair{0U, 1U}, {1U, 0U}, {1U, 600U}, {601U, 399U}}) {
    summer.add(std::string_view(text).substr(at, bytes));
  }
  EXPECT_EQ(summer.sum(), sum_of(text));
}

// All hosts of a run must agree on it.
TEST(RollingSum, StaysTheSameInAllVersions) {
  EXPECT_EQ(sum_of(""), 0U);
  EXPECT_EQ(sum_of("a"), 17189161910051005891U);
  EXPECT_EQ(sum_of("piece"), 14842426768414215441U);
}

TEST(BlockFinder, FindsEachBlockAtItsOffset) {
  constexpr std::uint64_t kLength = 100;
  const auto text = random_text(5000, 2);
  std::vector<RollingSum> sums;
  for (const std::size_t offset : {0U, 1U, 777U, 4900U})
    sums.push_back(sum_of(text.substr(offset, kLength)));
  for (const std::size_t part : {1U, 7U, 99U, 100U, 101U, 5000U}) {
    BlockFinder finder(kLength, sums);
    finder.begin(0);
    EXPECT_THAT(find(finder, kLength, text, part),
                UnorderedElementsAre(std::pair(0, 0), std::pair(1, 1), std::pair(2, 777),
                                     std::pair(3, 4900)))
        << part;
  }
}

TEST(BlockFinder, BeginsAnewAnywhere) {
  const auto text = random_text(300, 3);
  BlockFinder finder(100, {sum_of(text.substr(50, 100))});
  finder.begin(0);
  EXPECT_THAT(find(finder, 100, text.substr(0, 149), 10), IsEmpty());
  finder.begin(1'000'000);
  EXPECT_THAT(find(finder, 100, text, 10), ElementsAre(std::pair(0, 1'000'050)));
}

TEST(BlockFinder, EqualBlocksAreFoundTogetherAndTwiceAtMost) {
  const auto block = random_text(100, 4);
  const auto text = block + "x" + block + "y" + block;
  BlockFinder finder(100, {sum_of(block), 1, sum_of(block)});
  finder.begin(0);
  EXPECT_THAT(find(finder, 100, text, 1000),
              ElementsAre(std::pair(0, 0), std::pair(2, 0), std::pair(0, 101), std::pair(2, 101)));
}

TEST(BlockFinder, ZerosAndPeriodsGiveTwoOffsetsASum) {
  for (const auto& period : {std::string("\0", 1), std::string("ab"), std::string("0123456789")}) {
    std::string text;
    while (text.size() < 10'000) text += period;
    std::vector<RollingSum> sums;
    for (std::size_t shift = 0; shift < 20; ++shift)
      sums.push_back(sum_of(text.substr(shift, 100)));
    BlockFinder finder(100, sums);
    finder.begin(0);
    EXPECT_LE(find(finder, 100, text, 333).size(), 2 * sums.size());
  }
}

// The finder asks the highest 18 bits of a sum first.
TEST(BlockFinder, ABlockThatIsUsedUpHidesNoneWithNearlyTheSameSum) {
  std::map<RollingSum, std::string> blocks;
  std::string one;
  std::string other;
  for (unsigned seed = 0; one.empty(); ++seed) {
    ASSERT_LT(seed, 20'000U);
    const auto block = random_text(100, seed);
    const auto [met, is_new] = blocks.emplace(sum_of(block) >> 46U, block);
    if (is_new) continue;
    one = met->second;
    other = block;
  }
  BlockFinder finder(100, {sum_of(one), sum_of(other)});
  finder.begin(0);
  EXPECT_THAT(
      find(finder, 100, one + one + one + other + other + other, 1000),
      ElementsAre(std::pair(0, 0), std::pair(0, 100), std::pair(1, 300), std::pair(1, 400)));
}

TEST(BlockFinder, AnUnknownSumAndAShortTextGiveNothing) {
  BlockFinder unknown(100, {0, 0});
  unknown.begin(0);
  EXPECT_THAT(find(unknown, 100, std::string(1000, '\0'), 50), IsEmpty());
  const auto text = random_text(99, 5);
  BlockFinder longer(100, {sum_of(text)});
  longer.begin(0);
  EXPECT_THAT(find(longer, 100, text, 50), IsEmpty());
}

}  // namespace
}  // namespace libsync::test
