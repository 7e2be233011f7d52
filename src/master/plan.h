#pragma once

// What the master does next: the policy of the whole program, as one function of what it sees.
//
// No clock, no Redis, no disk here. `task` is parsed here; every move carries it checked. Every
// tick asks again from nothing, so no step relies on an earlier tick having run: the truth about a
// run is the master's spool, Redis makes it fast and may lose everything. What that means:
//
//   `task` gone, run there       the operator cancels
//   both gone, our run not ended Redis lost its data: begin the same run again
//   another `task`, run there    it waits, --grace at the longest
//   a waiting task is no more    `task` is the path of the run in progress again
//   run there, not in our spool  another master's; or ours, and the spool is gone: begin anew
//   the same, ours is later      Redis fell back to an earlier moment: end that run, resume ours
//   spool prepared, no run       a tick died before it began the run: as if there were none

#include <optional>
#include <string>
#include <variant>

#include "libsync/core/run_record.h"
#include "libsync/core/task.h"
#include "libsync/core/time.h"
#include "libsync/master_coordinator.h"

namespace libsync {

/// When a run may end without everybody. Each condition that is given must hold; with neither it
/// waits for everybody. `grace` is how long a waiting task lets the run in progress go on.
struct EndingTerms {
  std::optional<unsigned> quorum_percent;
  std::optional<Duration> deadline;
  Duration grace = std::chrono::minutes(15);
};

/// Nothing to do now.
struct Idle {};

/// Distribute `task`; nothing is in progress.
struct Distribute {
  TaskPath task;
};

/// Remove a task that is none.
struct Refuse {
  std::string task;  ///< As the operator set it.
  std::string reason;
};

/// Go on with the run in our spool: stage what is not staged, or begin it again in Redis.
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
  std::optional<RunRecord> owner;  ///< Of its spool, if that is ours.
};

/// Another task waits than was noted, or, with nothing here, none any more.
struct NoteWaiting {
  RunId run;
  std::optional<TaskPath> task;
};

/// The run in progress belongs to a master on another host, or to another repo.
struct Foreign {
  RunId run;
  TaskPath task;
};

/// Another version of sync-fanout began the run of this master. It can end and cannot be resumed.
struct OtherFormat {
  RunId run;
  TaskPath task;
};

/// Hosts got wrong bytes from the origin, or none: hash, or push, its spool again.
struct Reverify {
  RunRecord owner;
};

using Move = std::variant<Idle, Distribute, Refuse, Resume, EndRun, NoteWaiting, Foreign,
                          OtherFormat, Reverify>;

/// `own`: the spool of this master whose run has not ended, or whose run is the one in progress.
[[nodiscard]] Move next_move(const Watch& watch, const std::optional<RunRecord>& own,
                             const EndingTerms& terms, const MasterId& self);

}  // namespace libsync
