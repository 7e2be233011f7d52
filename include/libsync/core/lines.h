#pragma once

// The lines of a text, and a text without the blanks around it. Both point into the text that they
// are given.

#include <string_view>
#include <vector>

namespace libsync {

/// Without their newlines. A newline at the end begins no other line.
[[nodiscard]] std::vector<std::string_view> lines_of(std::string_view text);

/// Without spaces, tabs and carriage returns at both ends.
[[nodiscard]] std::string_view trimmed(std::string_view text);

}  // namespace libsync
