#pragma once

// The clock of this machine: the only file that reads the time or waits.

#include "libsync/clock.h"

namespace libsync {

class SystemClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const override;
  [[nodiscard]] std::chrono::system_clock::time_point wall() const override;
  void wait(Instant until, std::span<const int> descriptors) override;
};

}  // namespace libsync
