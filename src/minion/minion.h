#pragma once

// One tick of the minion on one host.
//
// A tick joins the run in progress, unless this host has finished it, and downloads it
// (download.h). Then it waits for the next run until its time is up.
//
// It joins with an id that its state folder keeps. Redis knows by it two hosts that one address
// names, a host with another address, and a state folder that is a copy.
//
// It deletes a spool only if Redis names a different run, current or last, that began no earlier
// than the spool's. The spool of an ended run whose payload is not published here stays, for the
// same task again. Another run deletes it, or a week. A finished host goes on serving its spool
// without any process of ours, because the rsync daemon does.
//
// A host that others got wrong bytes from hashes its spool. If a piece has gone bad, the host
// downloads the run again, which compares every published byte with its digest.
//
// It deletes in the background, and stays until that is done, or until it has to stop. A new run
// does not wait for it, unless the disk has no room.
//
// A replaced version of a payload stays for readers that use it still (keeping.h), and at least
// until the command has ended. Any later tick deletes it once its time is over.
//
// The log lines are those of the Python pair.
//
// The caller holds the lock of the role (TickLock) as long as a Minion lives.
// Death at any point: the next tick finds what is on the disk, hashes it, and goes on.

#include <functional>
#include <optional>
#include <string>

#include "libsync/after_publish.h"
#include "libsync/clock.h"
#include "libsync/core/config.h"
#include "libsync/core/exit_status.h"
#include "libsync/core/linger.h"
#include "libsync/minion_coordinator.h"
#include "libsync/transfer.h"
#include "minion/download.h"
#include "os/stop_signal.h"
#include "store/spool.h"
#include "store/state_folder.h"
#include "store/sweeper.h"
#include "store/tick_lock.h"

namespace libsync {

/// A failed --after-publish.
struct HookFault {
  RunId run;  ///< The run that published the payload.
  std::string reason;
};

/// Redis has said which runs are over: those that began by `over_until_ms`, except `going_on`.
struct RunEvidence {
  std::optional<RunId> going_on;
  std::uint64_t over_until_ms = 0;
};

class Minion {
 public:
  /// `self` is the address under which peers reach this host. All references must outlive the
  /// Minion.
  Minion(MinionCoordinator& coordinator, Transfer& transfer, AfterPublish& after_publish,
         Clock& clock, const StopSignal& stop, const StateFolder& state, MinionConfig config,
         Address self);

  /// Runs one tick. Failure: what ended it early, for the caller to log; its status is the tick's.
  [[nodiscard]] ExitStatus tick();

 private:
  enum class Visit {
    early,   ///< There has been no master yet, and so nobody wakes this host.
    idle,    ///< This host has nothing to do.
    worked,  ///< The next visit is due at once.
  };

  [[nodiscard]] Visit visit();
  /// Joins with the id of this host, or with a new one if another live host has it, too. Throws
  /// Failure (usage) if another live host has this address.
  [[nodiscard]] JoinOutcome join(SeatWish seat);
  [[noreturn]] void refuse(const OtherVersion& other);
  void download(const RunInfo& run, const std::optional<Seat>& seat);
  /// Nothing if the minion has to stop, or the run is over.
  [[nodiscard]] std::optional<Published> pull(const RunInfo& run, const std::optional<Seat>& seat);
  /// Nothing if the minion has to stop.
  [[nodiscard]] std::optional<DownloadEnd> run_to_end(Download& download);
  void published(const RunInfo& run, const Published& published);
  /// Runs the command if it is owed. Keeps the reason of its failure for report_hook_fault().
  void run_owed_hook();
  /// Shows the command as the work of this host in a run that has begun meanwhile; empty: it works
  /// no more.
  void show_hook(const std::string& text);
  void report_hook_fault();
  /// Hashes the spool of a finished run, piece by piece, and reports it as cleared. False if the
  /// payload that was published from it may be as bad, or if other hosts need what is missing.
  [[nodiscard]] bool clears_suspicion(const RunInfo& run);
  void sweep(const RunInfo& run, const std::optional<Spool>& kept);
  [[nodiscard]] std::optional<Spool> former_spool(const RunInfo& run) const;
  void sweep_ended(const RunId& ended, std::uint64_t begun_ms);
  /// Whether the spool of a run that is over serves nothing: its payload is published here, or the
  /// spool is a week old.
  [[nodiscard]] bool is_spent(const Spool& spool, const RunRecord& owner) const;
  /// Leaves the spools of runs that are over, and those that nothing can need any more.
  void sweep_if(const std::function<bool(const Spool&, const RunRecord&)>& is_over);
  /// Discards the replaced versions whose time is over, and those of runs that are.
  void sweep_replaced();
  void delete_discarded();
  [[nodiscard]] bool wait_for_sweeper();
  void wait_for_wake(Instant until);
  void wait(Instant until, std::vector<int> descriptors = {});

  MinionCoordinator& coordinator_;
  Transfer& transfer_;
  AfterPublish& after_publish_;
  Clock& clock_;
  const StopSignal& stop_;
  const StateFolder& state_;
  MinionConfig config_;
  Address self_;
  std::optional<HostId> id_;  // None before the first visit.
  Linger linger_;
  Arrival arrival_ = Arrival::first_of_tick;
  ExitStatus status_ = ExitStatus::done;
  std::optional<ExitStatus> failing_;  // The failure of the last visit.
  std::optional<RunId> swept_;         // The ended run whose spools have been deleted.
  RunEvidence evidence_;
  std::optional<HookFault> hook_fault_;  // Not reported yet.
  bool are_strays_named_ = false;
  Sweeper sweeper_;
};

}  // namespace libsync
