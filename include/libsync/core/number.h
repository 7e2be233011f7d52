#pragma once

// Parses numbers from outside.
//
// The whole text must be one number: digits alone, without spaces, and in the range of the type. A
// `-` may begin the number of a signed type; a `+` may not.

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace libsync {

/// Nothing, unless all of `text` is a number in this base.
template <typename Number>
[[nodiscard]] std::optional<Number> parse_number(std::string_view text, int base = 10) {
  Number value{};
  const auto* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

/// Stores the number in `value`. If the text is no number, returns false and leaves `value` alone.
template <typename Number>
[[nodiscard]] bool read_number(std::string_view text, Number& value) {
  const auto parsed = parse_number<Number>(text);
  if (parsed) value = *parsed;
  return parsed.has_value();
}

}  // namespace libsync
