#pragma once

// How a program ends: the only thing that cron, a wrapper script or an alarm reads.
//
// The numbers are an interface and never change their meaning. README and `--help` print the table
// of exit_status.cpp; a test checks that the three agree.

#include <span>
#include <string>
#include <string_view>

namespace libsync {

enum class ExitStatus : int {
  done = 0,
  ended_short = 1,
  usage = 2,
  redis = 3,
  local = 4,
  no_source = 5,
};

struct ExitStatusRow {
  ExitStatus status;
  std::string_view meaning;
};

/// Every status with its meaning, in numeric order.
[[nodiscard]] std::span<const ExitStatusRow> exit_status_table();

/// The table as the closing lines of `--help`.
[[nodiscard]] std::string exit_status_help();

}  // namespace libsync
