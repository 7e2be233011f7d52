#pragma once

// Log lines, and the rules for their content.
//
// A line has the form of the Python pair, `20-Dec-18 17:16:01 - message`, and is flushed at once.
// The message of a problem begins with `warning: ` or `error: `. Where the event is the same, the
// phrase is the same, so `tail -f` and most alarms work as before.
//
// A problem that repeats within a minute is logged once and then counted (core/repeats.h). The
// counts come once a minute, and at the end.
//
// Above debug only the programs, the master and the minion write, so a tick reads as one story. All
// text from outside passes through escaped() first. No line shows a secret.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "libsync/core/escaped_text.h"

namespace libsync {

enum class LogLevel { debug, info, warning, error };

/// Nothing, unless `text` is debug, info, warning or error.
[[nodiscard]] std::optional<LogLevel> parse_log_level(std::string_view text);

/// Sends all log lines of the process to standard output, or appends them to a file. Throws Failure
/// (local) if the file cannot be opened.
void start_log(LogLevel level, const std::optional<std::filesystem::path>& file);

/// Logs the counts of all problems that have repeated. The log stays open.
void end_log();

/// Writes a problem to standard error, in the form of a line of the log unless that is a terminal.
/// For a program that ends before it has a log.
void print_problem(const std::string& message);

}  // namespace libsync
