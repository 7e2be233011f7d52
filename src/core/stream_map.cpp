#include "libsync/core/stream_map.h"

#include <algorithm>
#include <iterator>

namespace libsync {

StreamMap::StreamMap(const Manifest& manifest) {
  std::uint64_t begin = 0;
  for (std::size_t i = 0; i < manifest.entries().size(); ++i) {
    const Entry& entry = manifest.entries()[i];
    std::uint64_t offset = 0;
    const auto add_until = [&](std::uint64_t end) {
      if (offset < end) extents_.push_back({begin, i, offset});
      begin += end - offset;
    };
    for (const Hole& hole : entry.holes) {
      add_until(hole.offset);
      offset = hole.offset + hole.bytes;
    }
    add_until(entry.size);
  }
  extents_.push_back({begin, manifest.entries().size(), 0});
}

std::vector<Segment> StreamMap::segments(std::uint64_t offset, std::uint64_t bytes) const {
  std::vector<Segment> all;
  const auto end = offset + bytes;
  auto next = std::upper_bound(
      extents_.begin(), extents_.end(), offset,
      [](std::uint64_t value, const Extent& extent) { return value < extent.begin; });
  for (; offset < end; ++next) {
    const Extent& extent = *std::prev(next);
    const auto part = std::min(next->begin, end) - offset;
    all.push_back({extent.entry, extent.offset + (offset - extent.begin), part});
    offset += part;
  }
  return all;
}

}  // namespace libsync
