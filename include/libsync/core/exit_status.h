#pragma once

// The exit status of a program: the only result that cron, a wrapper script or an alarm reads.
//
// The numbers are an interface and never change their meaning. README and `--help` print the table
// of exit_status.cpp; a test checks that the three agree.

#include <span>
#include <string>
#include <string_view>

namespace libsync {

enum class ExitStatus : int {
  done = 0,         ///< The work is done, or there was none.
  ended_short = 1,  ///< The run ended without every host, or the master refused the task.
  usage = 2,        ///< The command line or the configuration is wrong.
  redis = 3,        ///< Redis is unreachable or refuses.
  local = 4,        ///< The local disk or its permissions are at fault.
  no_source = 5,    ///< There is no usable source, or no rsync.
  time_up = 124,    ///< The limit of a wait is over; timeout(1) returns the same.
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
