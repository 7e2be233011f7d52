#include "minion/offer.h"

#include <utility>

namespace libsync {

Offer::Offer(const PieceTable& pieces, Delivery delivery)
    : pieces_(pieces),
      delivery_(delivery),
      reported_{PieceSet(pieces.size()).bitmap(), 0, Instant()} {}

// If the master cuts into this very spool, the master offers it.
bool Offer::begin_probe() {
  if (delivery_ == Delivery::shared || is_served() || is_probing_) return false;
  is_probing_ = true;
  return true;
}

void Offer::probed(bool is_served) {
  is_probing_ = false;
  served_ = is_served ? Served::yes : Served::no;
}

void Offer::reported(std::string servable, unsigned slots, Instant at) {
  reported_ = {std::move(servable), slots, at};
}

bool Offer::has_news(unsigned slots) const {
  return pieces_.servable().bitmap() != reported_.servable || slots != reported_.slots;
}

void Offer::note(Suspicion suspicion) {
  if (suspicion == Suspicion::verify && suspect_ == Suspect::no) suspect_ = Suspect::yes;
}

Clearance Offer::clearance(bool is_reverifying) const {
  const bool is_cleared = suspect_ == Suspect::reverifying && !is_reverifying;
  return is_cleared ? Clearance::cleared : Clearance::none;
}

void Offer::cleared(Clearance clearance) {
  if (clearance == Clearance::cleared) suspect_ = Suspect::no;
}

}  // namespace libsync
