#pragma once

// How a host takes part in the spreading of a run: by claims, or along trees.
//
// Both policies get the same events and give the same kinds of acts. The puller asks one of them,
// and chooses it in one place. Pure.

#include <optional>

#include "libsync/minion_coordinator.h"
#include "minion/act.h"
#include "minion/ledger.h"
#include "minion/piece_table.h"

namespace libsync {

/// A host at a moment, as its policy sees it.
struct Situation {
  const PieceTable& pieces;
  const Ledger& ledger;
  Instant now;
  unsigned offered = 0;    ///< Upload slots that the host offers now.
  bool is_served = false;  ///< By its own rsync daemon.
  bool has_news = false;   ///< Redis does not know all that the host has, or offers.
  Instant reported_at;     ///< When Redis learned of it last.
  Clearance clearance = Clearance::none;
};

class PullPolicy {
 public:
  virtual ~PullPolicy() = default;

  /// A pull to start or to end now, without asking Redis.
  [[nodiscard]] virtual std::optional<Act> pull(const Situation& situation) = 0;

  /// The pull of the last StartPull has begun.
  virtual void started(TransferId id, Instant now) = 0;
  /// Another piece of a pull is here.
  virtual void arrived(TransferId id, Instant now) = 0;
  /// A pull that this policy started is settled.
  virtual void over(const OverPull& pull, const Situation& situation) = 0;

  /// A report of what the host has, if one is due.
  [[nodiscard]] virtual std::optional<Act> report(const Situation& situation) = 0;

  /// Pieces that come without a claim.
  [[nodiscard]] virtual PieceSet carried(const Situation& situation) const = 0;

  /// Parallel pulls by claims when the configuration names no number; also uploads to offer.
  [[nodiscard]] virtual unsigned slots() const = 0;

  /// Whether reports keep the host known between two renewals, so that it renews for claims only.
  [[nodiscard]] virtual bool reports_regularly() const = 0;

  /// When pull() or report() may have another answer although nothing has happened.
  [[nodiscard]] virtual Instant due(const Situation& situation) const = 0;
};

}  // namespace libsync
