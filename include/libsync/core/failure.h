#pragma once

// The one exception of the library: the outside world is broken. (The mains have UsageError beside
// it, for a command line that is wrong.)
//
// The rule: what a caller branches on is a value (`std::variant`, `std::optional`); what can only
// be logged and ends the tick, or is tried again as a whole, is a Failure. A tick outlives one that
// time may help (Remedy::try_again): the master's an outage of Redis, the minion's any. All others
// end it in run_program(), where the status becomes the exit status.

#include <stdexcept>
#include <string>

#include "libsync/core/exit_status.h"

namespace libsync {

/// What helps: time, or a person.
enum class Remedy {
  try_again,      ///< The same call may work in a moment: Redis restarts, a disk has been freed.
  operator_acts,  ///< It fails until somebody changes something: wrong password, missing rsync.
};

class Failure : public std::runtime_error {
 public:
  /// `message` is one line for the log: what failed, why, and the way out. Text from outside in it
  /// is escaped already (see log.h).
  Failure(ExitStatus status, Remedy remedy, const std::string& message)
      : std::runtime_error(message), status_(status), remedy_(remedy) {}

  [[nodiscard]] ExitStatus status() const { return status_; }
  [[nodiscard]] Remedy remedy() const { return remedy_; }

 private:
  ExitStatus status_;
  Remedy remedy_;
};

}  // namespace libsync
