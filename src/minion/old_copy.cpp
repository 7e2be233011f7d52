#include "minion/old_copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "libsync/core/served_modes.h"
#include "os/descriptor.h"
#include "os/file_ranges.h"
#include "os/files.h"

namespace libsync {
namespace {

std::uint64_t bytes_of(const std::vector<Segment>& segments) {
  std::uint64_t bytes = 0;
  for (const auto& segment : segments) bytes += segment.bytes;
  return bytes;
}

}  // namespace

Filling plan_filling(const std::vector<Segment>& segments,
                     const std::vector<std::uint64_t>& old_bytes) {
  const auto piece_bytes = bytes_of(segments);
  const auto margin = piece_bytes / 2;
  Filling plan;
  std::uint64_t end = 0;          // The bytes so far end here.
  std::uint64_t wanted = margin;  // Where the segment lies if nothing has moved.
  for (const auto& segment : segments) {
    const auto old = old_bytes.at(segment.entry);
    const auto lead = plan.ranges.empty() && end == 0 ? std::min(margin, segment.offset) : 0;
    const auto from = segment.offset - lead;
    const auto at = std::max(end, wanted - lead);
    // No more bytes than the pieces and the margins have, however long the old files are.
    const auto most = 2 * piece_bytes - std::min(at, 2 * piece_bytes);
    const auto until = std::min(old, segment.offset + segment.bytes + margin);
    if (from < until && most > 0) {
      const auto bytes = std::min(until - from, most);
      plan.ranges.push_back({segment.entry, from, at, bytes});
      end = at + bytes;
    }
    wanted += segment.bytes;
  }
  if (!plan.ranges.empty()) plan.file_bytes = std::max(end, piece_bytes + 1);
  return plan;
}

OldCopy::OldCopy(Location location, const Manifest& wanted, std::uint64_t piece_bytes,
                 const std::stop_token& stop)
    : location_(std::move(location)),
      entries_(wanted.entries()),
      old_bytes_(wanted.entries().size(), 0),
      layout_(wanted, piece_bytes) {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (stop.stop_requested()) return;
    if (entries_[i].kind != EntryKind::file || entries_[i].size == 0) continue;
    const auto file = open(i);
    if (file) old_bytes_[i] = static_cast<std::uint64_t>(status_of(file).st_size);
  }
}

PieceSet OldCopy::candidates() const {
  PieceSet all(layout_.cut().pieces());
  for (PieceNumber piece = 0; piece < layout_.cut().pieces(); ++piece) {
    const auto segments = layout_.segments(piece);
    if (std::all_of(segments.begin(), segments.end(), [&](const Segment& segment) {
          return segment.offset + segment.bytes <= old_bytes_[segment.entry];
        })) {
      all.insert(piece);
    }
  }
  return all;
}

Descriptor OldCopy::open(std::size_t entry) const {
  auto file = open_entry(location_, entries_.at(entry));
  if (file && !S_ISREG(status_of(file).st_mode)) return Descriptor();
  return file;
}

bool OldCopy::has(PieceNumber piece, const Digest& digest, const std::stop_token& stop) const {
  Hasher hasher;
  for (const Segment& segment : layout_.segments(piece)) {
    const auto file = open(segment.entry);
    if (!file || !hash_range(hasher, file, segment.offset, segment.bytes, stop)) return false;
  }
  return hasher.finish() == digest;
}

bool OldCopy::fill(PieceNumber piece, const std::filesystem::path& file,
                   const std::stop_token& stop) const {
  const auto plan = plan_filling(layout_.segments(piece), old_bytes_);
  if (plan.ranges.empty()) return false;
  const auto to = open_file(file, O_RDWR | O_CREAT, kServedFileMode);
  if (ftruncate(to.number(), static_cast<off_t>(plan.file_bytes)) != 0) {
    throw_disk_failure("set the size of", to);
  }
  for (const auto& range : plan.ranges) {
    const auto from = open(range.entry);
    if (!from || !copy_range(from, range.from, to, range.at, range.bytes,
                             entries_[range.entry].density, stop)) {
      remove_file(file);
      return false;
    }
  }
  return true;
}

}  // namespace libsync
