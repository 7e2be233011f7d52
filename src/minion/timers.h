#pragma once

// Everything that a puller waits for by time, in one table.
//
// A timer that is not set never comes. A timer whose moment has passed stays due until it is set
// again, but wakes nobody: the caller acts on all that is due before it waits. (After quinn-proto's
// timer.rs.)

#include <algorithm>
#include <array>
#include <cstddef>

#include "libsync/core/time.h"

namespace libsync {

enum class Timer : std::size_t {
  ask,       ///< For a claim, unless a wake-up comes first.
  back_off,  ///< For a claim after a failure, wake-up or not.
  report,    ///< What this host has, by claims: only while there is news.
  renewal,   ///< Of the leases.
  digests,   ///< Of candidates, and files that a master delivers.
  doubt,     ///< The master has to be asked again for what it did not deliver.
  check,     ///< Of the run, before publishing and finishing.
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
