#include "minion/silence.h"

#include <algorithm>

namespace libsync {
namespace {

// A pull is silent if it moves no byte for this time, or for this multiple of the usual gap between
// two moves. A moment without bytes is common, and a later one costs the host nothing but a slot:
// ./tests/simulate --hosts 8 --unplug 1:0.9
constexpr Duration kLeastSilence{3'000};
constexpr int kSilentGaps = 4;
// Another pull has moved if it did so this long after the silent one did last.
constexpr Duration kMovedAfter{1'000};
// The weight of a new gap in the mean.
constexpr int kGapWeightPercent = 25;

}  // namespace

void Silence::moved(Instant last, Instant now) {
  const auto gap = std::chrono::duration_cast<Duration>(now - last);
  const bool is_first = gap_.count() == 0;
  gap_ = is_first ? gap : gap_ + (gap - gap_) * kGapWeightPercent / 100;
  moved_ = now;
}

Duration Silence::patience() const { return std::max(kLeastSilence, kSilentGaps * gap_); }

bool Silence::is_silent(Instant last, Instant now) const {
  return now >= last + patience() && moved_ > last + kMovedAfter;
}

}  // namespace libsync
