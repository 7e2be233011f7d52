#pragma once

// Acts on the local disk, each as one function.
//
// A function that fails throws Failure (local), whose message names the file, the cause and the way
// out. The functions have no state, so any thread may call them. Acts on ranges of files, which
// move the bytes of payloads, are in file_ranges.h.

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "libsync/core/manifest.h"
#include "os/descriptor.h"

namespace libsync {

/// Opens `path`, but not if its last component is a symlink. `mode` is that of a file that O_CREAT
/// makes.
[[nodiscard]] Descriptor open_file(const std::filesystem::path& path, int flags, unsigned mode = 0);

/// Opens `path`, relative to `folder`. It passes through no symlink and never leaves `folder`
/// (openat2 RESOLVE_BENEATH). On failure it throws nothing: the descriptor is empty and errno is
/// set. `mode` is that of a file that O_CREAT makes.
[[nodiscard]] Descriptor open_beneath(const Descriptor& folder, const std::filesystem::path& path,
                                      int flags, unsigned mode = 0);

/// fstat(2).
[[nodiscard]] struct stat status_of(const Descriptor& file);

/// lstat(2); nothing if there is no such name.
[[nodiscard]] std::optional<struct stat> status_of(const std::filesystem::path& path);

/// The modification time in it.
[[nodiscard]] FileTime mtime_of(const struct stat& status);

/// The content of a regular file. Nothing if there is none, or if it has more than `limit` bytes.
[[nodiscard]] std::optional<std::string> read_file(const std::filesystem::path& path,
                                                   std::size_t limit);

/// The same for an open file, from its beginning.
[[nodiscard]] std::optional<std::string> read_file(const Descriptor& file, std::size_t limit);

/// Replaces a file durably. After a crash at any point, `path` holds its old content or all of
/// `content`; a file `path`.new may be left.
void replace_file(const std::filesystem::path& path, std::string_view content, unsigned mode);

/// Writes a file that a person has named, durably and in one step, with the mode that the umask
/// leaves of 0666. A symlink stays, and the file that it leads to is replaced. Throws Failure if
/// there is anything else but a file.
void write_named_file(const std::filesystem::path& path, std::string_view content);

/// Appends to a file of ours, which it makes if there is none.
void append_to_file(const std::filesystem::path& path, std::string_view text);

/// Makes one folder with exactly this mode. A folder that exists keeps its own mode.
void make_folder(const std::filesystem::path& path, unsigned mode);

/// Deletes a file. It may not exist.
void remove_file(const std::filesystem::path& path);

/// rename(2): one step, which replaces a file at `to`.
void rename_path(const std::filesystem::path& from, const std::filesystem::path& to);

/// Swaps two existing names in one step.
void exchange_paths(const std::filesystem::path& one, const std::filesystem::path& other);

/// The same; false if they cannot be swapped.
[[nodiscard]] bool try_exchange_paths(const std::filesystem::path& one,
                                      const std::filesystem::path& other);

/// Writes the data of a file, or the names in a folder, to the disk.
void sync_path(const std::filesystem::path& path);

/// The same for an open file or folder.
void sync_file(const Descriptor& file);

/// Writes all dirty data of the file system of `path` to the disk.
void sync_file_system(const std::filesystem::path& path);

/// Whether files in this folder can share their blocks (reflink), so that a copy needs no space.
/// Leaves no file behind.
[[nodiscard]] bool can_share_blocks(const std::filesystem::path& folder);

/// The names in a folder. None if there is no such folder.
[[nodiscard]] std::vector<std::string> names_in(const std::filesystem::path& folder);

/// Bytes that all files below a folder occupy on the disk. Files that vanish meanwhile do not
/// count. Throws Stopped if `stop` is requested: 100,000 files need 2 s of a disk.
[[nodiscard]] std::uint64_t bytes_below(const std::filesystem::path& folder,
                                        const std::stop_token& stop = {});

/// The mount points in a text of the form of /proc/self/mountinfo, bind mounts included.
[[nodiscard]] std::vector<std::filesystem::path> mount_points_of(std::string_view mountinfo);

/// The mount points that this process sees.
[[nodiscard]] std::vector<std::filesystem::path> mount_points();

/// Whether this user can write so many bytes into a folder now: tries it, within its quota, and
/// leaves no file behind.
[[nodiscard]] bool can_write(const std::filesystem::path& folder, std::uint64_t bytes);

/// Bytes that this user can still write on the file system of `path`.
[[nodiscard]] std::uint64_t free_bytes(const std::filesystem::path& path);

}  // namespace libsync
