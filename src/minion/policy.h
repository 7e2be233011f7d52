#pragma once

// The way in which a host pulls: by claims, or along trees.
//
// Both policies get the same events and give the same kinds of acts. The puller chooses one of them
// in one place. Pure.

#include <optional>

#include "libsync/minion_coordinator.h"
#include "minion/act.h"
#include "minion/ledger.h"
#include "minion/piece_table.h"

namespace libsync {

/// The state of a host at a moment.
struct Situation {
  const PieceTable& pieces;
  const Ledger& ledger;
  Instant now;
  unsigned offered = 0;    ///< Upload slots that the host offers now.
  bool is_served = false;  ///< Its own rsync daemon serves its spool.
  bool has_news = false;   ///< Its holdings or its offer have changed since the last report.
  Instant reported_at;     ///< The last report.
  Clearance clearance = Clearance::none;
  const View& view;
  bool has_spare_room = true;  ///< DiskState::has_spare_room.
};

class PullPolicy {
 public:
  virtual ~PullPolicy() = default;

  /// A pull to start or to end now, without a call of Redis.
  [[nodiscard]] virtual std::optional<Act> pull(const Situation& situation) = 0;

  /// The pull of the last StartPull runs.
  virtual void started(TransferId id, Instant now) = 0;
  /// rsync has delivered another piece of a pull.
  virtual void arrived(TransferId id, Instant now) = 0;
  /// A pull of this policy is over.
  virtual void over(const OverPull& pull, const Situation& situation) = 0;

  /// A report of the holdings, if one is due.
  [[nodiscard]] virtual std::optional<Act> report(const Situation& situation) = 0;

  /// Pieces that come without a claim.
  [[nodiscard]] virtual PieceSet carried(const Situation& situation) const = 0;

  /// Parallel pulls by claims when the configuration names no number; also uploads to offer.
  [[nodiscard]] virtual unsigned slots() const = 0;

  /// Whether reports show Redis that the host lives. Then it renews only while it holds claims.
  [[nodiscard]] virtual bool reports_regularly() const = 0;

  /// When pull() or report() may give another act although nothing has happened.
  [[nodiscard]] virtual Instant due(const Situation& situation) const = 0;
};

}  // namespace libsync
