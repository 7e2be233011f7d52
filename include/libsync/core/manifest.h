#pragma once

// The manifest: what a payload consists of, apart from the bytes of its files.
//
// The master lists the payload once and announces the manifest's digest; every host pulls the
// manifest, checks it and publishes exactly what it says. Names are data: any byte but NUL and `/`
// may stand in them, and none of them ever reaches rsync.
//
// Encoded form (DO NOT CHANGE without a new version in the first line; all numbers decimal unless
// said otherwise; entries in strictly ascending byte order of their names, so that a folder comes
// before what it holds):
//
//   libsync-manifest 1\n
//   KIND MODE SECONDS.NANOSECONDS SIZE UID GID DENSITY NAME\0TARGET\0      (once an entry)
//
// KIND is f, d or l; MODE four octal digits; NANOSECONDS nine digits; DENSITY `s` for a file with
// holes, else `d`; TARGET is empty unless the entry is a link. The first entry is the payload
// itself, its NAME empty.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace libsync {

enum class EntryKind { file, folder, link };

/// Whether a file's runs of zeros are to become holes, because the original has holes.
enum class Density { dense, sparse };

/// A modification time as the file system keeps it.
struct FileTime {
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds = 0;

  friend auto operator<=>(const FileTime&, const FileTime&) = default;
};

struct Entry {
  EntryKind kind = EntryKind::file;
  std::uint32_t mode = 0;  ///< Permission bits with set-id and sticky: 0 to 07777.
  FileTime mtime;
  std::uint64_t size = 0;  ///< Bytes of a file; 0 for folders and links.
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  Density density = Density::dense;
  std::string name;    ///< Relative to the payload; empty for the payload itself.
  std::string target;  ///< Of a link, verbatim.

  friend bool operator==(const Entry&, const Entry&) = default;
};

/// Why bytes are not a manifest.
struct Malformed {
  std::string reason;
};

class Manifest {
 public:
  /// Of the encoded form: some ten million entries. The master refuses a payload with a longer one;
  /// a host takes no more from a peer.
  static constexpr std::size_t max_bytes = std::size_t{1} << 30U;

  /// REQUIRES: the entries are as the encoded form wants them (list_payload makes them so).
  explicit Manifest(std::vector<Entry> entries);

  /// Accepts only what encode() could have written: canonical numbers, sorted names without `.`,
  /// `..` or empty components, every parent a folder listed before its children.
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
