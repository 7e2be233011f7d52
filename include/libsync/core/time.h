#pragma once

// Moments and spans of the monotonic clock.
//
// Instants of different processes cannot be compared. No decision uses the wall clock of a host:
// Redis judges leases by its own time.

#include <chrono>

namespace libsync {

using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::milliseconds;

/// A span as a number for people.
[[nodiscard]] inline double in_seconds(Duration span) {
  return std::chrono::duration<double>(span).count();
}

}  // namespace libsync
