#pragma once

// The stream of a payload, and where its bytes lie in the files.
//
// The stream is the content of the regular files without their holes, in manifest order, end to
// end. Pure.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "libsync/core/manifest.h"

namespace libsync {

/// Adjacent bytes of the stream that are adjacent in one file of the payload, too.
struct Segment {
  std::size_t entry;     ///< Index of the file in the manifest.
  std::uint64_t offset;  ///< Offset in that file.
  std::uint64_t bytes;   ///< Never zero.

  friend bool operator==(const Segment&, const Segment&) = default;
};

/// Keeps no reference to the manifest.
class StreamMap {
 public:
  explicit StreamMap(const Manifest& manifest);

  /// The length of the stream.
  [[nodiscard]] std::uint64_t bytes() const { return extents_.back().begin; }

  /// The segments of a range, in stream order. REQUIRES: the range lies in the stream.
  [[nodiscard]] std::vector<Segment> segments(std::uint64_t offset, std::uint64_t bytes) const;

 private:
  /// Bytes of a file without a hole between them.
  struct Extent {
    std::uint64_t begin;  // Offset in the stream.
    std::size_t entry;
    std::uint64_t offset;  // Offset in the file.
  };

  std::vector<Extent> extents_;  // In stream order, and the end.
};

}  // namespace libsync
