#pragma once

// Time and waiting, behind one seam.
//
// Everything that is measured or waited for uses the monotonic clock: no wall clock of any host
// takes part in a decision (leases are judged by Redis TIME). The wall clock is read for what
// people read: the age of a lock. Tests replace the clock by one that they move themselves.

#include <chrono>
#include <span>

namespace libsync {

using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::milliseconds;

class Clock {
 public:
  virtual ~Clock() = default;

  [[nodiscard]] virtual Instant now() const = 0;

  [[nodiscard]] virtual std::chrono::system_clock::time_point wall() const = 0;

  /// Returns when one of the file descriptors can be read (or is at its end), or at `until`,
  /// whichever is first. Descriptors stay the caller's.
  virtual void wait(Instant until, std::span<const int> descriptors) = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const override;
  [[nodiscard]] std::chrono::system_clock::time_point wall() const override;
  void wait(Instant until, std::span<const int> descriptors) override;
};

}  // namespace libsync
