#pragma once

// Log lines, and what may stand in them.
//
// Lines look as the Python pair's did, `20-Dec-18 17:16:01 - message`, each flushed when written,
// with its phrases where the event is the same, so that `tail -f` and most alarms go on working.
// Above debug only the mains, the master and the minion write: one tick reads as one story. Text
// from outside (a path, a peer's message, a value from Redis) is passed through escaped() first;
// secrets are never logged at all.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "libsync/core/escaped_text.h"

namespace libsync {

enum class LogLevel { debug, info, warning, error };

/// Nothing, unless `text` is debug, info, warning or error.
[[nodiscard]] std::optional<LogLevel> parse_log_level(std::string_view text);

/// Where the process logs from now on: standard output, or a file that is appended to.
/// Throws Failure (local) if the file cannot be opened.
void start_log(LogLevel level, const std::optional<std::filesystem::path>& file);

}  // namespace libsync
