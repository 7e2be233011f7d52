#pragma once

// The parts of a payload that are not carried: ACLs, file capabilities and other extended
// attributes. The listing counts hard links (payload.h).

#include <cstddef>
#include <stop_token>
#include <string>

#include "libsync/core/manifest.h"
#include "store/payload.h"

namespace libsync {

struct Uncarried {
  std::size_t acls = 0;          ///< Files and folders that have one.
  std::size_t capabilities = 0;  ///< The same.
  std::size_t others = 0;        ///< Those with other attributes, but for the labels of SELinux.
  std::string first{};           ///< The name of the first of all these entries, not escaped.
};

/// One system call for each entry. Entries that cannot be read, and file
/// systems without attributes, count for nothing. Ends early if `stop` was requested.
[[nodiscard]] Uncarried uncarried_of(const Location& payload, const Manifest& manifest,
                                     const std::stop_token& stop = {},
                                     const OnEntry& on_entry = {});

}  // namespace libsync
