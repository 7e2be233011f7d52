#pragma once

// Ranges of files: copied, hashed, and written to the disk. Here the bytes of payloads move.
//
// The kernel moves them, by reflink, copy_file_range or sendfile, or from the file cache to the
// disk. Holes of sparse files stay holes. All functions throw Failure (local), and any thread may
// call them. A `count` grows while the bytes move. Offsets and lengths are in bytes. A process that
// dies leaves a part of a copy.

#include <cstdint>
#include <stop_token>

#include "libsync/core/digest.h"
#include "libsync/core/rolling_sum.h"
#include "os/byte_count.h"
#include "os/descriptor.h"
#include "os/files.h"

namespace libsync {

/// Whether the original of a range may have holes, which its copy then has, too.
enum class Density { dense, sparse };

/// Copies a range within the kernel. A hole of a sparse file becomes a hole, or zeros where `to`
/// had bytes. In a dense file holes are read as zeros; not searching for them saves three system
/// calls a file. False if the original ends before the range does, or if `stop` was requested; `to`
/// may then have a part.
[[nodiscard]] bool copy_range(const Descriptor& from, std::uint64_t from_offset,
                              const Descriptor& to, std::uint64_t to_offset, std::uint64_t bytes,
                              Density density, const std::stop_token& stop = {},
                              ByteCount* count = nullptr);

/// The same for a copy that no process is about to read. Where that costs less, the disk gets the
/// bytes from the file cache of the original, and the copy has no pages there. The function then
/// waits for the disk. That happens on ext4, for dense ranges of 1 MiB and more that begin on a
/// page boundary in both files. A piece holds its files back to back, so in a folder few files
/// after the first begin on one.
[[nodiscard]] bool copy_range_past_cache(const Descriptor& from, std::uint64_t from_offset,
                                         const Descriptor& to, std::uint64_t to_offset,
                                         std::uint64_t bytes, Density density,
                                         const std::stop_token& stop = {},
                                         ByteCount* count = nullptr);

/// Shortest write that expect_writes() announces. For less the blocks cost little, and the call
/// would outweigh them.
inline constexpr std::uint64_t kWorthExpecting = std::uint64_t{1} << 20U;

/// Announces that all of the first `bytes` of a file are about to be written. Where that makes
/// writing cheaper (ext4), the file system allocates the blocks at once. The size of the file stays
/// the same. A hint: it reports no error, since the write itself will.
void expect_writes(const Descriptor& file, std::uint64_t bytes);

/// Adds a range of a file to `hasher`. False if the file ends before the range does, or if `stop`
/// was requested; `hasher` is then useless.
[[nodiscard]] bool hash_range(Hasher& hasher, const Descriptor& file, std::uint64_t offset,
                              std::uint64_t bytes, const std::stop_token& stop,
                              ByteCount* count = nullptr);

/// The same, and adds the bytes to `summer` as well.
[[nodiscard]] bool hash_and_sum_range(Hasher& hasher, RollingSummer& summer, const Descriptor& file,
                                      std::uint64_t offset, std::uint64_t bytes,
                                      const std::stop_token& stop, ByteCount* count = nullptr);

/// Whether a range reads as zeros. Reads no hole. False if the file ends before the range does, or
/// if `stop` was requested.
[[nodiscard]] bool is_zero(const Descriptor& file, std::uint64_t offset, std::uint64_t bytes,
                           const std::stop_token& stop);

/// Has the kernel start writing a range to the disk now. Unlike fsync it makes nothing durable, and
/// it waits only until the queue of a busy disk has room.
void begin_writing(const Descriptor& file, std::uint64_t offset, std::uint64_t bytes);

}  // namespace libsync
