#pragma once

// One run on one host, from joining it to publishing it: carries out what a Puller decides.
//
// A Download owns the piece table, the Puller (which decides), the Placement (the disk) and the
// Probe. It delivers events to the Puller, and carries out its acts by the coordinator, the
// transfer and the placement. It decides nothing but its log lines.
//
// The owner steps it. step() delivers the events, carries out all acts that are due, and waits for
// nothing but the answers of Redis. Then the owner waits for any of the descriptors until
// next_due(), and steps again.
//
// Redis out of reach: step() throws Failure (redis) and keeps the Download's state. The pulls go
// on, and the owner steps again a little later. Any other Failure ends the download.
//
// Death at any point: store/spool.h and assembly.h for the disk, minion_coordinator.h for the
// claims. Belongs to one thread.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "feed/probe.h"
#include "libsync/after_publish.h"
#include "libsync/clock.h"
#include "libsync/core/ownership.h"
#include "libsync/minion_coordinator.h"
#include "libsync/transfer.h"
#include "minion/placement.h"
#include "minion/progress_lines.h"
#include "minion/puller.h"
#include "minion/running_pulls.h"
#include "minion/tally.h"
#include "store/state_folder.h"

namespace libsync {

struct DownloadOptions {
  Address self;
  std::filesystem::path repo;
  std::optional<unsigned> slots;  ///< Nothing: default_slots.
  Ownership ownership = Ownership::own;
  Hook hook = Hook::none;
  BasisRule basis = BasisRule::automatic;
  std::stop_token stop{};  ///< Ends what takes long on the thread of the Download, by Stopped.
};

struct Published {
  std::map<Address, PieceNumber> fed_by;
  std::uint64_t wire_bytes = 0;
  Duration took{};
  std::size_t sources = 0;   ///< Free sources when this host finished.
  std::size_t finished = 0;  ///< Hosts that had finished by then, this one included.
};

/// The run is over, cancelled, or another one has begun.
struct RunOver {};

using DownloadEnd = std::variant<Published, RunOver>;

class Download {
 public:
  /// All references must outlive the Download.
  Download(MinionCoordinator& coordinator, Transfer& transfer, Clock& clock,
           DownloadOptions options, const StateFolder& state, const RunInfo& run,
           const std::optional<Seat>& seat);

  [[nodiscard]] std::optional<DownloadEnd> step();

  void append_descriptors(std::vector<int>& descriptors) const;
  [[nodiscard]] Instant next_due() const;

  /// Whether a pull is running.
  [[nodiscard]] bool is_pulling() const { return puller_.ledger().is_any_running(); }

  /// Ends the transfers and the claims, with a reason that status shows (empty: none).
  void give_up(const std::string& reason);

  /// Gives the account of this host, if Redis accepts it. Throws a Failure if Redis is away.
  void give_account();
  /// The same, and throws nothing: for a host that calls Redis no more.
  void give_last_account();

 private:
  void collect_events();
  void note_probe(const TransferEnded& ended);
  [[nodiscard]] DiskState disk() const;

  // One for each kind of act (act.h).
  void perform(const AskClaim& act);
  void perform(const CompleteClaim& act);
  void perform(const Report& act);
  void perform(const ReportFromSeat& act);
  void perform(const Renew& act);
  void perform(const AskDigests& act);
  void perform(const CheckRun& act);
  void perform(const Finish& act);
  void perform(const Doubt& act);
  void perform(const StartPull& act);
  void perform(const EndPull& act);
  void perform(const JudgePiece& act);
  void perform(const JudgeManifest& act);
  void perform(const CheckCandidates& act);
  void perform(const Reverify& act);
  void perform(const CompleteTree& act);
  void perform(const Publish& act);
  void perform(const StartProbe& act);
  void perform(const Warn& act);
  [[noreturn]] void perform(const GiveUp& act);
  void perform(const Conclude& act);

  [[nodiscard]] Holdings holdings() const;
  void log_search();
  void log_start(const Address& source);
  void show_progress();

  MinionCoordinator& coordinator_;
  Transfer& transfer_;
  Clock& clock_;
  DownloadOptions options_;
  const StateFolder& state_;
  RunInfo run_;
  Spool spool_;
  PieceTable pieces_;
  Placement placement_;
  RunningPulls pulls_;
  Puller puller_;
  Probe probe_;
  std::string fault_;           // Why this host's own daemon does not serve it, as logged last.
  std::string reported_fault_;  // The same, as Redis knows it.
  std::optional<DownloadEnd> end_;

  // For the log and the account only.
  Tally tally_;
  ProgressLines progress_;
  bool has_searched_ = false;
  bool has_started_ = false;
};

}  // namespace libsync
