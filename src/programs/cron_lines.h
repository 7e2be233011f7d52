#pragma once

// The lines of cron that start a program, for `check`.

#include <string>
#include <string_view>
#include <vector>

namespace libsync {

/// The lines of a crontab that start a tick of `program`. A line with a verb of it other than `run`
/// is none.
[[nodiscard]] std::vector<std::string> cron_lines_in(std::string_view crontab,
                                                     const std::string& program);

struct CronFacts {
  std::vector<std::string> files;       ///< Those that start a tick.
  std::vector<std::string> unreadable;  ///< Folders and files that this user may not read.
};

/// The crontabs of this host.
[[nodiscard]] CronFacts cron_facts(const std::string& program);

}  // namespace libsync
