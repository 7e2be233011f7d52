#pragma once

// The state folder, `<repo>/.libsync`, and its files beside the spools. spool.h has a map of it.

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libsync/core/run_ids.h"
#include "libsync/core/run_record.h"
#include "store/receipts.h"
#include "store/spool.h"

namespace libsync {

/// The state folder of one repo. All functions throw Failure (local) when the disk fails. After a
/// death at any point the next tick finds a state that it understands.
class StateFolder {
 public:
  /// Makes the folder if it does not exist. Throws Failure (local) if the repo is missing, or if
  /// the folder is a symlink, belongs to another user, or is writable for others.
  explicit StateFolder(const std::filesystem::path& repo);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// The spool of this name, which need not exist.
  [[nodiscard]] Spool spool(const Fingerprint& fingerprint) const;

  /// Every spool that a role owns under this prefix of Redis keys, with its run record.
  [[nodiscard]] std::vector<std::pair<Spool, RunRecord>> spools_of(Role role,
                                                                   const std::string& prefix) const;

  /// The file of the role's TickLock.
  [[nodiscard]] std::filesystem::path lock_path(Role role) const;

  /// The name of the master that keeps its spools here. The first call makes it, durably.
  [[nodiscard]] MasterId master_id() const;

  /// Deletes the rest of spools that this role was deleting. Returns a reason for each that it
  /// could not delete: such a file costs its space, but fails no run.
  [[nodiscard]] std::vector<std::string> sweep(Role role) const;

  /// The receipts in this folder.
  [[nodiscard]] Receipts receipts() const { return Receipts(path_); }

  /// Writes the file that this host pulls from itself as a probe, and returns its name below the
  /// module. The caller gives a different `content` every time.
  [[nodiscard]] std::string write_probe(std::string_view content) const;

 private:
  std::filesystem::path path_;
  unsigned group_;
};

}  // namespace libsync
