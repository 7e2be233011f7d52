#pragma once

// The options of ./tests/simulate, as values.

#include <cstdint>
#include <optional>
#include <string>

#include "libsync/core/slots.h"
#include "libsync/master_coordinator.h"
#include "libsync/minion_coordinator.h"
#include "libsync/observer.h"
#include "redis/coordinator.h"
#include "trace.h"

namespace libsync::simulation {

/// A share of the hosts, and a number that says how or when.
struct Part {
  double percent = 0;
  double value = 0;
};

/// A few hosts with one fault. The origin is never among them.
struct Fault {
  std::size_t hosts = 0;
  double at = 0;     ///< When it begins, in F/B.
  double lasts = 0;  ///< In F/B.
};

/// A few hosts whose links out are slower than all others.
struct SlowUplinks {
  std::size_t hosts = 0;
  double factor = 1;  ///< Divides the rate.
};

struct Scenario {
  std::size_t hosts = 195;
  double bytes = 1.747e9;
  double rate = 125e6;                       ///< Bytes a second, each way, each host.
  double start_cost = 0.030;                 ///< Seconds from an rsync's start to its first byte.
  double end_cost = 0.025;                   ///< Seconds from its last file to its exit.
  double latency = 0.0001;                   ///< Seconds to Redis, one way.
  double staging_rate = 800e6;               ///< Bytes a second that the origin cuts and hashes.
  double hash_rate = 0;                      ///< Bytes a second that a receiver hashes; 0: free.
  std::optional<std::uint64_t> piece_bytes;  ///< Nothing: auto.
  std::optional<unsigned> slots;             ///< Nothing: default_slots.
  Spread spread = Spread::automatic;
  std::uint64_t seed = 1;
  Part slow;  ///< The value divides the rate of the links, both ways.
  Part die;   ///< The value is the time in F/B. Processes end, and connections are reset.
  Part late;  ///< The value is the time in F/B at which they join.
  SlowUplinks uplink;
  /// Their processes stop, and go on later. Connections stay open. Without hosts: the origin.
  Fault freeze;
  Fault unplug;             ///< Their links carry nothing any more. Connections stay open.
  double faults_until = 0;  ///< Faults by the seed (faults.h) until this time in F/B; 0: none.
  std::string functions{functions_source()};  ///< The text that Redis loads.
  Trace::Shown trace = Trace::Shown::no;      ///< Used with faults alone.

  /// F/B: the seconds in which one link carries the payload once.
  [[nodiscard]] double file_time() const { return bytes / rate; }
};

}  // namespace libsync::simulation
