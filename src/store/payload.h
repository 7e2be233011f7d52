#pragma once

// The payload on the disk: found below a root, listed, and recognised again.
//
// The master lists the payload that a task names. A minion lists a payload that is already
// published, to see whether it is the same. These functions write nothing, pass through no symlink
// below the folder that they get, and never leave it. Any thread may call them.

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "libsync/core/manifest.h"
#include "libsync/core/run_ids.h"
#include "libsync/core/task.h"
#include "os/file_ranges.h"

namespace libsync {

class Descriptor;

/// The identity and version of a file, folder or link at the moment of a stat. Any change shows in
/// one of the fields: even a program that restores the mtime cannot set the ctime.
struct Stamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  FileTime mtime;
  FileTime ctime;

  friend bool operator==(const Stamp&, const Stamp&) = default;
};

/// A payload as one listing found it.
struct Payload {
  Manifest manifest;
  std::vector<Stamp> stamps;          ///< One for each entry of the manifest, in its order.
  std::size_t hard_linked_files = 0;  ///< Carried as separate files, as rsync -a does.
};

/// The location of a payload: an open folder and a name in it. The descriptor keeps naming the same
/// folder, even if a user moves that folder or puts a symlink into its path.
struct Location {
  std::shared_ptr<const Descriptor> folder;
  std::string name;
  std::filesystem::path shown;  ///< For messages only.
};

/// An entry's path, for messages only.
[[nodiscard]] std::filesystem::path shown_path(const Location& payload, const Entry& entry);

/// `name` in `folder`, for a folder that the configuration names: its own path may pass through
/// symlinks. Throws Failure (local) if the folder cannot be opened.
[[nodiscard]] Location locate(const std::filesystem::path& folder, std::string_view name);

/// The location of a task's payload, below one of `roots` and reached through no symlink. `repo` is
/// this host's own. Refuses a payload in `repo` itself, which would be published onto itself, and
/// one that holds the state folder or lies in it. Throws Failure (local) if the root cannot be
/// opened.
[[nodiscard]] std::variant<Location, Refusal> locate_task(
    const TaskPath& task, const std::vector<std::filesystem::path>& roots,
    const std::filesystem::path& repo);

/// Whether a task can be to blame for this errno of a file of its payload. If not, the disk or this
/// process is, and the task stays.
[[nodiscard]] bool is_fault_of_task(int error);

/// Longest name of an entry, in bytes. With the paths of a minion's repo and spool in front of it,
/// which may have a thousand bytes, it is shorter than PATH_MAX.
inline constexpr std::size_t kLongestEntryName = 3072;

/// Called with the number of entries so far, once for each entry: a long listing shows progress.
using OnEntry = std::function<void(std::size_t entries)>;

/// Lists the payload. Refuses one that is missing or a symlink. Refuses one with a device, a
/// socket, a FIFO, an entry that this user cannot read, or one whose name is too long. Throws
/// Failure (local) if the disk fails, and Stopped if `stop` was requested.
[[nodiscard]] std::variant<Payload, Refusal> list_payload(const Location& payload,
                                                          const std::stop_token& stop = {},
                                                          const OnEntry& on_entry = {});

/// Opens a file of the payload for reading, through no symlink. On failure the descriptor is empty
/// and errno is set.
[[nodiscard]] Descriptor open_entry(const Location& payload, const Entry& entry);

/// The same for a regular file; empty for anything else.
[[nodiscard]] Descriptor open_regular_entry(const Location& payload, const Entry& entry);

/// The stamp of the open file now.
[[nodiscard]] Stamp stamp_of(const Descriptor& file);

/// Whether a copy of the file's bytes has to search for holes. Small ones may be in the stream.
[[nodiscard]] Density density_of(const Entry& entry);

/// The stamps of a payload as text, which the spool keeps. A tick that continues an earlier staging
/// compares the payload with the stamps of its first listing.
[[nodiscard]] std::string encode_stamps(const std::vector<Stamp>& stamps);

/// See Fingerprint. Owners do not count. With a piece size of zero it names the contents regardless
/// of their cut, and of holes.
[[nodiscard]] Fingerprint fingerprint_of(const TaskPath& task, const Manifest& manifest,
                                         std::uint64_t piece_bytes);

}  // namespace libsync
