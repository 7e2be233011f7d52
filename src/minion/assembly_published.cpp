// An Assembly reads the payload that is already published.

#include <unistd.h>

#include <algorithm>

#include "libsync/core/ownership.h"
#include "minion/assembly.h"
#include "minion/old_copy.h"
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
  entry.holes.clear();
  if (ownership == Ownership::own) entry.uid = entry.gid = 0;
  return entry;
}

bool has_zeros_in_holes(const Location& location, const Entry& entry, const std::stop_token& stop) {
  const auto file = open_regular_entry(location, entry);
  return file && std::all_of(entry.holes.begin(), entry.holes.end(), [&](const Hole& hole) {
           return is_zero(file, hole.offset, hole.bytes, stop);
         });
}

}  // namespace

void Assembly::note_listing(std::size_t entries) const {
  work_.begin(LocalWork::Phase::listing);
  work_.list(entries);
}

bool Assembly::has_equal_entries(const std::stop_token& stop) const {
  const auto location = locate(repo_, name_);
  const auto listed =
      list_payload(location, stop, [this](std::size_t entries) { note_listing(entries); });
  const auto* const there = std::get_if<Payload>(&listed);
  if (there == nullptr) return false;
  const auto uid = geteuid();
  const bool may_set_time = uid == 0 || there->manifest.top().uid == uid;
  const bool are_equal = std::equal(
      manifest_.entries().begin(), manifest_.entries().end(), there->manifest.entries().begin(),
      there->manifest.entries().end(), [&](const Entry& wanted, const Entry& found) {
        auto expected = comparable(wanted, ownership_);
        expected.mode = mode_of(wanted);
        auto actual = comparable(found, ownership_);
        // A link has no mode of its own.
        if (wanted.kind == EntryKind::link) actual.mode = expected.mode;
        if (is_top_folder(wanted) && may_set_time) actual.mtime = expected.mtime;
        return expected == actual;
      });
  // No piece has the bytes of a hole, so no digest covers them.
  return are_equal && std::all_of(manifest_.entries().begin(), manifest_.entries().end(),
                                  [&](const Entry& entry) {
                                    return entry.holes.empty() ||
                                           has_zeros_in_holes(location, entry, stop);
                                  });
}

bool Assembly::is_equal(PieceNumber piece, const Digest& digest, const OldCopy& old,
                        const std::stop_token& stop) const {
  work_.begin(LocalWork::Phase::comparing);
  return old.has(piece, digest, stop, work_.compared());
}

OnlyHere Assembly::find_only_here(const std::stop_token& stop) const {
  work_.begin(LocalWork::Phase::publishing);
  if (manifest_.top().kind != EntryKind::folder) return {};
  return only_here(repo_ / name_, manifest_, stop);
}

}  // namespace libsync
