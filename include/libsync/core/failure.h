#pragma once

// The one exception of the library: the outside world is broken. (The programs have UsageError
// beside it, for a wrong command line.)
//
// A result on which a caller branches is a value (`std::variant`, `std::optional`). A Failure is
// for the rest: the tick logs it and ends, or repeats its work as a whole.
//
// A tick that lingers or still works survives a Failure that time may help (Remedy::try_again). A
// master survives those of Redis, a minion all (Minion::tick()). Any other Failure ends the tick in
// run_program(), and its status becomes the exit status. A full disk is a Failure of the status
// `local`: os/descriptor.h throws it.

#include <stdexcept>
#include <string>

#include "libsync/core/exit_status.h"
#include "libsync/core/time.h"

namespace libsync {

/// The help that a Failure needs: time, or a person.
enum class Remedy {
  try_again,      ///< The same call may succeed soon: Redis restarts, a disk gets free space.
  operator_acts,  ///< The call fails until a person acts: wrong password, missing rsync.
};

/// Pause before the next call of Redis after an outage.
inline constexpr Duration kOutagePause{1000};

class Failure : public std::runtime_error {
 public:
  /// `message` is one line for the log: the failed act, its cause and the way out. The caller has
  /// escaped text from outside in it (escaped_text.h).
  Failure(ExitStatus status, Remedy remedy, const std::string& message)
      : std::runtime_error(message), status_(status), remedy_(remedy) {}

  [[nodiscard]] ExitStatus status() const { return status_; }
  [[nodiscard]] Remedy remedy() const { return remedy_; }
  /// Redis is out of reach, and may come back.
  [[nodiscard]] bool is_outage() const {
    return status_ == ExitStatus::redis && remedy_ == Remedy::try_again;
  }

 private:
  ExitStatus status_;
  Remedy remedy_;
};

}  // namespace libsync
