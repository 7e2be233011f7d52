#pragma once

// The manifest: the entries of a payload, without the bytes of its files.
//
// The master lists the payload once and announces the digest of the manifest. Every host pulls the
// manifest, checks it, and publishes exactly its entries. Names are data: they may hold any byte
// but NUL and `/`, and no name ever reaches rsync.
//
// Encoded form. DO NOT CHANGE it without a new version in its first line:
//
//   libsync-manifest 2\n
//   KIND MODE SECONDS.NANOSECONDS SIZE UID GID HOLES NAME\0TARGET\0      (for each entry)
//
//   KIND         f, d or l
//   MODE         four octal digits; all other numbers are decimal
//   NANOSECONDS  nine digits
//   HOLES        OFFSET+BYTES of each hole, in ascending order and with commas between; or -
//   NAME         relative to the payload; empty for the payload itself, which is the first entry
//   TARGET       empty unless the entry is a link
//
// Entries are in strictly ascending byte order of their names. So a folder comes before its
// content.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace libsync {

enum class EntryKind { file, folder, link };

/// A range of a file that reads as zeros, has no blocks on the disk, and is no part of the stream.
struct Hole {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;  ///< Never zero.

  friend bool operator==(const Hole&, const Hole&) = default;
};

/// A modification time as the file system keeps it.
struct FileTime {
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds = 0;

  friend auto operator<=>(const FileTime&, const FileTime&) = default;
};

struct Entry {
  EntryKind kind = EntryKind::file;
  std::uint32_t mode = 0;  ///< Permission bits with set-id and sticky bits: 0 to 07777.
  FileTime mtime;
  std::uint64_t size = 0;  ///< Bytes of a file; 0 for folders and links.
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<Hole> holes;  ///< Ascending, with bytes between them.
  std::string name;         ///< Relative to the payload; empty for the payload itself.
  std::string target;       ///< The target of a link, verbatim; empty for files and folders.

  friend bool operator==(const Entry&, const Entry&) = default;
};

/// Offset of the first byte that is in no hole. If there is none, it is not less than data_end().
[[nodiscard]] std::uint64_t data_begin(const Entry& entry);
/// The end of the last byte that is in no hole.
[[nodiscard]] std::uint64_t data_end(const Entry& entry);
/// Whether the entry has bytes in the stream.
[[nodiscard]] inline bool has_data(const Entry& entry) {
  return data_begin(entry) < data_end(entry);
}
/// Its bytes in the stream.
[[nodiscard]] std::uint64_t data_bytes(const Entry& entry);

/// Most holes of a payload. A guard: they make a manifest longer by 3 MiB at most, and a piece may
/// have a segment for each.
inline constexpr std::size_t kMaxHoles = 65536;

/// Keeps the kMaxHoles largest holes. The others become zeros of the stream.
void drop_small_holes(std::span<Entry> entries);

/// Most bytes of all files of a payload, holes included. A guard: off_t addresses so many, and sums
/// of two lengths do not overflow.
inline constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 62U;

/// Whether the files have kMaxFileBytes together at most.
[[nodiscard]] bool are_short_enough(std::span<const Entry> entries);

/// The reason why bytes are no manifest.
struct Malformed {
  std::string reason;
};

class Manifest {
 public:
  /// Length of the encoded form: enough for some ten million entries. The master refuses a payload
  /// with a longer one, and a host accepts no more from a source. A guard, not tuned.
  static constexpr std::size_t max_bytes = std::size_t{1} << 30U;

  /// REQUIRES: the entries obey the rules of the encoded form, as those of list_payload() do.
  explicit Manifest(std::vector<Entry> entries);

  /// Accepts only bytes that encode() could have written. Numbers are canonical. Names are sorted
  /// and have no empty, `.` or `..` component. Every parent is a folder listed before its children.
  /// Holes are ordered, disjoint, inside their file, and kMaxHoles at most.
  [[nodiscard]] static std::variant<Manifest, Malformed> decode(std::string_view bytes);

  [[nodiscard]] std::string encode() const;

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] const Entry& top() const { return entries_.front(); }

  /// The length of the stream: the bytes of all files that are in no hole.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  std::vector<Entry> entries_;
  std::uint64_t bytes_ = 0;
};

}  // namespace libsync
