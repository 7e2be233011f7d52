#pragma once

// What may be here without a pull: candidates, and files that a master delivers.
//
// A candidate waits for its digest, and a delivered file for the master. The host asks for digests
// and has the files checked, soon at first and then more and more seldom. What a master does not
// deliver, or delivers wrong, it doubts, so that the master delivers it again. Pure.

#include <optional>
#include <string>

#include "minion/act.h"
#include "minion/delivery.h"
#include "minion/piece_table.h"
#include "minion/timers.h"

namespace libsync {

class Candidates {
 public:
  /// `pieces` and `timers` must outlive the Candidates.
  Candidates(const PieceTable& pieces, Delivery delivery, Timers& timers, Instant now);

  /// Everything that this host needs is here, and what others need of it.
  [[nodiscard]] bool is_delivered() const;

  /// AskDigests, CheckCandidates, or nothing for now.
  [[nodiscard]] std::optional<Act> seek(Instant now);
  /// Redis has answered AskDigests.
  void asked(Instant now) { pause(now); }

  /// `undelivered`: as the disk says.
  [[nodiscard]] std::optional<Act> doubt(const std::string& undelivered, Instant now) const;
  /// The master will hear of it.
  void doubted(Instant now);

 private:
  void pause(Instant now);

  const PieceTable& pieces_;
  Delivery delivery_;
  Timers& timers_;
  Duration pause_;
};

}  // namespace libsync
