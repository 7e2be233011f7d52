#pragma once

// Time and waiting, behind one seam. Tests move a clock of their own.

#include <chrono>
#include <span>

#include "libsync/core/time.h"

namespace libsync {

class Clock {
 public:
  virtual ~Clock() = default;

  /// The monotonic clock.
  [[nodiscard]] virtual Instant now() const = 0;

  /// The wall clock, only for text that people read: the age of a lock.
  [[nodiscard]] virtual std::chrono::system_clock::time_point wall() const = 0;

  /// Returns when one of the file descriptors is readable or at its end, or at `until`. It may also
  /// return early. The caller keeps the descriptors.
  virtual void wait(Instant until, std::span<const int> descriptors) = 0;
};

}  // namespace libsync
