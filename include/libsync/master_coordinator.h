#pragma once

// The verbs with which the master changes and reads the shared state.
//
// The model of the shared state, its clock, and what a death in the middle leaves behind:
// minion_coordinator.h. Failure (redis) means that the state could not be asked, or that this
// version does not understand the answer. The effect of the call is then unknown, and every verb is
// safe to repeat with the same arguments. A MasterCoordinator belongs to one thread.

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libsync/core/run_account.h"
#include "libsync/core/spread.h"
#include "libsync/run.h"

namespace libsync {

/// The state of the keys that people use, for one tick of the master.
struct Discovery {
  std::optional<std::string> task;  ///< Unchecked, without one trailing slash.
  bool has_slash = false;           ///< The operator set it with a trailing slash.
  std::size_t finished = 0;         ///< Size of finished_queue.
};

/// Whether a host that joins the run without being named counts.
enum class Unnamed { counts, does_not_count };

/// The hosts that must finish: `count` hosts, or the named ones, or, with neither, those seen in
/// the last ten minutes. Unnamed hosts that join count as long as they are not silent.
struct Expected {
  std::size_t count = 0;
  std::vector<std::string> hosts;
  Unnamed unnamed = Unnamed::counts;  ///< does_not_count: the run waits for `hosts` alone.
};

enum class TaskKey {
  leave,    ///< `task` is as the operator set it.
  restore,  ///< `task` was lost with the rest of the data: write it again.
};

struct Begun {
  std::vector<std::string> expected;  ///< By name, as frozen now.
};

/// The run to begin is the one in progress already.
struct AlreadyBegun {};

/// Another run is in progress, or the same one from another origin or with another manifest.
struct Busy {
  RunId run;
  TaskPath task;
};

using BeginOutcome = std::variant<Begun, AlreadyBegun, Busy>;

struct Done {};

using StageOutcome = std::variant<Done, Stale>;

/// How the run in progress stands, for the master.
struct RunStanding {
  RunId id;
  RunState state = RunState::staging;
  TaskPath task;
  MasterId master;
  std::size_t finished = 0;
  std::size_t expected = 0;
  std::size_t newcomers = 0;  ///< Hosts that joined, and that admit() has to make expected ones.
  std::size_t known_at_begin = 0;                 ///< Hosts that were expected then.
  std::chrono::milliseconds age{};                ///< Since the run began.
  std::chrono::milliseconds since_last_joined{};  ///< Since begin, or since the last new host.
  /// Since another task was first seen to wait; nothing if none waits.
  std::optional<std::chrono::milliseconds> overtaken_for;
  std::optional<TaskPath> waiting;  ///< The waiting task that was seen last.
  bool origin_is_suspect = false;   ///< Its spool has to be reverified, or pushed again.
  RunFormat format = RunFormat::ours;
};

struct Watch {
  std::optional<std::string> task;  ///< Unchecked, without one trailing slash. May be empty.
  /// The type of what the key `task` holds, if that is no text. Then `task` is the path of the run
  /// in progress, which goes on.
  std::string wrong_type;
  std::optional<RunStanding> run;
};

enum class TaskAfter { stays, goes };

struct Ended {
  std::vector<std::string> missing;  ///< Expected, and not finished.
  std::vector<std::string> silent;   ///< As in Awaited.
  std::size_t finished = 0;
  std::size_t expected = 0;
  std::uint64_t bytes = 0;                 ///< Length of the stream.
  std::chrono::milliseconds took{};        ///< Since the run began.
  std::vector<std::string> hook_failed{};  ///< Those whose --after-publish has failed so far.
};

/// The hosts that the run in progress waits for.
struct Awaited {
  std::size_t finished = 0;
  std::size_t expected = 0;
  std::vector<std::string> missing;  ///< As far as their names are known.
  /// Hosts that Redis knows, and that were silent when the run began and since.
  std::vector<std::string> silent;
};

using EndOutcome = std::variant<Ended, Stale>;

/// The shared state says of the run again what the master's spool says.
struct Repaired {
  RunId run;                      ///< The id of the run now.
  std::vector<std::string> keys;  ///< The keys of the shared state that differed.
};

using RepairOutcome = std::variant<Repaired, Stale>;

class MasterCoordinator {
 public:
  virtual ~MasterCoordinator() = default;

  /// Puts the functions in place if they are missing or of another version.
  virtual void load_functions() = 0;

  /// Reads `task`. If there is one, `lookup` goes up by one.
  [[nodiscard]] virtual Discovery discover() = 0;

  /// Begins `run`, unless another one is in progress. Wakes the minions that linger.
  [[nodiscard]] virtual BeginOutcome begin(const RunInfo& run, unsigned origin_slots,
                                           const Expected& expected, TaskKey task,
                                           Spread spread) = 0;

  /// Announces pieces. `final_state` staged: these were the last, and the payload has not changed.
  [[nodiscard]] virtual StageOutcome stage(const RunId& run, const std::vector<StagedPiece>& pieces,
                                           RunState final_state) = 0;

  /// Changes nothing; cheap enough for five times a second.
  [[nodiscard]] virtual Watch watch() = 0;

  /// Replaces what the run expects. A run that expects this already stays as it is.
  [[nodiscard]] virtual StageOutcome expect(const RunId& run, const Expected& expected) = 0;

  /// The hosts that a run waits for, for people. Nothing if no run is in progress.
  [[nodiscard]] virtual std::optional<Awaited> awaited() = 0;

  /// Judges which hosts the run expects: those that have joined it from now on by name, and silent
  /// ones no more. Hosts that have joined count before that, so a run does not end without them.
  /// Only the master writes what a run expects.
  [[nodiscard]] virtual StageOutcome admit(const RunId& run) = 0;

  /// Compares the run with what the master's spool says of it, and corrects what differs. The state
  /// of `run` is staged if all its digests are on record. `another` becomes the id of the run if a
  /// host may have used wrong values of the payload: then no host counts as finished. Must be
  /// cheap.
  [[nodiscard]] virtual RepairOutcome repair(const RunInfo& run, const RunId& another,
                                             const std::vector<StagedPiece>& recorded,
                                             const Expected& expected) = 0;

  /// `task` waits for the run to end; nothing: none waits any more. The grace counts from the
  /// moment when the first of the tasks that waited one after the other was seen.
  virtual void overtake(const RunId& run, const std::optional<TaskPath>& task) = 0;

  /// The origin's spool has been reverified, or pushed again: every announced piece is good.
  [[nodiscard]] virtual StageOutcome vouch(const RunId& run) = 0;

  /// Ends the run: all its keys go in one step. `task` goes only if it is still the run's.
  [[nodiscard]] virtual EndOutcome end(const RunId& run, const std::string& outcome,
                                       const std::string& reason, TaskAfter task) = 0;

  /// The account of the run that ended last. Nothing if none has, or if a task was refused since.
  [[nodiscard]] virtual std::optional<RunAccount> last_account() = 0;

  /// The master works at its own disk while nothing is announced, in a run or before it. status and
  /// wait show the text for 30 s (empty: it works no more), and nothing else depends on it.
  virtual void show_work(const std::string& text) = 0;

  /// Removes a task that cannot be distributed. False if the operator has set another meanwhile.
  [[nodiscard]] virtual bool refuse(const std::string& task, const std::string& reason) = 0;
};

}  // namespace libsync
