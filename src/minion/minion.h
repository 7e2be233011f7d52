#pragma once

// The minion: one tick of it on one host.
//
// A tick joins the run in progress, if there is one and this host has not finished it, and
// downloads it (minion_download.h); then it waits for the next one until its time is up. It deletes
// a spool on evidence only: Redis names another run, in progress or ended last, that had not begun
// before the spool's. What it has published it goes on serving without any process: the rsync
// daemon does. Where peers got wrong bytes from it, and its spool has indeed gone bad, what it has
// published is proven again and put right, whatever has been written there since.
//
// It logs what it does in the words of the Python pair.
//
// The caller holds the lock of the role (TickLock) as long as a Minion lives.
// Death at any point: the next tick finds what is on the disk, hashes it, and goes on.

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
#include "store/tick_lock.h"

namespace libsync {

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
    early,   ///< There has been no master yet: nobody could wake this host.
    idle,    ///< Nothing to do for this host.
    worked,  ///< Discovery again at once.
  };

  [[nodiscard]] Visit visit();
  void download(const RunInfo& run, const std::optional<Seat>& seat);
  [[nodiscard]] std::optional<DownloadEnd> follow(Download& download);
  void published(const RunInfo& run, const Published& published);
  /// Why the command failed; nothing if it did not, or was not owed.
  [[nodiscard]] std::optional<std::string> run_owed_hook();
  [[nodiscard]] bool clears_suspicion(const RunInfo& run);
  void sweep(const RunInfo& run) const;
  void sweep_ended(const RunId& ended, std::uint64_t begun_ms);
  void wait_for_wake(Instant until);
  void wait(Instant until, std::vector<int> descriptors = {});
  void tell_once(const std::string& line);

  MinionCoordinator& coordinator_;
  Transfer& transfer_;
  AfterPublish& after_publish_;
  Clock& clock_;
  const StopSignal& stop_;
  const StateFolder& state_;
  MinionConfig config_;
  Address self_;
  Linger linger_;
  Arrival arrival_ = Arrival::first_of_tick;
  ExitStatus status_ = ExitStatus::done;
  std::optional<ExitStatus> failing_;  // Since the last visit.
  std::optional<RunId> swept_;         // The ended run whose spools have been deleted.
  std::string told_;
  std::string deafness_told_;  // Why wake-ups cannot be listened for.
};

}  // namespace libsync
