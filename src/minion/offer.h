#pragma once

// The offer of a host to others, as far as Redis knows it.
//
// A host offers nothing before its own rsync daemon has served it a file.
//
// A host that others got wrong bytes from is suspect. It asks for the digests of all that it
// serves, reverifies its spool, and reports that it is cleared. Pure.

#include <string>

#include "libsync/minion_coordinator.h"
#include "minion/delivery.h"
#include "minion/piece_table.h"

namespace libsync {

class Offer {
 public:
  /// `pieces` must outlive the Offer.
  Offer(const PieceTable& pieces, Delivery delivery);

  // --- The host's own daemon ---

  /// Whether a probe has to start now. If so, it counts as running from now on.
  [[nodiscard]] bool begin_probe();
  void probed(bool is_served);
  [[nodiscard]] bool is_probing() const { return is_probing_; }
  [[nodiscard]] bool is_served() const { return served_ == Served::yes; }
  /// The last probe has failed.
  [[nodiscard]] bool is_unserved() const { return served_ == Served::no; }

  // --- The knowledge of Redis ---

  /// The host got a seat when it joined, which counts as a report.
  void joined(Instant now) { reported_.at = now; }
  /// Redis knows this bitmap and these upload slots, as of `at`.
  void reported(std::string servable, unsigned slots, Instant at);
  [[nodiscard]] bool has_news(unsigned slots) const;
  [[nodiscard]] unsigned reported_slots() const { return reported_.slots; }
  [[nodiscard]] Instant reported_at() const { return reported_.at; }

  // --- Suspicion ---

  void note(Suspicion suspicion);
  /// The host is suspect, and has not asked for the digests of all that it serves.
  [[nodiscard]] bool needs_digests() const { return suspect_ == Suspect::yes; }
  /// The host knows all digests, and reverifies its spool from now on.
  void begin_reverifying() { suspect_ = Suspect::reverifying; }
  /// Redis lacks a digest: the run is over, or Redis has lost it. The next view decides.
  void put_off() { suspect_ = Suspect::no; }
  /// `is_reverifying`: the state of the disk (disk_state.h).
  [[nodiscard]] Clearance clearance(bool is_reverifying) const;
  /// Redis has this clearance.
  void cleared(Clearance clearance);

 private:
  struct Reported {
    std::string servable;  // As a bitmap.
    unsigned slots = 0;
    Instant at;
  };
  enum class Served { unknown, no, yes };
  enum class Suspect { no, yes, reverifying };

  const PieceTable& pieces_;
  Delivery delivery_;
  Reported reported_;
  Served served_ = Served::unknown;
  Suspect suspect_ = Suspect::no;
  bool is_probing_ = false;
};

}  // namespace libsync
