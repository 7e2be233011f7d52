#pragma once

// What we do to the local disk, each as one named act.
//
// Every act that fails throws Failure (local) whose message names the file, the cause and the way
// out. What is done to ranges of files, where the bytes of payloads move, is in disk_ranges.h.

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "libsync/core/manifest.h"
#include "os/descriptor.h"

namespace libsync {

/// open(2), never through a symlink at the last component.
[[nodiscard]] Descriptor open_file(const std::filesystem::path& path, int flags, unsigned mode = 0);

/// Opens `path`, relative to `folder`, through no symlink and never out of `folder`
/// (openat2 RESOLVE_BENEATH). An empty descriptor, with errno set, if that cannot be. `mode`: of a
/// file that O_CREAT makes.
[[nodiscard]] Descriptor open_beneath(const Descriptor& folder, const std::filesystem::path& path,
                                      int flags, unsigned mode = 0);

[[nodiscard]] struct stat status_of(const Descriptor& file);

/// lstat, as an answer: nothing if there is no such name.
[[nodiscard]] std::optional<struct stat> status_of(const std::filesystem::path& path);

[[nodiscard]] FileTime mtime_of(const struct stat& status);

/// The content of a regular file of at most `limit` bytes; nothing if there is none.
[[nodiscard]] std::optional<std::string> read_file(const std::filesystem::path& path,
                                                   std::size_t limit);

/// After this, and after a crash at any point of it, `path` holds its old content or all of
/// `content`.
void replace_file(const std::filesystem::path& path, std::string_view content, unsigned mode);

/// Adds to the end of a file of ours, making it if it is not there.
void append_to_file(const std::filesystem::path& path, std::string_view text);

/// Makes one folder with exactly this mode, unless it is there.
void make_folder(const std::filesystem::path& path, unsigned mode);

/// Deletes a tree, also one whose folders may not be written to.
void remove_tree(const std::filesystem::path& path);

/// The same where nothing depends on it. Why it could not; nothing if it is gone.
[[nodiscard]] std::optional<std::string> try_remove_tree(const std::filesystem::path& path);

void rename_path(const std::filesystem::path& from, const std::filesystem::path& to);

/// Swaps two names that both exist, in one step.
void exchange_paths(const std::filesystem::path& one, const std::filesystem::path& other);

/// Puts a file's or a folder's own data on the disk.
void sync_path(const std::filesystem::path& path);

/// The same of a file or a folder that is open.
void sync_file(const Descriptor& file);

/// Puts all that is dirty on the file system of `path` on the disk.
void sync_file_system(const std::filesystem::path& path);

/// Whether files in this folder can share their blocks (reflink), so that a copy needs no space.
[[nodiscard]] bool can_share_blocks(const std::filesystem::path& folder);

/// Bytes on the disk of all files below a folder; what vanishes meanwhile is not counted.
[[nodiscard]] std::uint64_t bytes_below(const std::filesystem::path& folder);

/// Where file systems are mounted, and folders bound to, in a text as of /proc/self/mountinfo.
[[nodiscard]] std::vector<std::filesystem::path> mount_points_of(std::string_view mountinfo);

/// The same for this process.
[[nodiscard]] std::vector<std::filesystem::path> mount_points();

/// Bytes that this user may still write on the file system of `path`.
[[nodiscard]] std::uint64_t free_bytes(const std::filesystem::path& path);

}  // namespace libsync
