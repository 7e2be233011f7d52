#pragma once

// `check`: gathers the facts of this host, and prints each judgement (check.h) as soon as it is
// made. It holds no lock and changes nothing but files in a folder of its own below the state
// folder.

#include <filesystem>
#include <string>
#include <vector>

#include "libsync/core/config.h"
#include "libsync/core/exit_status.h"
#include "libsync/core/run_record.h"

namespace libsync {

struct CheckFrame {
  Role role = Role::minion;
  std::string program;                                ///< For cron.
  std::string config_file;                            ///< The name of the file that was read.
  std::vector<std::filesystem::path> source_roots{};  ///< Empty for a minion.
  bool serves = true;                                 ///< False for a master with --push-to.
};

/// Done, or the status of the first line that says FAIL.
[[nodiscard]] ExitStatus check_host(const HostConfig& config, const CheckFrame& frame);

}  // namespace libsync
