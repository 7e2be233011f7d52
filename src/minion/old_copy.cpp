#include "minion/old_copy.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>
#include <variant>

#include "libsync/core/failure.h"
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

std::string_view base_name(const Entry& entry) {
  const std::string_view name = entry.name;
  return name.substr(name.rfind('/') + 1);  // npos + 1 is 0.
}

std::uint64_t distance(std::uint64_t one, std::uint64_t other) {
  return std::max(one, other) - std::min(one, other);
}

// A file of another size is another file that happens to have the name, such as __init__.py.
bool is_similar(std::uint64_t one, std::uint64_t other) {
  return std::max(one, other) <= 2 * std::min(one, other);
}

}  // namespace

Filling plan_filling(const std::vector<Segment>& segments,
                     const std::vector<std::uint64_t>& old_bytes) {
  const auto piece_bytes = bytes_of(segments);
  const auto margin = piece_bytes / 2;
  Filling plan;
  std::uint64_t end = 0;          // The bytes so far end here.
  std::uint64_t wanted = margin;  // Where the segment lies if nothing has moved.
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const auto& segment = segments[i];
    const auto old = old_bytes.at(segment.entry);
    const auto lead = end == 0 ? std::min(margin, segment.offset) : 0;
    const auto from = segment.offset - lead;
    const auto at = std::max(end, wanted - lead);
    // No more bytes than the pieces and the margins have, however long the old files are.
    const auto most = 2 * piece_bytes - std::min(at, 2 * piece_bytes);
    // In front of a hole of the piece there is no margin: the bytes behind the hole come next.
    const bool goes_on = i + 1 < segments.size() && segments[i + 1].entry == segment.entry;
    const auto until = std::min(old, segment.offset + segment.bytes + (goes_on ? 0 : margin));
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
                 const std::stop_token& stop, const OnEntry& on_entry)
    : location_(std::move(location)),
      entries_(wanted.entries()),
      old_bytes_(wanted.entries().size(), 0),
      layout_(wanted, piece_bytes) {
  bool are_all_there = true;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (stop.stop_requested()) return;
    if (on_entry) on_entry(i + 1);
    if (!has_data(entries_[i])) continue;
    const auto file = open(i);
    if (file) old_bytes_[i] = static_cast<std::uint64_t>(status_of(file).st_size);
    are_all_there = are_all_there && file;
  }
  if (!are_all_there) find_moved(stop, on_entry);
}

void OldCopy::find_moved(const std::stop_token& stop, const OnEntry& on_entry) {
  const auto listed = list_payload(location_, stop, on_entry);
  const auto* const there = std::get_if<Payload>(&listed);
  if (there == nullptr) return;
  std::multimap<std::string_view, const Entry*> by_base_name;
  for (const Entry& old : there->manifest.entries()) {
    if (has_data(old)) by_base_name.emplace(base_name(old), &old);
  }
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (!has_data(entries_[i]) || old_bytes_[i] > 0) continue;
    const auto [first, last] = by_base_name.equal_range(base_name(entries_[i]));
    const auto best = std::min_element(first, last, [&](const auto& a, const auto& b) {
      return distance(a.second->size, entries_[i].size) <
             distance(b.second->size, entries_[i].size);
    });
    if (best == last || !is_similar(best->second->size, entries_[i].size)) continue;
    old_bytes_[i] = best->second->size;
    entries_[i].name = best->second->name;
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
  return open_regular_entry(location_, entries_.at(entry));
}

bool OldCopy::has(PieceNumber piece, const Digest& digest, const std::stop_token& stop,
                  ByteCount* count) const {
  Hasher hasher;
  try {
    for (const Segment& segment : layout_.segments(piece)) {
      const auto file = open(segment.entry);
      if (!file || !hash_range(hasher, file, segment.offset, segment.bytes, stop, count))
        return false;
    }
  } catch (const Failure& failure) {
    spdlog::debug("piece {} has no old bytes: {}", piece, failure.what());
    return false;
  }
  return hasher.finish() == digest;
}

bool OldCopy::fill(PieceNumber piece, const std::filesystem::path& file,
                   const std::stop_token& stop, ByteCount* count) const {
  const auto between = plan_between(piece, layout_.cut(), found_, stream_ ? stream_->bytes() : 0);
  const auto plan = between.empty() ? plan_filling(layout_.segments(piece), old_bytes_) : Filling();
  if (between.empty() && plan.ranges.empty()) return false;
  const auto to = open_file(file, O_RDWR | O_CREAT, kServedFileMode);
  auto file_bytes = std::max(plan.file_bytes, layout_.cut().bytes_of(piece) + 1);
  if (!between.empty()) {
    file_bytes = std::max(file_bytes, between.back().at + between.back().bytes);
  }
  if (ftruncate(to.number(), static_cast<off_t>(file_bytes)) != 0) {
    throw_disk_failure("set the size of", to);
  }
  const bool is_filled =
      std::all_of(between.begin(), between.end(),
                  [&](const StreamRange& range) {
                    return stream_->copy(range.from, range.bytes, to, range.at, stop, count);
                  }) &&
      std::all_of(plan.ranges.begin(), plan.ranges.end(), [&](const OldRange& range) {
        const auto from = open(range.entry);
        return from && copy_range(from, range.from, to, range.at, range.bytes,
                                  density_of(entries_[range.entry]), stop, count);
      });
  if (!is_filled) remove_file(file);
  return is_filled;
}

}  // namespace libsync
