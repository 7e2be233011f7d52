#pragma once

// Keeps the account of each run that has ended in a file of this host.
//
// Redis keeps the account of the last run until the next one ends. So a tick that dies between the
// end of a run and its file leaves the file to the next tick. Hosts that learn late of the end give
// their accounts after it: the next tick adds them, too.

#include <optional>
#include <string>

#include "libsync/master_coordinator.h"
#include "master/run_files.h"
#include "store/state_folder.h"

namespace libsync {

/// The keeper of one tick. `coordinator` must outlive it.
class AccountKeeper {
 public:
  AccountKeeper(MasterCoordinator& coordinator, const StateFolder& state)
      : coordinator_(coordinator), files_(state.path().parent_path()) {}

  /// A run has ended.
  void run_ended() { is_due_ = true; }

  /// Writes the account of the run that ended last, once a tick and after each end of a run.
  /// Returns the reason if it cannot be written; no tick fails by that. While Redis is out of
  /// reach, the next call tries again.
  [[nodiscard]] std::optional<std::string> keep();

 private:
  MasterCoordinator& coordinator_;
  RunFiles files_;
  bool is_due_ = true;
};

}  // namespace libsync
