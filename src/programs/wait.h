#pragma once

// `sync-master wait`: waits for the end of a run.
//
// Waiting decides, by one Pulse after the other; it sees neither Redis nor the clock nor the
// terminal. wait_for_run() carries out.

#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libsync/clock.h"
#include "libsync/core/exit_status.h"
#include "libsync/core/time.h"
#include "libsync/observer.h"

namespace libsync {

/// The wait is over.
struct WaitEnd {
  ExitStatus status;
  std::string line;                            ///< The outcome, for a person.
  std::optional<LastEnd> last = std::nullopt;  ///< The end of the run, or the refusal.
  /// The run that was seen has ended, and then a task was refused: the outcome of this run counts.
  std::string hidden_run{};
};

/// The outcome of a run or task, for a person.
[[nodiscard]] std::string line_of(const LastEnd& last, const std::vector<std::string>& hook_failed);

/// The wait goes on.
struct WaitGoesOn {
  std::string line;      ///< The progress, for a person.
  std::string standing;  ///< The part of it that a log should show at once when it changes.
};

using WaitStep = std::variant<WaitEnd, WaitGoesOn>;

/// The wait for the run of one path, or for the run in progress.
///
/// A path in `task` is pending until a run of it has begun and ended. With neither, the path's last
/// end counts if it is younger than a minute: a small run may be over before anybody can wait. An
/// end counts only if the master does not try again. Redis may lose the run for some steps.
class Waiting {
 public:
  /// Without a path, the first pulse names the run.
  explicit Waiting(std::optional<std::string> path) : path_(std::move(path)) {}

  [[nodiscard]] WaitStep step(const Pulse& pulse);

 private:
  [[nodiscard]] WaitStep begin(const Pulse& pulse);
  [[nodiscard]] WaitStep lost(const Pulse& pulse);
  [[nodiscard]] bool has_ended(const Pulse& pulse) const;
  [[nodiscard]] bool is_end_hidden(const Pulse& pulse) const;

  std::optional<std::string> path_;
  bool has_begun_ = false;
  std::string run_;                    // The id of the run that was seen last; empty if none.
  std::uint64_t ended_before_ms_ = 0;  // The last end when the wait began.
  unsigned lost_steps_ = 0;            // Steps in a row without the path in any run or task.
};

/// How the progress is shown.
enum class Screen {
  repaints,  ///< One line of a terminal.
  appends,   ///< A line for each change, and one every 15 s.
};

/// repaints on a terminal that can; TERM=dumb cannot.
[[nodiscard]] Screen screen_of_standard_output();

/// Whether the master of this host is about to write the account of a run that has ended.
using IsAccountDue = std::function<bool(const std::string& run)>;

/// Waits for at most `limit`; nothing: without limit. Prints the progress to standard output. An
/// outage of Redis ends the wait by Failure if Redis is not back after a minute.
///
/// `report` may follow at once: when the run has ended, the wait goes on for its account, for a few
/// seconds at most.
[[nodiscard]] ExitStatus wait_for_run(Observer& observer, Clock& clock, Waiting waiting,
                                      std::optional<Duration> limit, Screen screen,
                                      const IsAccountDue& is_account_due);

}  // namespace libsync
