#pragma once

// The timers of a puller, in one table.
//
// A timer that is not set never becomes due. One whose moment has passed stays due until it is set
// again. next() passes over it, because the caller acts on all due timers before it waits. (After
// quinn-proto's timer.rs.)

#include <algorithm>
#include <array>
#include <cstddef>

#include "libsync/core/time.h"

namespace libsync {

enum class Timer : std::size_t {
  ask,       ///< Ask for a claim. A wake-up makes it due at once.
  back_off,  ///< No claim before this moment after a failure, wake-up or not.
  report,    ///< Report, as a host without a seat. Set only while there is news.
  renewal,   ///< Renew the leases.
  digests,   ///< Ask for digests of candidates, and look for files that the master delivers.
  doubt,     ///< Doubt files that the master did not deliver.
  check,     ///< Check the run, before publishing and finishing.
};

class Timers {
 public:
  Timers() { moments_.fill(Instant::max()); }

  void set(Timer timer, Instant moment) { moments_[index(timer)] = moment; }
  void clear(Timer timer) { set(timer, Instant::max()); }
  [[nodiscard]] bool is_set(Timer timer) const { return at(timer) != Instant::max(); }
  [[nodiscard]] bool is_due(Timer timer, Instant now) const { return at(timer) <= now; }
  [[nodiscard]] Instant at(Timer timer) const { return moments_[index(timer)]; }

  /// The first moment after `now`; Instant::max() if there is none.
  [[nodiscard]] Instant next(Instant now) const {
    auto first = Instant::max();
    for (const auto moment : moments_) {
      if (moment > now) first = std::min(first, moment);
    }
    return first;
  }

 private:
  static constexpr std::size_t kTimers = static_cast<std::size_t>(Timer::check) + 1;
  static constexpr std::size_t index(Timer timer) { return static_cast<std::size_t>(timer); }

  std::array<Instant, kTimers> moments_{};
};

}  // namespace libsync
