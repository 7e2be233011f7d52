#pragma once

// Time and waiting, behind one seam. Tests replace the clock by one that they move themselves.

#include <chrono>
#include <span>

#include "libsync/core/time.h"

namespace libsync {

class Clock {
 public:
  virtual ~Clock() = default;

  [[nodiscard]] virtual Instant now() const = 0;

  /// The wall clock, for what people read: the age of a lock.
  [[nodiscard]] virtual std::chrono::system_clock::time_point wall() const = 0;

  /// Returns when one of the file descriptors is readable or at its end, or at `until`, whichever
  /// is first. The caller keeps the descriptors.
  virtual void wait(Instant until, std::span<const int> descriptors) = 0;
};

}  // namespace libsync
