#pragma once

// A clock that a test moves by hand.

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "libsync/clock.h"

namespace libsync::test {

class HandClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const override { return now_ += by_reading_; }

  [[nodiscard]] std::chrono::system_clock::time_point wall() const override {
    return std::chrono::system_clock::time_point(std::chrono::hours(24)) +
           std::chrono::duration_cast<std::chrono::system_clock::duration>(now_.time_since_epoch());
  }

  /// Really polls the descriptors, for a few milliseconds. Time does not pass meanwhile, unless
  /// it is to jump to `until` when nothing comes.
  void wait(Instant until, std::span<const int> descriptors) override {
    ++waits_;
    if (at_wait) at_wait();
    std::vector<pollfd> polled;
    for (const int descriptor : descriptors) polled.push_back({descriptor, POLLIN, 0});
    const int ready = poll(polled.data(), polled.size(), static_cast<int>(real_wait_.count()));
    if (ready == 0 && jumps_ && until != Instant::max()) now_ = std::max(now_, until);
  }

  /// Called at the begin of each wait: what the rest of the fleet does meanwhile. It may throw, as
  /// if the process had been ended there.
  std::function<void()> at_wait;

  /// Waits so far.
  [[nodiscard]] std::size_t waits() const { return waits_; }

  void advance(Duration by) { now_ += by; }

  /// From now on each reading of the clock lasts so long: work without waits.
  void pass_at_each_reading(Duration by) { by_reading_ = by; }

  /// From now on a wait for which nothing comes lasts as long as was asked for. `real_wait`: how
  /// long it polls for what threads and other processes do.
  void let_waits_pass(std::chrono::milliseconds real_wait = std::chrono::milliseconds(5)) {
    jumps_ = true;
    real_wait_ = real_wait;
  }

 private:
  mutable Instant now_ = Instant(std::chrono::hours(1));
  Duration by_reading_{0};
  bool jumps_ = false;
  std::chrono::milliseconds real_wait_{5};
  std::size_t waits_ = 0;
};

}  // namespace libsync::test
