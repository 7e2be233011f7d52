// An Assembly reads the payload that is already published.

#include <unistd.h>

#include <algorithm>

#include "libsync/core/ownership.h"
#include "minion/assembly.h"
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

}  // namespace libsync
