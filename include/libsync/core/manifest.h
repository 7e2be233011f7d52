#pragma once

// The manifest: the entries of a payload, without the bytes of its files.
//
// The master lists the payload once and announces the digest of the manifest. Every host pulls the
// manifest, checks it, and publishes exactly its entries. Names are data: they may hold any byte
// but NUL and `/`, and no name ever reaches rsync.
//
// Encoded form. DO NOT CHANGE it without a new version in its first line:
//
//   libsync-manifest 1\n
//   KIND MODE SECONDS.NANOSECONDS SIZE UID GID DENSITY NAME\0TARGET\0      (for each entry)
//
//   KIND         f, d or l
//   MODE         four octal digits; all other numbers are decimal
//   NANOSECONDS  nine digits
//   DENSITY      s for a file with holes, else d
//   NAME         relative to the payload; empty for the payload itself, which is the first entry
//   TARGET       empty unless the entry is a link
//
// Entries are in strictly ascending byte order of their names. So a folder comes before its
// content.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace libsync {

enum class EntryKind { file, folder, link };

/// Whether the original of a file has holes. Runs of zeros in a copy of it become holes, too.
enum class Density { dense, sparse };

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
  Density density = Density::dense;
  std::string name;    ///< Relative to the payload; empty for the payload itself.
  std::string target;  ///< The target of a link, verbatim; empty for files and folders.

  friend bool operator==(const Entry&, const Entry&) = default;
};

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
  [[nodiscard]] static std::variant<Manifest, Malformed> decode(std::string_view bytes);

  [[nodiscard]] std::string encode() const;

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] const Entry& top() const { return entries_.front(); }

  /// The length of the stream: the sum of all file sizes.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  [[nodiscard]] bool has_sparse_files() const;

 private:
  std::vector<Entry> entries_;
  std::uint64_t bytes_ = 0;
};

}  // namespace libsync
