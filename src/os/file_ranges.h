#pragma once

// Ranges of files, where the bytes of payloads are: copied, hashed, written to the disk.
//
// The kernel moves the bytes (reflink, copy_file_range, sendfile, or from the file cache to the
// disk), and holes of sparse files stay holes. Failures are those of disk.h.

#include <cstdint>
#include <stop_token>

#include "libsync/core/digest.h"
#include "libsync/core/manifest.h"
#include "os/descriptor.h"
#include "os/files.h"

namespace libsync {

/// Copies a range within the kernel. Of a sparse file a hole leaves a hole (or zeros, where there
/// were bytes before); of a dense one holes are read as zeros, and not looked for, which saves
/// three system calls a file. False if the original ends before the range does; a part may have
/// been copied then.
[[nodiscard]] bool copy_range(const Descriptor& from, std::uint64_t from_offset,
                              const Descriptor& to, std::uint64_t to_offset, std::uint64_t bytes,
                              Density density);

/// The same for a copy that nobody is about to read: where it costs less, the disk gets the bytes
/// from the original's place in the file cache, and the copy has none there; it waits for the disk
/// then. That is on ext4, of dense ranges of a MiB and more that begin with a page in both files.
/// Of a folder only the first file does so in every piece, unless the sizes before a file add up to
/// whole pages: a piece has the files one after the other.
[[nodiscard]] bool copy_range_past_cache(const Descriptor& from, std::uint64_t from_offset,
                                         const Descriptor& to, std::uint64_t to_offset,
                                         std::uint64_t bytes, Density density);

/// Of less than this a file system need not be told.
inline constexpr std::uint64_t kWorthExpecting = std::uint64_t{1} << 20U;

/// Says that so many bytes of a file are about to be written, all of them: where that makes writing
/// cheaper, the file system gives its blocks at once. Its size stays. A hint: what it cannot do
/// shows when it is written.
void expect_writes(const Descriptor& file, std::uint64_t bytes);

/// Adds a range of a file to `hasher`. False if the file ends before the range does, or if the
/// caller was asked to stop.
[[nodiscard]] bool hash_range(Hasher& hasher, const Descriptor& file, std::uint64_t offset,
                              std::uint64_t bytes, const std::stop_token& stop);

/// Has the kernel begin to write a range to the disk now rather than when it sees fit. Unlike after
/// fsync nothing is certain; it waits for no more than a place in a busy disk's queue.
void begin_writing(const Descriptor& file, std::uint64_t offset, std::uint64_t bytes);

}  // namespace libsync
