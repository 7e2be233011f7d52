#include "minion/candidates.h"

#include <algorithm>
#include <utility>

namespace libsync {
namespace {

// First pause between two questions. A small payload is staged in a moment.
constexpr Duration kFirstPause{20};
constexpr Duration kLongestPause{1'000};
// The master needs a while to hash or push again what is missing.
constexpr Duration kDoubtEvery{5'000};

}  // namespace

Candidates::Candidates(const PieceTable& pieces, Delivery delivery, Timers& timers, Instant now)
    : pieces_(pieces), delivery_(delivery), timers_(timers), pause_(kFirstPause) {
  timers_.set(Timer::digests, now);
  timers_.set(Timer::doubt, now);
}

// All other hosts need the pieces that the master pushes here. So every piece must come, and not
// only those that this host lacks.
bool Candidates::is_delivered() const {
  return delivery_ == Delivery::pushed ? pieces_.servable().is_complete()
                                       : pieces_.in_place().is_complete();
}

std::optional<Act> Candidates::seek(Instant now) {
  const bool is_set = timers_.is_set(Timer::digests);
  if (is_set && !timers_.is_due(Timer::digests, now)) return std::nullopt;
  if (auto pieces = pieces_.without_digest(); !pieces.empty()) return AskDigests{std::move(pieces)};
  if (delivery_ != Delivery::pulled && !is_delivered()) {
    pause(now);
    return CheckCandidates{};
  }
  // No timer is needed before a wake-up or another candidate.
  timers_.clear(Timer::digests);
  if (!is_set) return std::nullopt;
  return CheckCandidates{};
}

void Candidates::pause(Instant now) {
  timers_.set(Timer::digests, now + pause_);
  pause_ = std::min(pause_ * 2, kLongestPause);
}

std::optional<Act> Candidates::doubt(const std::string& undelivered, Instant now) const {
  if (undelivered.empty() || !timers_.is_due(Timer::doubt, now)) return std::nullopt;
  return Doubt{undelivered};
}

void Candidates::doubted(Instant now) { timers_.set(Timer::doubt, now + kDoubtEvery); }

}  // namespace libsync
