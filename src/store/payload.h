#pragma once

// The payload on the disk: found beneath a root, listed, and recognised again.
//
// The master lists the payload that a task names; a minion lists what is already published, to see
// whether it is the same. Nothing here follows a symlink, and nothing leaves the folder that it was
// given. Nothing is written.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "libsync/core/manifest.h"
#include "libsync/core/run_ids.h"
#include "libsync/core/task.h"

namespace libsync {

class Descriptor;

/// What a file, folder or link was when it was looked at. A change of any kind shows in one of
/// these: even a program that sets the mtime back cannot set the ctime.
struct Stamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  FileTime mtime;
  FileTime ctime;

  friend bool operator==(const Stamp&, const Stamp&) = default;
};

struct Payload {
  Manifest manifest;
  std::vector<Stamp> stamps;          ///< One for each entry of the manifest, in its order.
  std::size_t hard_linked_files = 0;  ///< Carried as separate files, as rsync -a does.
};

/// Where a payload stands: an open folder and a name in it. The folder stays the same folder, even
/// if somebody moves it or puts a symlink in its way.
struct Location {
  std::shared_ptr<const Descriptor> folder;
  std::string name;
  std::filesystem::path shown;  ///< For messages only.
};

/// For messages: an entry's path.
[[nodiscard]] std::filesystem::path shown_path(const Location& place, const Entry& entry);

/// `name` in `folder`, whose own path may pass through symlinks: for folders that the configuration
/// names. Throws Failure (local) if the folder cannot be opened.
[[nodiscard]] Location locate(const std::filesystem::path& folder, std::string_view name);

/// Where a task lies: below its root, reached through no symlink. `repo` is this host's own: a task
/// may neither be in the place where it would be published, nor hold or lie in our own state.
[[nodiscard]] std::variant<Location, Refusal> locate_task(
    const TaskPath& task, const std::vector<std::filesystem::path>& roots,
    const std::filesystem::path& repo);

/// Lists the payload. Refuses what we do not carry (devices, sockets, FIFOs, a symlink as the
/// payload itself), what is not readable, and what is not there.
[[nodiscard]] std::variant<Payload, Refusal> list_payload(const Location& place);

/// Opens a file of the payload for reading, through no symlink. An empty descriptor, with errno
/// set, if that cannot be.
[[nodiscard]] Descriptor open_entry(const Location& place, const Entry& entry);

/// What the open file is now.
[[nodiscard]] Stamp stamp_of(const Descriptor& file);

/// The stamps of a payload as text, to be kept and compared: a tick that takes over the staging of
/// an earlier one compares the source with what that one saw first.
[[nodiscard]] std::string encode_stamps(const std::vector<Stamp>& stamps);

/// See Fingerprint. Owners and holes take no part. With a piece size of zero it names the contents
/// however they are cut.
[[nodiscard]] Fingerprint fingerprint_of(const TaskPath& task, const Manifest& manifest,
                                         std::uint64_t piece_bytes);

}  // namespace libsync
