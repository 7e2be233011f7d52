#pragma once

// The clock of this machine. system_clock.cpp is the only file that reads the time or waits.

#include "libsync/clock.h"

namespace libsync {

/// Clock by the monotonic clock of the kernel and ppoll(2). Any thread may use it.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const override;
  [[nodiscard]] std::chrono::system_clock::time_point wall() const override;
  void wait(Instant until, std::span<const int> descriptors) override;
};

}  // namespace libsync
