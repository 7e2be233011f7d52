#pragma once

// The time for which a tick stays.
//
// `--linger 115s` under a `*/2` cron line keeps a tick alive until just before the next one. With 0
// a tick is one pass.
//
// A tick that works beyond its end finishes the work. Then it stays until the next boundary, which
// is a whole number of lingers after its start.

#include "libsync/core/time.h"

namespace libsync {

class Linger {
 public:
  Linger(Instant start, Duration length) : length_(length), end_(start + length) {}

  [[nodiscard]] Instant end() const { return end_; }
  [[nodiscard]] bool is_over(Instant now) const { return now >= end_; }

  /// The tick calls this after work. Moves an end that has passed to the next boundary.
  void work_ended(Instant now) {
    while (length_ > Duration::zero() && end_ <= now) end_ += length_;
  }

 private:
  Duration length_;
  Instant end_;
};

}  // namespace libsync
