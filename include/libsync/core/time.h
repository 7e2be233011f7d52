#pragma once

// Moments and spans of the monotonic clock.
//
// An Instant can be compared with instants of the same process only. No wall clock of any host
// takes part in a decision: Redis judges leases by its own time.

#include <chrono>

namespace libsync {

using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::milliseconds;

}  // namespace libsync
