#include "os/system_clock.h"

#include <poll.h>

#include <algorithm>
#include <vector>

namespace libsync {

Instant SystemClock::now() const { return std::chrono::steady_clock::now(); }

std::chrono::system_clock::time_point SystemClock::wall() const {
  return std::chrono::system_clock::now();
}

void SystemClock::wait(Instant until, std::span<const int> descriptors) {
  std::vector<pollfd> polled;
  polled.reserve(descriptors.size());
  for (const int descriptor : descriptors) polled.push_back({descriptor, POLLIN, 0});
  const auto left = std::max(Instant::duration::zero(), until - now());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  const timespec timeout{seconds.count(), std::chrono::nanoseconds(left - seconds).count()};
  // An interrupted wait counts as a short one, because every caller checks its state afterwards.
  ppoll(polled.data(), polled.size(), &timeout, nullptr);
}

}  // namespace libsync
