#pragma once

// The time for which a tick stays.
//
// `--linger 115s` under a `*/2` cron line keeps a tick alive until just before the next one. With 0
// a tick is one pass.
//
// A tick that works beyond its end finishes the work. Cron's ticks of that time find the lock taken
// and go away. The tick therefore stays until just before the next one of cron.

#include <chrono>

#include "libsync/core/time.h"

namespace libsync {

class Linger {
 public:
  /// The time between the end of a tick and the start of the next one: 5 s of the two minutes of
  /// cron. The host notices no task in it.
  static constexpr Duration kUntilNextTick = std::chrono::seconds(5);

  Linger(Instant start, Duration length) : length_(length), end_(start + length) {}

  [[nodiscard]] Instant end() const { return end_; }
  [[nodiscard]] bool is_over(Instant now) const { return now >= end_; }

  /// The tick calls this after work. Moves an end that has passed to that of the tick that would be
  /// there now.
  void work_ended(Instant now) {
    while (length_ > Duration::zero() && end_ <= now) end_ += length_ + kUntilNextTick;
  }

 private:
  Duration length_;
  Instant end_;
};

}  // namespace libsync
