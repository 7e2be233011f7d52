#pragma once

// The master: one tick of its loop.
//
// A tick reads `task`, chooses the next move (plan.h) and makes it. It repeats this five times a
// second until its time is up. To distribute a task the master lists the payload, begins the run,
// stages it (staging.h), and ends it when all expected hosts have finished.
//
// Between ticks no process of the master runs. The minions need none until the run must end. When a
// tick dies at any point, the next one finds the run in the spool and in Redis, and resumes it.
//
// Only master.cpp and master_run.cpp log for the master, in the phrases of the Python pair.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "libsync/clock.h"
#include "libsync/core/config.h"
#include "libsync/core/exit_status.h"
#include "libsync/core/linger.h"
#include "libsync/core/run_record.h"
#include "libsync/master_coordinator.h"
#include "libsync/transfer.h"
#include "master/account_keeper.h"
#include "master/guard.h"
#include "master/new_run.h"
#include "master/plan.h"
#include "master/records.h"
#include "master/staging.h"
#include "os/stop_signal.h"
#include "store/spool.h"
#include "store/state_folder.h"
#include "store/sweeper.h"
#include "store/tick_lock.h"

namespace libsync {

/// One tick. It belongs to one thread. The caller holds the role's TickLock while it lives.
class Master {
 public:
  /// `self` is the address under which this host's rsync daemon is reached. All references must
  /// outlive the Master.
  Master(MasterCoordinator& coordinator, Transfer& transfer, Clock& clock, const StopSignal& stop,
         const StateFolder& state, MasterConfig config, const Address& self);

  /// Runs one tick. Throws the Failure that ended it early, for the caller to log; the status of
  /// the Failure is then that of the tick.
  [[nodiscard]] ExitStatus tick();

 private:
  /// Whether to choose the next move at once, or to wait first.
  enum class Next { again, wait };

  [[nodiscard]] Next visit();
  void discover();
  [[nodiscard]] bool count_task(const Move& move);
  void warn_of_type(const std::string& type);
  void check_spools(Watch& watch, const std::optional<RunRecord>& own) const;
  void note_waiting(const NoteWaiting& waiting);

  // The moves.
  [[nodiscard]] Next make(const Move& move);
  void distribute(const TaskPath& task);
  void resume(const RunRecord& owner);
  void end(const EndRun& ending);
  void refuse(const std::string& task, const std::string& reason);
  void reverify(const RunRecord& owner);

  // The parts of the moves.
  [[nodiscard]] bool begin(const RunInfo& run, RunRecord owner, TaskKey task);
  void stage_and_log(const RunInfo& run, std::optional<Original> original);
  void give_up_changed(const RunInfo& run, const OriginalChanged& changed);
  void start_over(const RunRecord& owner, const std::string& why);
  [[nodiscard]] bool has_repaired(const std::optional<RunRecord>& own);
  [[nodiscard]] EndOutcome end_run(const RunId& run, const std::string& outcome,
                                   const std::string& reason, TaskAfter task);
  void keep_account();
  [[nodiscard]] bool is_to_end(const Watch& watch, const RunInfo& run);
  [[nodiscard]] std::optional<StagingEnd> stage(const RunInfo& run,
                                                std::optional<Original> original);
  [[nodiscard]] EndingTerms ending_terms() const;
  static void log_end(const EndRun& ending, const Ended& ended);
  void log_awaited(const RunStanding& run);

  void at_entry(std::string_view work, std::size_t entries);
  void show_work(const std::string& work);

  void wait(Instant until, std::vector<int> descriptors = {});
  void warn_once(const std::string& line, std::string& last);

  // When people hear of what lasts long.
  struct Shown {
    Instant awaited_due;  // The next line names the hosts that the run waits for.
    Instant work_due;     // The next line says how far a listing is.
    bool is_work_shown = false;
  };

  // The last warning of each kind.
  struct Warned {
    std::string foreign;  // In this tick.
    std::string type;     // While `task` held no text.
  };

  MasterCoordinator& coordinator_;
  Transfer& transfer_;
  Clock& clock_;
  const StopSignal& stop_;
  const StateFolder& state_;
  MasterConfig config_;
  RunTerms terms_;
  MasterRecords records_;
  RunGuard guard_;
  AccountKeeper keeper_;
  Linger linger_;
  ExitStatus status_ = ExitStatus::done;
  Warned warned_;
  Shown shown_;
  int changed_attempts_ = 0;
  bool has_discovered_ = false;
  bool has_task_ = false;
  bool has_checked_spools_ = false;
  std::optional<std::string> counted_task_;  // By discover(), until the master acts on it.
  Sweeper sweeper_;
};

}  // namespace libsync
