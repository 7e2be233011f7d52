#pragma once

// Moments and spans of the monotonic clock.
//
// Instants of different processes cannot be compared. No decision uses the wall clock of a host:
// Redis judges leases by its own time.

#include <chrono>

namespace libsync {

using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::milliseconds;

}  // namespace libsync
