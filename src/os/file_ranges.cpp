#include "os/file_ranges.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <span>
#include <string>

#include "os/descriptor.h"

namespace libsync {
namespace {

// Unit of reads and of written zeros. System calls cost next to nothing at this size, and the bytes
// stay in the processor's cache until they are hashed: ./tests/bench/micro
// --benchmark_filter=Blake3OfAPiece.
constexpr std::size_t kBufferBytes = std::size_t{64} << 10U;

void add(std::uint64_t bytes, ByteCount* count) {
  if (count != nullptr) *count += bytes;
}

bool kernel_cannot(int error) {
  return error == EXDEV || error == EINVAL || error == EOPNOTSUPP || error == ENOSYS ||
         error == EBADF;
}

// One step of a copy, which advances both offsets. Returns -1 and sets errno on failure, and 0 at
// the original's end.
ssize_t copy_in_kernel(int from, off_t* from_offset, int to, off_t* to_offset, std::size_t bytes) {
  const auto copied = copy_file_range(from, from_offset, to, to_offset, bytes, 0);
  if (copied >= 0 || !kernel_cannot(errno)) return copied;
  // sendfile also copies between file systems. It writes at the file position.
  if (lseek(to, *to_offset, SEEK_SET) < 0) return -1;
  const auto sent = sendfile(to, from, from_offset, bytes);
  if (sent > 0) *to_offset += sent;
  return sent;
}

// Most bytes that one call copies, because the stop signal waits for it. A disk that writes 150
// MB/s needs a fifth of a second for them: ./tests/bench/disk
constexpr off_t kBytesACall = off_t{32} << 20U;

// Throws the Failure for a copy that failed. The kernel does not say which of the two files has
// failed, so the original is read once more.
[[noreturn]] void throw_copy_failure(const Descriptor& from, off_t position, const Descriptor& to) {
  const int error = errno;
  char byte = 0;
  if ((error == EIO || error == ESTALE) && pread(from.number(), &byte, 1, position) < 0) {
    throw_disk_failure("read", from);
  }
  errno = error;
  throw_disk_failure("copy into", to);
}

// Copies [position, end) to the same offsets plus `shift`. False if the original ends before `end`,
// or if `stop` was requested.
bool copy_data(const Descriptor& from, off_t position, const Descriptor& to, off_t shift, off_t end,
               const std::stop_token& stop, ByteCount* count) {
  while (position < end) {
    if (stop.stop_requested()) return false;
    const auto begun_at = position;
    off_t target = position + shift;
    const auto copied =
        copy_in_kernel(from.number(), &position, to.number(), &target,
                       static_cast<std::size_t>(std::min(end - position, kBytesACall)));
    if (copied < 0) throw_copy_failure(from, begun_at, to);
    if (copied == 0) return false;
    add(static_cast<std::uint64_t>(copied), count);
  }
  return true;
}

// A part of a file that is all hole (sparse) or has none that the file system reports (dense).
struct Part {
  Density content;
  off_t end;
};

// The part that begins at `position` and ends at `end` at the latest.
Part part_at(const Descriptor& file, off_t position, off_t end) {
  off_t data = lseek(file.number(), position, SEEK_DATA);
  // ENXIO: a hole reaches to the end. Any other error: this file system knows no holes.
  if (data < 0) data = errno == ENXIO ? end : position;
  if (data > position) return {Density::sparse, std::min(data, end)};
  const off_t hole = lseek(file.number(), position, SEEK_HOLE);
  return {Density::dense, hole <= position ? end : std::min(hole, end)};
}

// Makes [offset, offset + bytes) read as zeros.
void clear_range(const Descriptor& file, std::uint64_t offset, std::uint64_t bytes) {
  if (fallocate(file.number(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                static_cast<off_t>(offset), static_cast<off_t>(bytes)) == 0) {
    return;
  }
  static const std::string zeros(kBufferBytes, '\0');
  while (bytes > 0) {
    const auto wrote = pwrite(file.number(), zeros.data(), std::min(bytes, zeros.size()),
                              static_cast<off_t>(offset));
    if (wrote <= 0) throw_disk_failure("write", file);
    offset += static_cast<std::uint64_t>(wrote);
    bytes -= static_cast<std::uint64_t>(wrote);
  }
}

bool is_on(std::uint32_t file_system, const Descriptor& file) {
  struct statfs where {};
  return fstatfs(file.number(), &where) == 0 &&
         static_cast<std::uint32_t>(where.f_type) == file_system;
}

// While it lives, writes to the file bypass the file cache.
class DirectWrites {
 public:
  explicit DirectWrites(const Descriptor& file)
      : file_(file),
        flags_(fcntl(file.number(), F_GETFL)),
        are_possible_(flags_ >= 0 && fcntl(file.number(), F_SETFL, flags_ | O_DIRECT) == 0) {}
  ~DirectWrites() {
    if (are_possible_) fcntl(file_.number(), F_SETFL, flags_);
  }
  DirectWrites(const DirectWrites&) = delete;
  DirectWrites& operator=(const DirectWrites&) = delete;

  [[nodiscard]] bool are_possible() const { return are_possible_; }

 private:
  const Descriptor& file_;
  int flags_;
  bool are_possible_;
};

// Bytes that are mapped and written at a time. They count as memory of this process meanwhile, and
// are enough to give the disk several requests at once: ./tests/bench/micro
// --benchmark_filter=PieceSplice.
constexpr std::uint64_t kMappedBytes = std::uint64_t{4} << 20U;
// Shortest range that is written past the cache. A shorter one saves little processor time, and
// each makes the caller wait for the disk.
constexpr std::uint64_t kWorthPassingTheCache = std::uint64_t{1} << 20U;

// Has the disk read the original's pages in the file cache. Returns how many bytes from the
// beginning it wrote. An error ends it early, and shows again when the caller copies the rest.
std::uint64_t write_from_cache(const Descriptor& from, std::uint64_t from_offset,
                               const Descriptor& to, std::uint64_t to_offset, std::uint64_t bytes,
                               const std::stop_token& stop, ByteCount* count) {
  const auto page_bytes = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  if (from_offset % page_bytes != 0 || to_offset % page_bytes != 0) return 0;
  const DirectWrites direct(to);
  if (!direct.are_possible()) return 0;
  const auto whole = bytes - bytes % page_bytes;
  std::uint64_t done = 0;
  while (done < whole && !stop.stop_requested()) {
    const auto length = static_cast<std::size_t>(std::min(kMappedBytes, whole - done));
    void* const mapping = mmap(nullptr, length, PROT_READ, MAP_SHARED | MAP_POPULATE, from.number(),
                               static_cast<off_t>(from_offset + done));
    if (mapping == MAP_FAILED) return done;
    const auto wrote = pwrite(to.number(), mapping, length, static_cast<off_t>(to_offset + done));
    munmap(mapping, length);
    if (wrote <= 0 || static_cast<std::uint64_t>(wrote) % page_bytes != 0) return done;
    done += static_cast<std::uint64_t>(wrote);
    add(static_cast<std::uint64_t>(wrote), count);
  }
  return done;
}

// Gives `use` the bytes of a range in parts. False if the file ends early, or if `stop` was
// requested.
template <typename Use>
bool read_range(const Descriptor& file, std::uint64_t offset, std::uint64_t bytes,
                const std::stop_token& stop, ByteCount* count, Use use) {
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kBufferBytes);
  while (bytes > 0) {
    if (stop.stop_requested()) return false;
    const auto got = pread(file.number(), buffer.get(),
                           static_cast<std::size_t>(std::min<std::uint64_t>(bytes, kBufferBytes)),
                           static_cast<off_t>(offset));
    if (got < 0) throw_disk_failure("read", file);
    if (got == 0) return false;
    use(std::span<const std::byte>(buffer.get(), static_cast<std::size_t>(got)));
    offset += static_cast<std::uint64_t>(got);
    bytes -= static_cast<std::uint64_t>(got);
    add(static_cast<std::uint64_t>(got), count);
  }
  return true;
}

}  // namespace

bool copy_range(const Descriptor& from, std::uint64_t from_offset, const Descriptor& to,
                std::uint64_t to_offset, std::uint64_t bytes, Density density,
                const std::stop_token& stop, ByteCount* count) {
  const auto end = static_cast<off_t>(from_offset + bytes);
  const auto begin = static_cast<off_t>(from_offset);
  const auto shift = static_cast<off_t>(to_offset) - begin;
  if (density == Density::dense) return copy_data(from, begin, to, shift, end, stop, count);
  if (status_of(from).st_size < end) return false;
  for (auto position = begin; position < end;) {
    if (stop.stop_requested()) return false;
    const auto part = part_at(from, position, end);
    if (part.content == Density::sparse) {
      clear_range(to, static_cast<std::uint64_t>(position + shift),
                  static_cast<std::uint64_t>(part.end - position));
      add(static_cast<std::uint64_t>(part.end - position), count);
    } else if (!copy_data(from, position, to, shift, part.end, stop, count)) {
      return false;
    }
    position = part.end;
  }
  return true;
}

bool is_zero(const Descriptor& file, std::uint64_t offset, std::uint64_t bytes,
             const std::stop_token& stop) {
  const auto end = static_cast<off_t>(offset + bytes);
  if (status_of(file).st_size < end) return false;
  bool are_all_zeros = true;
  for (auto position = static_cast<off_t>(offset); position < end && are_all_zeros;) {
    const auto part = part_at(file, position, end);
    if (part.content == Density::dense) {
      const auto is_whole = read_range(
          file, static_cast<std::uint64_t>(position),
          static_cast<std::uint64_t>(part.end - position), stop, nullptr,
          [&](std::span<const std::byte> read) {
            are_all_zeros =
                are_all_zeros && std::all_of(read.begin(), read.end(),
                                             [](std::byte byte) { return byte == std::byte{0}; });
          });
      if (!is_whole) return false;
    }
    position = part.end;
  }
  return are_all_zeros;
}

// ext4 copies a page at a time into the file cache, and evicts as much from it. Bypassing the cache
// saves a fleet on ext4 a quarter of its processor time: ./tests/bench/loopback --hosts 4. Other
// file systems share blocks or were not measured.
bool copy_range_past_cache(const Descriptor& from, std::uint64_t from_offset, const Descriptor& to,
                           std::uint64_t to_offset, std::uint64_t bytes, Density density,
                           const std::stop_token& stop, ByteCount* count) {
  std::uint64_t done = 0;
  // A mapping reads as zeros behind the original's end, so the size is checked here.
  if (density == Density::dense && bytes >= kWorthPassingTheCache && is_on(EXT4_SUPER_MAGIC, to) &&
      static_cast<std::uint64_t>(status_of(from).st_size) >= from_offset + bytes) {
    done = write_from_cache(from, from_offset, to, to_offset, bytes, stop, count);
  }
  return copy_range(from, from_offset + done, to, to_offset + done, bytes - done, density, stop,
                    count);
}

bool hash_range(Hasher& hasher, const Descriptor& file, std::uint64_t offset, std::uint64_t bytes,
                const std::stop_token& stop, ByteCount* count) {
  return read_range(file, offset, bytes, stop, count,
                    [&](std::span<const std::byte> part) { hasher.update(part); });
}

bool hash_and_sum_range(Hasher& hasher, RollingSummer& summer, const Descriptor& file,
                        std::uint64_t offset, std::uint64_t bytes, const std::stop_token& stop,
                        ByteCount* count) {
  return read_range(file, offset, bytes, stop, count, [&](std::span<const std::byte> part) {
    hasher.update(part);
    summer.add({reinterpret_cast<const char*>(part.data()), part.size()});
  });
}

// Without it ext4 reserves a block for each page that is written, and allocates it later. XFS
// reserves blocks for many pages at once. On ext4 this saves 7 % of all processor time:
// ./tests/bench/loopback --hosts 4.
void expect_writes(const Descriptor& file, std::uint64_t bytes) {
  if (bytes < kWorthExpecting || !is_on(EXT4_SUPER_MAGIC, file)) return;
  static_cast<void>(fallocate(file.number(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)));
}

void begin_writing(const Descriptor& file, std::uint64_t offset, std::uint64_t bytes) {
  if (is_on(OVERLAYFS_SUPER_MAGIC, file)) {
    // overlayfs passes this call on to the file below, and not sync_file_range.
    static_cast<void>(posix_fadvise(file.number(), static_cast<off_t>(offset),
                                    static_cast<off_t>(bytes), POSIX_FADV_DONTNEED));
    return;
  }
  const auto begun = sync_file_range(file.number(), static_cast<off_t>(offset),
                                     static_cast<off_t>(bytes), SYNC_FILE_RANGE_WRITE);
  if (begun != 0 && !kernel_cannot(errno)) throw_disk_failure("write", file);
}

}  // namespace libsync
