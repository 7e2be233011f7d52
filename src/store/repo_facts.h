#pragma once

// Facts about the repo of this host, for `check`.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "libsync/clock.h"
#include "libsync/core/run_record.h"
#include "store/check_folder.h"
#include "store/state_folder.h"

namespace libsync {

struct RepoFacts {
  std::filesystem::path path;  ///< Through symlinks.
  unsigned mode = 0;
  unsigned group = 0;
  std::string group_name;                  ///< Escaped; the number if it has no name.
  std::vector<std::string> group_members;  ///< Users that /etc/group names for it. Escaped.
  std::optional<std::string> weakness;     ///< Why others can write, with the way out.
  bool is_one_file_system = false;         ///< The repo and its state folder.
  bool can_exchange = false;
  bool can_share_blocks = false;
  bool can_write = false;  ///< A file of one MB.
  std::uint64_t free_bytes = 0;
};

/// Throws Failure (local) if the disk fails.
[[nodiscard]] RepoFacts repo_facts(const CheckFolder& folder);

/// The last tick of a role on this host.
struct TickFacts {
  std::optional<std::chrono::seconds> begun_ago;  ///< Nothing if there was none.
  bool is_running = false;
};

/// By the file of the role's lock. Throws Failure (local) if this user may not read it.
[[nodiscard]] TickFacts tick_facts(const std::filesystem::path& lock, const Clock& clock);

}  // namespace libsync
