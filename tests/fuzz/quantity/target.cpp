// Sizes, durations and numbers of the command line and the configuration file.

#include "target.h"

#include "libsync/core/config.h"
#include "libsync/core/number.h"

namespace libsync::fuzz {
namespace {

constexpr std::uint64_t kYear = 365ULL * 24 * 3'600'000;

struct Unit {
  std::string_view suffix;
  std::uint64_t factor;
};

// The quantity by a rule of its own: digits, then one of the units. Nothing if it is none.
template <std::size_t N>
std::optional<__uint128_t> quantity_of(std::string_view text, const Unit (&units)[N]) {
  __uint128_t count = 0;
  std::size_t digits = 0;
  for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
    count = count * 10 + static_cast<unsigned>(text[digits] - '0');
    if (count > UINT64_MAX) return std::nullopt;
  }
  if (digits == 0) return std::nullopt;
  for (const auto& unit : units) {
    if (text.substr(digits) == unit.suffix) return count * unit.factor;
  }
  return std::nullopt;
}

void check_duration(std::string_view text) {
  constexpr Unit kUnits[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
  const auto expected = quantity_of(text, kUnits);
  const auto duration = parse_duration(text);
  require(duration.has_value() == (expected.has_value() && *expected <= kYear),
          "a duration is an integer with a unit, of at most a year");
  if (!duration) return;
  require(static_cast<std::uint64_t>(duration->count()) == *expected, "a duration is its product");
  require(parse_duration(std::to_string(duration->count()) + "ms") == duration,
          "a duration survives its text");
}

void check_size(std::string_view text) {
  constexpr Unit kUnits[] = {{"", 1}, {"K", 1U << 10U}, {"M", 1U << 20U}, {"G", 1U << 30U}};
  const auto expected = quantity_of(text, kUnits);
  const auto size = parse_size(text);
  require(size.has_value() == (expected.has_value() && *expected > 0 && *expected <= UINT64_MAX),
          "a size is an integer with a unit, of at least a byte");
  if (size) {
    require(*size == *expected, "a size is its product");
    require(parse_size(std::to_string(*size)) == size, "a size survives its text");
  }
  const auto piece_size = parse_piece_size(text);
  const bool is_word = text == "auto" || text == "whole";
  require(piece_size.has_value() == (is_word || size.has_value()), "a piece size is a size");
  if (piece_size && !is_word) require(piece_size->bytes == *size, "a piece size is a size");
}

template <typename Number>
void check_number(std::string_view text) {
  const auto number = parse_number<Number>(text);
  if (!number) return;
  require(text.find_first_not_of("-0123456789") == std::string_view::npos, "a number is digits");
  require(parse_number<Number>(std::to_string(*number)) == number, "a number survives its text");
}

}  // namespace

void check(std::string_view input) {
  for (const auto line : lines_of(input)) {
    check_duration(line);
    check_size(line);
    check_number<std::uint16_t>(line);
    check_number<unsigned>(line);
    check_number<std::uint64_t>(line);
    check_number<std::int64_t>(line);
    require(
        parse_spread(line).has_value() == (line == "auto" || line == "claims" || line == "trees"),
        "a spread is one of three words");
  }
}

}  // namespace libsync::fuzz
