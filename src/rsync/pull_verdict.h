#pragma once

// The meaning of rsync's end, from its status and its words. Pure: any thread may call it.

#include <set>
#include <string>

#include "libsync/core/address.h"
#include "libsync/core/pull_end.h"
#include "libsync/transfer.h"
#include "os/process.h"

namespace libsync {

/// The meaning of rsync's end, and its words for a person.
struct PullVerdict {
  PullEnd end;
  std::string detail;
  /// `end` is local because of words or a status that say so of this host's disk. A peer can send
  /// any words, so they count only if this host cannot write there indeed.
  bool is_about_disk = false;
  /// The daemon refuses --ignore-missing-args, so pulls from it must do without.
  bool refuses_to_ignore = false;
};

/// The meaning of rsync's end. `errors` is its standard error under LC_ALL=C. A complaint that a
/// file of `arrived` is missing counts for nothing. `absent` is that of the request.
[[nodiscard]] PullVerdict judge(const Address& peer, const ChildEnd& end, const std::string& errors,
                                const std::set<std::string>& arrived = {},
                                Absent absent = Absent::is_fault);

}  // namespace libsync
