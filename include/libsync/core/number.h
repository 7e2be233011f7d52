#pragma once

// Numbers from outside, in plain text.
//
// The whole text has to be one: digits alone, no sign but a signed type's `-`, no space, no more
// than the type can hold.

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace libsync {

template <typename Number>
[[nodiscard]] std::optional<Number> parse_number(std::string_view text, int base = 10) {
  Number value{};
  const auto* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

/// The same into `value`, which stays as it is if the text is none.
template <typename Number>
[[nodiscard]] bool read_number(std::string_view text, Number& value) {
  const auto parsed = parse_number<Number>(text);
  if (parsed) value = *parsed;
  return parsed.has_value();
}

}  // namespace libsync
