#pragma once

// The columns that a text fills on a terminal.

#include <cstddef>
#include <string>
#include <string_view>

namespace libsync {

/// The beginning of `text` that fills at most so many columns. A wide character fills two, and a
/// combining one none. `text` is UTF-8 without control characters, as escaped() returns it.
[[nodiscard]] std::string cut_to_columns(std::string_view text, std::size_t columns);

}  // namespace libsync
