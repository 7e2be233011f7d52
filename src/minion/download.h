#pragma once

// One run on one host, from joining it to having published: who is asked for what, and when.
//
// A Download claims pieces, or in a large run gets them along trees (streams.h), has them pulled by
// the Transfer and proven and assembled by a Placement, reports what the host can serve, and
// publishes when everything is in place and the run is staged.
//
// It is stepped: step() takes in what has happened, does what is due, and never waits. The owner
// waits for any of its descriptors until next_due(), and steps again.
//
// Redis out of reach: step() throws Failure (redis) with the Download's state intact; what is being
// pulled goes on, and the owner steps again a little later. Any other Failure ends the download.
//
// Death at any point: see spool.h and assembly.h for the disk, coordinator.h for the claims.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "feed/probe.h"
#include "libsync/after_publish.h"
#include "libsync/clock.h"
#include "libsync/core/grain.h"
#include "libsync/core/ownership.h"
#include "libsync/minion_coordinator.h"
#include "libsync/transfer.h"
#include "minion/ledger.h"
#include "minion/placement.h"
#include "minion/pull_plan.h"
#include "minion/streams.h"
#include "os/random.h"
#include "store/spool.h"
#include "store/state_folder.h"

namespace libsync {

struct DownloadOptions {
  Address self;
  std::filesystem::path repo;
  std::optional<unsigned> slots;  ///< Nothing: default_slots.
  Ownership ownership = Ownership::own;
  Hook hook = Hook::none;
};

struct Published {
  std::map<Address, PieceNumber> fed_by;
  std::uint64_t wire_bytes = 0;
  Duration took{};
  std::size_t sources = 0;   ///< Free ones, and
  std::size_t finished = 0;  ///< hosts that had published, then.
};

/// The run is over, cancelled, or another one has begun.
struct RunOver {};

using DownloadEnd = std::variant<Published, RunOver>;

class Download {
 public:
  /// All references must outlive the Download.
  Download(MinionCoordinator& coordinator, Transfer& transfer, Clock& clock,
           DownloadOptions options, const StateFolder& state, const RunInfo& run,
           const std::optional<Seat>& place);

  [[nodiscard]] std::optional<DownloadEnd> step();

  void append_descriptors(std::vector<int>& descriptors) const;
  [[nodiscard]] Instant next_due() const;

  /// Whether rsync is at work for it.
  [[nodiscard]] bool is_pulling() const { return ledger_.is_any_running(); }

  /// Ends the transfers and gives back what is claimed, with a reason for status (empty: none).
  void give_up(const std::string& reason);

 private:
  void take(const TransferEvent& event);
  void take(const FileArrived& file);
  void take(const Judgement& judgement);
  void take(const ClaimOutcome& outcome, Instant asked);
  void take(const View& view);

  void complete_pulls();
  void stream();
  void take(const CompletedPull& over);
  void follow(Clearance clearance);
  void seek_digests();
  void report();
  void renew();
  void claim();
  void advance();

  void offer_if_served();
  [[nodiscard]] Claim without_what_is_here(Claim claim) const;
  void start_pull(const Claim& claim, Instant asked);
  TransferId start_pull(const Claim& claim, Promise promise);
  void log_search();
  void log_start(const Address& source);
  void tell_failed(PullEnd end, const std::string& detail);
  void back_off(PullEnd end, const std::string& detail);
  [[nodiscard]] static std::uint64_t room_for(const Spool& spool);
  void check_space();
  void log_progress();

  [[nodiscard]] Holdings holdings() const;
  /// Whether it pulls along the trees of the run, and claims only what does not come that way.
  [[nodiscard]] bool is_in_trees() const;
  [[nodiscard]] Instant follow_due() const;
  /// What to ask for next, while `held` claims are in hand; nothing if nothing.
  [[nodiscard]] std::optional<Want> want(std::size_t held, const PieceSet& in_flight) const;
  [[nodiscard]] unsigned slots() const;
  [[nodiscard]] unsigned slots_to_offer() const;
  /// The shared state knows now what is here, and that so many slots are offered.
  void note_told(unsigned offered);
  /// Whether the coordinator does not know yet what this host can serve.
  [[nodiscard]] bool has_news() const;
  [[nodiscard]] bool is_delivered() const;

  MinionCoordinator& coordinator_;
  Transfer& transfer_;
  Clock& clock_;
  DownloadOptions options_;
  const StateFolder& state_;
  RunInfo run_;
  Spool spool_;
  Delivery feed_;
  std::uint64_t room_;  // Bytes free, with what an earlier attempt has left: before that goes.
  Placement placement_;
  PullLedger ledger_;
  Pace pace_;
  Streams streams_;
  std::vector<ParentFeedback> parent_reports_;
  bool is_called_ = false;  // By a wake-up: its place in the trees may be another.
  Probe probe_;
  bool is_served_ = false;  // By this host's own daemon.
  std::string fault_told_;

  bool is_gone_ = false;
  bool has_receipt_ = false;
  bool is_space_checked_ = false;
  bool is_finished_ = false;

  Token next_token_ =
      random_name<Token>();  // Kept until it has been granted, so a call can be repeated.
  Instant claim_again_;      // Not before, unless woken, and
  Instant claim_in_peace_;   // not before, even if woken: the last pull failed.
  std::size_t failures_in_a_row_ = 0;

  std::string reported_;  // The bitmap and the slots that the coordinator knows, since when.
  unsigned reported_slots_ = 0;
  Instant reported_at_;
  std::optional<Instant> report_due_;
  bool is_suspect_ = false;
  Instant renewal_due_;
  Instant digests_due_;  // Of what may be here already.
  Duration digests_pause_{20};
  std::chrono::seconds patience_{1};  // With which it listens, as the last answer had it.
  Instant doubt_due_;                 // Not before.
  Instant check_due_;                 // Of the run, before publishing and finishing.

  Instant started_;
  Instant progress_due_;
  bool has_searched_ = false;
  bool has_started_ = false;
  std::map<Address, PieceNumber> fed_by_;
  std::uint64_t wire_bytes_ = 0;
  View view_;
};

}  // namespace libsync
