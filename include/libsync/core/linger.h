#pragma once

// How long a tick stays.
//
// `--linger 115s` under a `*/2` cron line keeps a tick alive until just before the next one. A tick
// that is busy when its time is up goes on until it is done, and then stays to the next boundary: a
// whole number of lingers after its start. With 0 it is one pass.

#include "libsync/core/time.h"

namespace libsync {

class Linger {
 public:
  Linger(Instant start, Duration length) : length_(length), end_(start + length) {}

  [[nodiscard]] Instant end() const { return end_; }
  [[nodiscard]] bool is_over(Instant now) const { return now >= end_; }

  /// Work that began in time has ended now.
  void work_ended(Instant now) {
    while (length_ > Duration::zero() && end_ <= now) end_ += length_;
  }

 private:
  Duration length_;
  Instant end_;
};

}  // namespace libsync
