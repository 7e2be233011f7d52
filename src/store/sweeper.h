#pragma once

// Deletes in the background what a role has discarded (spool.h).
//
// A large folder needs minutes, and neither the next run nor the stop signal waits for it. The
// destructor stops the deletion between two files, and the next tick goes on with it.

#include <set>
#include <string>
#include <vector>

#include "libsync/clock.h"
#include "libsync/core/run_record.h"
#include "os/stop_signal.h"
#include "os/workers.h"
#include "store/state_folder.h"

namespace libsync {

/// The Sweeper of one role in one state folder. Belongs to one thread; the caller holds the role's
/// TickLock.
class Sweeper {
 public:
  /// `state` must outlive the Sweeper.
  Sweeper(const StateFolder& state, Role role) : state_(state), role_(role) {}

  /// Begins to delete all that the role has discarded by now. Returns a reason for each thing that
  /// could not be deleted since the last call. It costs its space, but fails no run; the next tick
  /// tries again.
  [[nodiscard]] std::vector<std::string> sweep();

  /// Does the same, and waits until all is deleted or a signal of `stop` arrives. The next sweep()
  /// returns the reasons.
  void finish(Clock& clock, const StopSignal& stop);

  /// Whether a deletion was running at the last sweep().
  [[nodiscard]] bool is_working() const { return workers_.pending() > 0; }

  /// Readable when sweep() has news.
  [[nodiscard]] int descriptor() const { return workers_.descriptor(); }

 private:
  void begin();

  const StateFolder& state_;
  Role role_;
  std::set<std::string> begun_;  // Their names.
  std::vector<std::string> reasons_;
  Workers workers_{1};  // The last member, because its thread ends first.
};

}  // namespace libsync
