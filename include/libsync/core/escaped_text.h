#pragma once

// Text from outside, made safe for a log line or a terminal.

#include <string>
#include <string_view>

namespace libsync {

/// `text` on one line that no terminal obeys: control characters, backslashes and bytes that are
/// not UTF-8 become `\n`, `\\`, `\x1b`. Every path, peer's message and value of Redis passes
/// through here before it is logged or printed.
[[nodiscard]] std::string escaped(std::string_view text);

}  // namespace libsync
