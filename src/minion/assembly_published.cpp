// An Assembly reads the payload that is already published.

#include <unistd.h>

#include <algorithm>

#include "libsync/core/ownership.h"
#include "minion/assembly.h"
#include "os/descriptor.h"
#include "os/file_ranges.h"
#include "os/files.h"

namespace libsync {
namespace {

bool is_top_folder(const Entry& entry) {
  return entry.name.empty() && entry.kind == EntryKind::folder;
}

// Clears what may differ between two equal payloads.
Entry comparable(Entry entry, Ownership ownership) {
  entry.density = Density::dense;
  if (ownership == Ownership::own) entry.uid = entry.gid = 0;
  return entry;
}

}  // namespace

bool Assembly::has_equal_entries(const std::stop_token& stop) const {
  work_.begin(LocalWork::Phase::reading);
  const auto listed = list_payload(locate(repo_, name_), stop);
  const auto* const there = std::get_if<Payload>(&listed);
  if (there == nullptr) return false;
  const auto uid = geteuid();
  const bool may_set_time = uid == 0 || there->manifest.top().uid == uid;
  return std::equal(manifest_.entries().begin(), manifest_.entries().end(),
                    there->manifest.entries().begin(), there->manifest.entries().end(),
                    [&](const Entry& wanted, const Entry& found) {
                      auto expected = comparable(wanted, ownership_);
                      expected.mode = mode_of(wanted);
                      auto actual = comparable(found, ownership_);
                      // A link has no mode of its own.
                      if (wanted.kind == EntryKind::link) actual.mode = expected.mode;
                      if (is_top_folder(wanted) && may_set_time) actual.mtime = expected.mtime;
                      return expected == actual;
                    });
}

PieceSet Assembly::candidates(const std::stop_token& stop) const {
  PieceSet all(layout_.cut().pieces());
  if (!status_of(repo_ / name_)) return all;
  const auto place = locate(repo_, name_);
  std::vector<std::uint64_t> sizes(manifest_.entries().size(), 0);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const Entry& entry = manifest_.entries()[i];
    if (entry.kind != EntryKind::file || entry.size == 0) continue;
    if (stop.stop_requested()) return all;
    if (const auto file = open_entry(place, entry)) {
      const auto status = status_of(file);
      if (S_ISREG(status.st_mode)) sizes[i] = static_cast<std::uint64_t>(status.st_size);
    }
  }
  for (PieceNumber piece = 0; piece < layout_.cut().pieces(); ++piece) {
    const auto segments = layout_.segments(piece);
    if (std::all_of(segments.begin(), segments.end(), [&](const Segment& segment) {
          return segment.offset + segment.bytes <= sizes[segment.entry];
        })) {
      all.insert(piece);
    }
  }
  return all;
}

bool Assembly::is_published(PieceNumber piece, const Digest& digest,
                            const std::stop_token& stop) const {
  const auto place = locate(repo_, name_);
  Hasher hasher;
  for (const Segment& segment : layout_.segments(piece)) {
    const auto file = open_entry(place, manifest_.entries()[segment.entry]);
    if (!file || !hash_range(hasher, file, segment.offset, segment.bytes, stop)) return false;
  }
  return hasher.finish() == digest;
}

}  // namespace libsync
