#pragma once

// The bytes of old payloads as one stream, in which whole pieces of a new one may lie anywhere.
//
// Each payload is a stream of its own (core/stream_map.h), and they lie end to end. One pass over
// all finds pieces by their rolling sums (core/rolling_sum.h), also those of files that
// have moved or have other names. A sample of the stream comes first. If it has no piece, the two
// payloads have little in common, and the pass would cost more than it finds.
//
// Other programs may change the old payloads at any time, so digests judge all bytes. Immutable
// once it is made, so any thread may use it. Failures of the disk throw (local).

#include <cstdint>
#include <filesystem>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "libsync/core/pieces.h"
#include "libsync/core/rolling_sum.h"
#include "libsync/core/stream_map.h"
#include "os/byte_count.h"
#include "store/payload.h"

namespace libsync {

class OldStream {
 public:
  /// Lists the old payloads, and leaves out what cannot be listed.
  OldStream(const std::vector<Location>& locations, const std::stop_token& stop);

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  /// Where pieces of this cut may lie, `sums` being those of pieces 0, 1 …; zero: not wanted. Never
  /// finds a shorter last piece. Reads each payload once, if a sample of it has a piece. Empty if
  /// `stop` was requested. `count` grows by the bytes that are read.
  [[nodiscard]] std::vector<BlockFinder::Block> find(const Cut& cut,
                                                     const std::vector<RollingSum>& sums,
                                                     const std::stop_token& stop,
                                                     ByteCount* count = nullptr) const;

  /// Copies a range into a file, at an offset. False if the files have changed, or if `stop` was
  /// requested.
  [[nodiscard]] bool copy(std::uint64_t offset, std::uint64_t bytes, const Descriptor& to,
                          std::uint64_t to_offset, const std::stop_token& stop,
                          ByteCount* count = nullptr) const;

 private:
  class Reader;

  struct Source {
    Location location;
    Manifest manifest;
    StreamMap map;
    std::uint64_t begin;  // Its offset in the stream.
  };
  /// A segment of one of them.
  struct Part {
    const Source* source;
    Segment segment;
  };

  /// Whether a sample of it has a piece.
  [[nodiscard]] bool is_worth_reading(const Source& source, std::uint64_t length,
                                      const std::vector<RollingSum>& sums,
                                      const std::stop_token& stop, ByteCount* count) const;
  void scan(BlockFinder& finder, std::uint64_t length, std::uint64_t from, std::uint64_t to,
            std::vector<BlockFinder::Block>& found, const std::stop_token& stop,
            ByteCount* count) const;
  /// REQUIRES: the range lies in the stream.
  [[nodiscard]] std::vector<Part> parts(std::uint64_t offset, std::uint64_t bytes) const;

  std::vector<Source> sources_;  // In stream order.
  std::uint64_t bytes_ = 0;
};

/// Where pieces of a run lie in an old stream, as digests have proved.
using FoundPieces = std::map<PieceNumber, std::uint64_t>;

/// A range of an old stream, and its offset in the file of a piece.
struct StreamRange {
  std::uint64_t from;
  std::uint64_t at;
  std::uint64_t bytes;

  friend bool operator==(const StreamRange&, const StreamRange&) = default;
};

/// The old bytes for a piece that lies between found ones, with half a piece more on each side.
/// They lie behind the found piece before it, and in front of the one after it. Empty if no piece
/// was found. All ranges lie in a stream of `old_bytes`, and have three pieces at most.
[[nodiscard]] std::vector<StreamRange> plan_between(PieceNumber piece, const Cut& cut,
                                                    const FoundPieces& found,
                                                    std::uint64_t old_bytes);

}  // namespace libsync
