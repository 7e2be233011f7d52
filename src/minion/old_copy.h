#pragma once

// A payload on this host's disk that may share bytes with the payload of a run.
//
// It knows the old file of each entry of the run's manifest. That is the file at the same path, or
// else one of the same base name and a similar size. If the old range of a piece has its digest,
// the host adopts it. If not, the host fills the file of the piece with old bytes before the pull,
// and rsync moves only the difference.
//
// Other programs may change or delete the old payload at any time, so its bytes prove nothing. It
// is opened below its location, through no symlink, and only regular files are read.
//
// Immutable once it is made, so any thread may use it. Failures of the disk throw (local).

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "libsync/core/digest.h"
#include "libsync/core/manifest.h"
#include "libsync/core/pieces.h"
#include "minion/old_stream.h"
#include "store/payload.h"

namespace libsync {

class Descriptor;

/// A range of old bytes, and its offset in the file of a piece.
struct OldRange {
  std::size_t entry;    ///< Index of the file in the manifest of the run.
  std::uint64_t from;   ///< Offset in the old file.
  std::uint64_t at;     ///< Offset in the file of the piece.
  std::uint64_t bytes;  ///< Never zero.

  friend bool operator==(const OldRange&, const OldRange&) = default;
};

/// The old bytes with which a pull of a piece begins.
struct Filling {
  std::vector<OldRange> ranges;  ///< Without any, the pull begins with an empty file.
  std::uint64_t file_bytes = 0;  ///< More than the piece has.

  friend bool operator==(const Filling&, const Filling&) = default;
};

/// The old bytes for a piece with these segments. `old_bytes` has the size of the old file for each
/// entry; zero: there is none.
///
/// rsync writes in place, and uses an old byte only if it lies at or behind the byte that it
/// writes. So half a piece more lies on each side, and the bytes may have moved by so much. Where
/// the old file has no bytes in front, there is a hole. The file is always longer than the piece,
/// so no process mistakes it for one that has arrived.
[[nodiscard]] Filling plan_filling(const std::vector<Segment>& segments,
                                   const std::vector<std::uint64_t>& old_bytes);

class OldCopy {
 public:
  /// Opens the old file of each entry once, for its size. Lists the old payload if that lacks a
  /// file. Both count for `on_entry`.
  OldCopy(Location location, const Manifest& wanted, std::uint64_t piece_bytes,
          const std::stop_token& stop, const OnEntry& on_entry = {});

  /// The same copy, in whose stream a search has found pieces.
  OldCopy(const OldCopy& copy, std::shared_ptr<const OldStream> stream, FoundPieces found)
      : OldCopy(copy) {
    stream_ = std::move(stream);
    found_ = std::move(found);
  }

  /// Pieces all of whose ranges exist.
  [[nodiscard]] PieceSet candidates() const;

  /// The old file of an entry, open for reading; empty if there is no regular file.
  [[nodiscard]] Descriptor open(std::size_t entry) const;

  /// Whether the old ranges of a piece have this digest. Ranges that cannot be read have none, for
  /// the run can do without them. `count` grows by the bytes that are hashed.
  [[nodiscard]] bool has(PieceNumber piece, const Digest& digest, const std::stop_token& stop,
                         ByteCount* count = nullptr) const;

  /// Fills the file of a piece, which is empty or missing, with the bytes around its own offset, or
  /// around found pieces. False, without a file, if there are no old bytes for it, if they have
  /// changed, or if `stop` was requested. `count` grows by the bytes that are copied.
  [[nodiscard]] bool fill(PieceNumber piece, const std::filesystem::path& file,
                          const std::stop_token& stop, ByteCount* count = nullptr) const;

 private:
  /// Finds the old files that have moved.
  void find_moved(const std::stop_token& stop, const OnEntry& on_entry);

  Location location_;
  std::vector<Entry> entries_;  // The old file of each entry of the manifest, by its name.
  std::vector<std::uint64_t> old_bytes_;
  Layout layout_;
  std::shared_ptr<const OldStream> stream_;
  FoundPieces found_;
};

}  // namespace libsync
