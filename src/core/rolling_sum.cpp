#include "libsync/core/rolling_sum.h"

#include <algorithm>
#include <array>

namespace libsync {
namespace {

// The random numbers of the bytes: splitmix64 (Steele, Lea, Flood 2014). DO NOT CHANGE: all hosts
// of a run use the same.
constexpr std::uint64_t number_of(std::uint64_t byte) {
  std::uint64_t mixed = (byte + 1) * 0x9e3779b97f4a7c15;
  mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111eb;
  return mixed ^ (mixed >> 31U);
}

constexpr std::array<std::uint64_t, 256> kNumbers = [] {
  std::array<std::uint64_t, 256> numbers{};
  for (std::size_t byte = 0; byte < numbers.size(); ++byte) numbers[byte] = number_of(byte);
  return numbers;
}();

// Bits of a sum that choose its bit in the filter. The filter has 32 KiB, so that the processor's
// first cache holds it: ./tests/bench/micro --benchmark_filter=Rolling
constexpr unsigned kFilterBits = 18;

std::size_t place_in_filter(RollingSum sum) {
  return static_cast<std::size_t>(sum >> (64U - kFilterBits));
}

std::size_t index(char byte) { return static_cast<unsigned char>(byte); }

}  // namespace

void RollingSummer::add(std::string_view bytes) {
  auto first = first_;
  auto second = second_;
  for (const char byte : bytes) {
    first += kNumbers[index(byte)];
    second += first;
  }
  first_ = first;
  second_ = second;
}

BlockFinder::BlockFinder(std::uint64_t length, const std::vector<RollingSum>& sums)
    : length_(length), may_be_wanted_((std::size_t{1} << kFilterBits) / 64, 0), leaves_(256) {
  for (std::size_t number = 0; number < sums.size(); ++number) {
    const auto sum = sums[number];
    if (sum == 0) continue;
    wanted_[sum].numbers.push_back(number);
    const auto place = place_in_filter(sum);
    may_be_wanted_[place / 64] |= std::uint64_t{1} << place % 64;
  }
  for (std::size_t byte = 0; byte < leaves_.size(); ++byte) leaves_[byte] = length * kNumbers[byte];
}

void BlockFinder::begin(std::uint64_t offset) {
  offset_ = offset;
  held_ = first_ = second_ = 0;
}

void BlockFinder::meet(std::vector<Block>& found) {
  const auto wanted = wanted_.find(second_);
  if (wanted == wanted_.end()) return;
  for (const auto number : wanted->second.numbers) found.push_back({number, offset_ - length_});
  if (--wanted->second.left > 0) return;
  wanted_.erase(wanted);
}

void BlockFinder::add(std::string_view entering, std::string_view leaving,
                      std::vector<Block>& found) {
  std::size_t at = 0;
  const auto filling = std::min<std::uint64_t>(length_ - held_, entering.size());
  for (; at < filling; ++at) {
    first_ += kNumbers[index(entering[at])];
    second_ += first_;
  }
  held_ += filling;
  offset_ += filling;
  if (filling > 0 && held_ == length_) meet(found);
  auto first = first_;
  auto second = second_;
  const auto* const filter = may_be_wanted_.data();
  const auto* const leaves = leaves_.data();
  for (; at < entering.size(); ++at) {
    const auto leaver = index(leaving[at]);
    first += kNumbers[index(entering[at])] - kNumbers[leaver];
    second += first - leaves[leaver];
    const auto place = place_in_filter(second);
    if ((filter[place / 64] >> place % 64 & 1U) == 0) [[likely]]
      continue;
    first_ = first;
    second_ = second;
    const auto begin = offset_;
    offset_ = begin + (at - filling) + 1;
    meet(found);
    offset_ = begin;
  }
  first_ = first;
  second_ = second;
  offset_ += entering.size() - filling;
}

}  // namespace libsync
