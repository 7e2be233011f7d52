#pragma once

// The state folder, `<repo>/.libsync`, and its files beside the spools. spool.h has a map of it.

#include <chrono>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libsync/core/host_id.h"
#include "libsync/core/run_ids.h"
#include "libsync/core/run_record.h"
#include "store/notes.h"
#include "store/receipts.h"
#include "store/spool.h"

namespace libsync {

/// A spool that this role owns and that no run under its prefix of Redis keys can use.
struct Stray {
  Spool spool;
  std::string why;  ///< The spool's path, size and reason, for a person.
  /// The legible part of its run record, if another version wrote it under this prefix.
  std::optional<RunRecord> record;
  bool is_old = false;  ///< Its run record is older than kStrayKept.
};

/// The id of a host, as its state folder keeps it.
struct KeptHostId {
  HostId id;
  std::string warning;  ///< Why the id is a new one, for a person; empty: nothing is wrong.
};

/// How long a Stray stays that no run can prove useless: Redis forgets a host, too, after a week.
inline constexpr std::chrono::hours kStrayKept{7 * 24};
/// Whether a run record of this time is older.
[[nodiscard]] bool is_old(const FileTime& recorded_at, std::chrono::system_clock::time_point now);

/// The path of a repo without symlinks. Throws Failure (local) if it is not there.
[[nodiscard]] std::filesystem::path real_repo(const std::filesystem::path& repo);

/// The state folder of one repo. All functions throw Failure (local) when the disk fails. After a
/// death at any point the next tick finds a state that it understands.
class StateFolder {
 public:
  /// Makes the folder if it does not exist. Throws Failure (local) if the repo is missing, or if
  /// the folder is a symlink, belongs to another user, or is writable for others. That holds for
  /// root, too: another user could swap a spool between its proof and its use.
  explicit StateFolder(const std::filesystem::path& repo);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// The spool of this name, which need not exist.
  [[nodiscard]] Spool spool(const Fingerprint& fingerprint) const;

  /// Every spool that a role owns under this prefix of Redis keys, with its run record.
  [[nodiscard]] std::vector<std::pair<Spool, RunRecord>> spools_of(Role role,
                                                                   const std::string& prefix) const;

  /// Every spool of a role that a version with other keys, or a tick with another prefix, has left
  /// here. Throws Stopped if `stop` is requested.
  [[nodiscard]] std::vector<Stray> strays(Role role, const std::string& prefix,
                                          std::chrono::system_clock::time_point now,
                                          const std::stop_token& stop = {}) const;

  /// Why another user could replace what a program of root publishes here, with the way out.
  /// Nothing if none can, or if this user is not root.
  [[nodiscard]] std::optional<std::string> weakness() const {
    return weakness_of(path_.parent_path());
  }
  /// The same of a repo whose state folder need not exist.
  [[nodiscard]] static std::optional<std::string> weakness_of(const std::filesystem::path& repo);

  /// The file of the role's TickLock.
  [[nodiscard]] std::filesystem::path lock_path(Role role) const { return lock_path(path_, role); }
  /// The same below a state folder that the caller makes no StateFolder of.
  [[nodiscard]] static std::filesystem::path lock_path(const std::filesystem::path& state_folder,
                                                       Role role);

  /// The name of the master that keeps its spools here. The first call makes it, durably.
  [[nodiscard]] MasterId master_id() const;

  /// The id of the minion's host. The first call makes it, durably, and so does a call that finds a
  /// file without one.
  [[nodiscard]] KeptHostId host_id() const;

  /// Replaces the id of the minion's host by a new one, durably.
  [[nodiscard]] HostId new_host_id() const;

  /// The names in this folder of what a role has discarded. A Sweeper deletes it.
  [[nodiscard]] std::vector<std::string> discarded(Role role) const;

  /// The receipts in this folder.
  [[nodiscard]] Receipts receipts() const { return Receipts(path_); }

  /// The notes in this folder.
  [[nodiscard]] Notes notes() const { return Notes(path_); }

  /// Writes the file that this host pulls from itself as a probe, and returns its name below the
  /// module. The caller gives a different `content` every time.
  [[nodiscard]] std::string write_probe(std::string_view content) const;

 private:
  [[nodiscard]] std::filesystem::path host_id_path() const;

  std::filesystem::path path_;
  unsigned group_;
};

}  // namespace libsync
