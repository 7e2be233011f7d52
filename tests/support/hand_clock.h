#pragma once

// A clock that a test moves by hand.

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <span>
#include <vector>

#include "libsync/clock.h"

namespace libsync::test {

class HandClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const override { return now_; }

  [[nodiscard]] std::chrono::system_clock::time_point wall() const override {
    return std::chrono::system_clock::time_point(std::chrono::hours(24)) +
           std::chrono::duration_cast<std::chrono::system_clock::duration>(now_.time_since_epoch());
  }

  /// Polls the descriptors for a few milliseconds of real time. The clock does not move meanwhile,
  /// unless let_waits_pass() was called and no descriptor is readable: then it jumps to `until`.
  void wait(Instant until, std::span<const int> descriptors) override {
    std::vector<pollfd> polled;
    for (const int descriptor : descriptors) polled.push_back({descriptor, POLLIN, 0});
    constexpr int kMilliseconds = 5;
    const int ready = poll(polled.data(), polled.size(), kMilliseconds);
    if (ready == 0 && jumps_ && until != Instant::max()) now_ = std::max(now_, until);
  }

  void advance(Duration by) { now_ += by; }

  /// From now on a wait without a readable descriptor moves the clock.
  void let_waits_pass() { jumps_ = true; }

 private:
  Instant now_ = Instant(std::chrono::hours(1));
  bool jumps_ = false;
};

}  // namespace libsync::test
