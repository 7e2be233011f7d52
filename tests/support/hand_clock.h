#pragma once

// A clock that the test moves by hand: a minute passes at once. Waiting waits for the descriptors
// as the real one does, but only a moment, and moves no time.

#include <algorithm>
#include <vector>

#include "libsync/clock.h"

namespace libsync::test {

class HandClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const override { return now_; }
  [[nodiscard]] std::chrono::system_clock::time_point wall() const override { return {}; }

  void wait(Instant /*until*/, std::span<const int> descriptors) override {
    constexpr std::chrono::milliseconds kMoment{20};
    SystemClock system;
    system.wait(system.now() + kMoment, descriptors);
  }

  void advance(std::chrono::milliseconds by) { now_ += by; }

 private:
  Instant now_ = SystemClock().now();
};

}  // namespace libsync::test
