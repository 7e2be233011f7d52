#pragma once

// Makes text from outside safe for a log line or a terminal.

#include <string>
#include <string_view>

namespace libsync {

/// A copy of `text` on one line, without anything that a terminal obeys. Control characters,
/// backslashes and bytes that are not UTF-8 become `\n`, `\\`, `\x1b`.
///
/// Every path, message of a peer and value from Redis passes through here before a program logs or
/// prints it.
[[nodiscard]] std::string escaped(std::string_view text);

}  // namespace libsync
