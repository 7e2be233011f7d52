#include "libsync/core/config.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>

#include "libsync/core/escaped_text.h"
#include "libsync/core/lines.h"
#include "libsync/core/time.h"

namespace libsync {
namespace {

struct Unit {
  std::string_view suffix;
  std::uint64_t factor;
};

// Nothing, unless `text` is digits and one of the units, and the product fits.
template <std::size_t N>
std::optional<std::uint64_t> parse_quantity(std::string_view text,
                                            const std::array<Unit, N>& units) {
  std::uint64_t count = 0;
  const auto* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view suffix(stop, static_cast<std::size_t>(end - stop));
  for (const auto& unit : units) {
    if (suffix != unit.suffix) continue;
    if (count > std::numeric_limits<std::uint64_t>::max() / unit.factor) return std::nullopt;
    return count * unit.factor;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  constexpr std::array kUnits = {Unit{"", 1000}, Unit{"s", 1000}, Unit{"ms", 1}, Unit{"m", 60'000},
                                 Unit{"h", 3'600'000}};
  constexpr std::uint64_t kYear = 365ULL * 24 * 3'600'000;
  const auto milliseconds = parse_quantity(text, kUnits);
  if (!milliseconds || *milliseconds > kYear) return std::nullopt;
  return Duration(*milliseconds);
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  constexpr std::array kUnits = {Unit{"", 1}, Unit{"K", 1ULL << 10U}, Unit{"M", 1ULL << 20U},
                                 Unit{"G", 1ULL << 30U}};
  const auto bytes = parse_quantity(text, kUnits);
  return bytes == std::uint64_t{0} ? std::nullopt : bytes;
}

bool is_bandwidth_limit(std::string_view text) {
  const auto drop = [&](std::string_view letters) {
    const auto end = std::min(text.find_first_not_of(letters), text.size());
    text.remove_prefix(end);
    return end;
  };
  const auto drop_one = [&](std::string_view letters) {
    if (!text.empty() && letters.find(text.front()) != std::string_view::npos)
      text.remove_prefix(1);
  };
  constexpr std::string_view kDigits = "0123456789";
  auto digits = drop(kDigits);
  drop_one(".");
  digits += drop(kDigits);
  if (digits == 0) return false;
  if (text == "b" || text == "B") return true;
  const auto units = text.size();
  drop_one("kKmMgGtTpP");
  if (text.size() == units) return text.empty();
  const auto binary = text.size();
  drop_one("iI");
  const bool is_binary = text.size() < binary;
  if (text.empty()) return !is_binary;
  drop_one("bB");
  return text.empty();
}

std::optional<PieceSize> parse_piece_size(std::string_view text) {
  if (text == "auto") return PieceSize{PieceSize::Kind::automatic, 0};
  if (text == "whole") return PieceSize{PieceSize::Kind::whole, 0};
  const auto bytes = parse_size(text);
  if (!bytes) return std::nullopt;
  return PieceSize{PieceSize::Kind::fixed, *bytes};
}

std::optional<BasisRule> parse_basis_rule(std::string_view text) {
  if (text == "auto") return BasisRule::automatic;
  if (text == "same-name") return BasisRule::same_name;
  if (text == "none") return BasisRule::none;
  return std::nullopt;
}

std::optional<Spread> parse_spread(std::string_view text) {
  if (text == "auto") return Spread::automatic;
  if (text == "claims") return Spread::claims;
  if (text == "trees") return Spread::trees;
  return std::nullopt;
}

std::variant<std::vector<Address>, Refusal> parse_inventory(std::string_view text) {
  std::vector<Address> all;
  std::size_t number = 0;
  for (const auto whole : lines_of(text)) {
    ++number;
    const auto line = trimmed(whole.substr(0, whole.find('#')));
    if (line.empty()) continue;
    const auto address = Address::parse(line);
    if (!address) {
      return Refusal{
          fmt::format("line {} of the inventory, '{}', is no address: write one plain IPv4 "
                      "or IPv6 address on each line, comments after '#'",
                      number, escaped(line))};
    }
    all.push_back(*address);
  }
  if (all.empty()) return Refusal{"the inventory names no host: write one address on each line"};
  return all;
}

}  // namespace libsync
