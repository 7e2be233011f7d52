#pragma once

// Pieces that may be here without a pull: candidates, and files that a master delivers.
//
// A candidate needs its digest, and a delivered file needs the master. The host asks for digests
// and checks the files, soon at first and then less and less often. It doubts a file that the
// master does not deliver or delivers wrong, so that the master delivers it again. Pure.

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

  /// Every piece that this host needs is here, and every piece that others need from it.
  [[nodiscard]] bool is_delivered() const;

  /// AskDigests, CheckCandidates, or nothing for now.
  [[nodiscard]] std::optional<Act> seek(Instant now);
  /// Redis has answered AskDigests.
  void asked(Instant now) { pause(now); }

  /// `undelivered`: DiskState::undelivered.
  [[nodiscard]] std::optional<Act> doubt(const std::string& undelivered, Instant now) const;
  /// Redis has noted the doubt, and the master reads it.
  void doubted(Instant now);

 private:
  void pause(Instant now);

  const PieceTable& pieces_;
  Delivery delivery_;
  Timers& timers_;
  Duration pause_;
};

}  // namespace libsync
