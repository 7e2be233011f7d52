#pragma once

// `<repo>/.libsync`: the folder of our own state, and what is in it beside the spools.

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

/// `<repo>/.libsync` itself.
class StateFolder {
 public:
  /// Makes it if it is not there. Refuses (Failure, local) one that is a symlink, that belongs to
  /// another user, or that others may write to; and a repo that is missing.
  explicit StateFolder(const std::filesystem::path& repo);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] Spool spool(const Fingerprint& fingerprint) const;

  /// Every spool that a role owns under this prefix.
  [[nodiscard]] std::vector<std::pair<Spool, RunRecord>> spools_of(Role role,
                                                                   const std::string& prefix) const;

  [[nodiscard]] std::filesystem::path lock_path(Role role) const;

  /// The master that keeps its spools here; made at its first tick.
  [[nodiscard]] MasterId master_id() const;

  /// Deletes what is left of spools that were being deleted. Why some of it could not be: a file
  /// that may not be deleted costs its space, and no run.
  [[nodiscard]] std::vector<std::string> sweep(Role role) const;

  [[nodiscard]] Receipts receipts() const { return Receipts(path_); }

  /// Writes a file that the module can serve, and returns its name below the module: what a host
  /// pulls from itself. Its content differs every time.
  [[nodiscard]] std::string write_probe(std::string_view content) const;

 private:
  std::filesystem::path path_;
  unsigned group_;
};

}  // namespace libsync
