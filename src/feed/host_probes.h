#pragma once

// Whether the rsync daemons of other hosts serve: reads a small file from each.
//
// The file is the probe that a minion leaves in its state folder. A host that has none serves, too,
// if its daemon says so.

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "libsync/clock.h"
#include "libsync/core/address.h"
#include "libsync/transfer.h"

namespace libsync {

class StopSignal;

/// Guards: a host that serves answers in less than 0.1 s. None of them is tuned.
struct ProbeLimits {
  static constexpr std::size_t at_once = 32;
  static constexpr std::chrono::seconds each{3};
  static constexpr std::chrono::seconds all{60};
};

/// A host that serves nobody.
struct HostFault {
  Address host;
  std::string reason;  ///< With the way out, escaped.
};

struct HostProbes {
  std::size_t served = 0;
  std::vector<HostFault> faults;
  std::size_t not_tried = 0;  ///< Hosts for which ProbeLimits::all left no time.
};

/// Probes the hosts in their order, into folders below `into`. A signal of `stop` (if given) ends
/// the probes. Throws Failure (local, no_source) as Transfer::start() does.
[[nodiscard]] HostProbes probe_hosts(Transfer& transfer, Clock& clock,
                                     const std::vector<Address>& hosts,
                                     const std::filesystem::path& into,
                                     const StopSignal* stop = nullptr);

}  // namespace libsync
