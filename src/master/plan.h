#pragma once

// The plan: the master's policy, as one pure function from what it sees to its next move.
//
// No clock, no Redis and no disk here. next_move() parses `task`, so every move carries a checked
// path. It remembers nothing, so no step relies on an earlier tick. The master's spool holds the
// truth about a run. Redis makes it fast, and may lose all its data. The cases:
//
//   no `task`, a run               the operator cancels
//   neither, our run not ended     Redis lost its data: begin the same run again
//   another `task`, a run          the task waits, --grace at the longest
//   a task waited, now none        `task` is the path of the run in progress again
//   a run that our spool lacks     another master's; or ours, and we lost the spool: start over
//   the same, our spool is later   Redis fell back to an earlier moment: end its run, resume ours
//   our spool prepared, no run     a tick died before it began the run: ignore the spool

#include <optional>
#include <string>
#include <variant>

#include "libsync/core/run_record.h"
#include "libsync/core/task.h"
#include "libsync/core/time.h"
#include "libsync/master_coordinator.h"

namespace libsync {

/// The terms under which a run may end without all expected hosts: each one that is set must hold.
/// With neither quorum nor deadline the run waits for all.
struct EndingTerms {
  std::optional<unsigned> quorum_percent;
  std::optional<Duration> deadline;  ///< Since the run began.
  /// A waiting task ends the run in progress after this.
  Duration grace = std::chrono::minutes(15);
};

/// Do nothing now.
struct Idle {};

/// Distribute `task`. No run is in progress.
struct Distribute {
  TaskPath task;
};

/// Remove a task that cannot be distributed.
struct Refuse {
  std::string task;  ///< As the operator set it.
  std::string reason;
};

/// Resume the run in our spool: begin it again in Redis if it is not there, and stage the rest.
struct Resume {
  RunRecord owner;
};

/// End the run in progress.
struct EndRun {
  RunId run;
  TaskPath task;
  Standing standing;  ///< ended or ended_short.
  /// complete, quorum, deadline, overtaken, cancelled, spool-lost, abandoned, superseded.
  std::string outcome;
  std::optional<RunRecord> owner;  ///< The record of its spool, if that is ours.
};

/// Note that another task waits, or, without `task`, that none waits any more.
struct NoteWaiting {
  RunId run;
  std::optional<TaskPath> task;
};

/// Only warn: the run in progress belongs to a master on another host, or with another repo.
struct Foreign {
  RunId run;
  TaskPath task;
};

/// Another version of sync-fanout began the run of this master. It can end and cannot be resumed.
struct OtherFormat {
  RunId run;
  TaskPath task;
};

/// Hash the origin's spool again, or push it again: hosts got wrong bytes or none from it.
struct Reverify {
  RunRecord owner;
};

using Move = std::variant<Idle, Distribute, Refuse, Resume, EndRun, NoteWaiting, Foreign,
                          OtherFormat, Reverify>;

/// The next move. `own` is the record of this master's spool that belongs to the run in progress,
/// or else of one whose run has not ended.
[[nodiscard]] Move next_move(const Watch& watch, const std::optional<RunRecord>& own,
                             const EndingTerms& terms, const MasterId& self);

}  // namespace libsync
