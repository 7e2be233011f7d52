#pragma once

// The master: one tick of it.
//
// A tick looks at `task`; takes the next move (master_plan.h) and makes it; and does so again five
// times a second until its time is up. It distributes a task by listing the payload, beginning the
// run, staging it (master_staging.h), and ending it when everybody expected has finished. Between
// ticks nothing of it runs: minions go on without a master, until the run is to be ended.
//
// It logs what it does in the words of the Python pair; nothing else in the library logs for it.
//
// The caller holds the lock of the role (TickLock) as long as a Master lives.
// Death at any point: the next tick finds the run in the spool and in Redis, and goes on.

#include <memory>
#include <optional>
#include <string>

#include "libsync/clock.h"
#include "libsync/core/config.h"
#include "libsync/core/exit_status.h"
#include "libsync/core/linger.h"
#include "libsync/core/run_record.h"
#include "libsync/master_coordinator.h"
#include "libsync/transfer.h"
#include "master/new_run.h"
#include "master/plan.h"
#include "master/records.h"
#include "master/staging.h"
#include "os/stop_signal.h"
#include "store/spool.h"
#include "store/state_folder.h"
#include "store/tick_lock.h"

namespace libsync {

class Master {
 public:
  /// `self` is the address under which this host's rsync daemon is reached. All references must
  /// outlive the Master.
  Master(MasterCoordinator& coordinator, Transfer& transfer, Clock& clock, const StopSignal& stop,
         const StateFolder& state, MasterConfig config, const Address& self);

  /// Runs one tick. Failure: what ended it early, for the caller to log; its status is the tick's.
  [[nodiscard]] ExitStatus tick();

 private:
  enum class Next { again, wait };

  [[nodiscard]] Next visit();
  void look();
  [[nodiscard]] bool count_task(const Move& move);
  void check_spools(Watch& watch, const std::optional<RunRecord>& own) const;
  void note_waiting(const NoteWaiting& waiting);

  // The moves.
  [[nodiscard]] Next make(const Move& move);
  void distribute(const TaskPath& task);
  void resume(const RunRecord& owner);
  void end(const EndRun& ending);
  void refuse(const std::string& task, const std::string& reason);
  void reverify(const RunRecord& owner);

  // Their parts.
  [[nodiscard]] bool begin(const RunInfo& run, RunRecord owner, TaskKey task);
  void stage_and_log(const RunInfo& run, std::optional<Original> source);
  void give_up_changed(const RunInfo& run, const OriginalChanged& changed);
  void begin_anew(const RunRecord& owner, const std::string& why);
  [[nodiscard]] bool is_to_end(const Watch& watch, const RunInfo& run);
  [[nodiscard]] std::optional<StagingEnd> stage(const RunInfo& run, std::optional<Original> source);
  [[nodiscard]] EndingTerms ending_terms() const;

  void wait(Instant until, std::vector<int> descriptors = {});
  void tell_once(const std::string& line, std::string& told);

  MasterCoordinator& coordinator_;
  Transfer& transfer_;
  Clock& clock_;
  const StopSignal& stop_;
  const StateFolder& state_;
  MasterConfig config_;
  RunTerms terms_;
  MasterRecords records_;
  Linger linger_;
  ExitStatus status_ = ExitStatus::done;
  std::string outage_told_;   // Since Redis answered last.
  std::string foreign_told_;  // In this tick.
  int changed_attempts_ = 0;
  bool has_looked_ = false;
  bool has_task_ = false;
  bool has_checked_spools_ = false;
  std::optional<std::string> counted_task_;  // By the last look, until the master acts on it.
};

}  // namespace libsync
