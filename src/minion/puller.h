#pragma once

// The decisions of one download: a state machine without I/O, clock or thread.
//
// A Puller learns what happened by events, and gives acts, one at a time (act.h): ask for a claim,
// start a pull, publish, and more. Its owner carries them out (download.h). The simulation does so
// too, without a disk and without rsync:
//
//   deliver events;
//   while (auto act = puller.next(now)) carry it out, and deliver its answer;
//   wait for an event or until puller.due(now)
//
// Redis: at most one call is under way. Its answer is an event. CallFailed means that the answer is
// lost and the effect unknown. next() then gives an act of the same meaning, with the same token.
//
// The pieces: piece_table.h has their states. The puller moves a piece between wanted, in flight
// and judging. The owner moves it between the other states, as its disk demands.
//
// Two policies: by claims (claims.h) and along trees (trees.h). policy() is the one place that
// chooses. candidates.h seeks pieces that are here without a pull. offer.h decides what to offer.
//
// Pure. Belongs to one thread. If the process dies, its leases lapse, and nothing else is left.

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libsync/run.h"
#include "minion/act.h"
#include "minion/candidates.h"
#include "minion/claims.h"
#include "minion/delivery.h"
#include "minion/disk_state.h"
#include "minion/ledger.h"
#include "minion/offer.h"
#include "minion/piece_table.h"
#include "minion/timers.h"
#include "minion/trees.h"

namespace libsync {

// --- Events, beside those of the transfer and the answers of the coordinator ---

/// The answer to StartPull.
struct PullStarted {
  TransferId id;
};

/// The answer to StartProbe: the reason why the own daemon does not serve this host. Nothing if it
/// does.
struct Probed {
  std::optional<std::string> fault;
};

/// The answer to AskDigests: those of the pieces that the master has announced.
struct Digests {
  std::vector<StagedPiece> pieces;
};

/// The answer to CheckRun: nothing if the run is over.
struct RunChecked {
  std::optional<RunState> state;
};

/// The answer to Doubt.
struct Doubted {};

/// The answer of the last call was lost.
struct CallFailed {};

class Puller {
 public:
  struct Terms {
    Cut cut;
    bool has_trees = false;  ///< RunInfo::has_trees.
    Delivery delivery = Delivery::pulled;
    /// As configured. A host with a number claims every piece, because a seat needs one pull a
    /// tree.
    std::optional<unsigned> slots;
    Claims::MakeToken make_token;
  };

  /// `pieces` must outlive the Puller. `seat`: from the answer to join().
  Puller(PieceTable& pieces, Terms terms, const std::optional<Seat>& seat, Instant now);

  void on(const FileArrived& file, Instant now);
  /// Returns the source if it delivered a good file.
  std::optional<Address> on(const Judgement& judgement);
  void on(const BytesMoved& moved, Instant now);
  void on(const TransferEnded& ended);
  void on(const PullStarted& started, Instant now);
  void on(const Probed& probed);
  void on(DiskState disk) { disk_ = std::move(disk); }
  void on(Listening heard, Instant now);

  void on(const ClaimOutcome& outcome, Instant now);
  void on(const ViewOutcome& outcome, Instant now);
  void on(const SeatOutcome& outcome, Instant now);
  void on(const RenewOutcome& outcome, Instant now);
  void on(const Digests& digests, Instant now);
  void on(const RunChecked& checked, Instant now);
  void on(FinishOutcome outcome, Instant now);
  void on(Doubted doubted, Instant now);
  void on(CallFailed failed);

  /// The next act; nothing until another event, or until due().
  [[nodiscard]] std::optional<Act> next(Instant now);

  /// When next() may have an act although nothing has happened.
  [[nodiscard]] Instant due(Instant now) const;

  /// How long to listen for a wake-up.
  [[nodiscard]] std::chrono::seconds patience() const { return patience_; }

  [[nodiscard]] const View& view() const { return view_; }
  [[nodiscard]] const Ledger& ledger() const { return ledger_; }
  [[nodiscard]] bool is_finished() const { return is_finished_; }

 private:
  /// A call under way, with the state of this host when it went out.
  struct Call {
    Act act;
    std::string servable;  // Bitmap.
    Instant asked;
  };

  // Decisions, in the order in which next() tries them.
  [[nodiscard]] std::optional<Act> pull(Instant now);
  [[nodiscard]] std::optional<Act> complete(Instant now);
  [[nodiscard]] std::optional<Act> reverify(Instant now);
  [[nodiscard]] std::optional<Act> seek(Instant now);
  [[nodiscard]] std::optional<Act> report(Instant now);
  [[nodiscard]] std::optional<Act> renew(Instant now);
  [[nodiscard]] std::optional<Act> ask(Instant now);
  [[nodiscard]] std::optional<Act> advance(Instant now);
  [[nodiscard]] std::optional<Act> conclude(Instant now);

  [[nodiscard]] Act issue(Act act, Instant now);
  [[nodiscard]] Call answered();

  [[nodiscard]] bool is_seated() const;
  [[nodiscard]] const PullPolicy& policy() const;
  [[nodiscard]] PullPolicy& policy();
  [[nodiscard]] Situation situation(Instant now) const;
  [[nodiscard]] std::optional<Want> want(std::size_t held, Instant now) const;
  [[nodiscard]] Manifests manifests_now() const;
  [[nodiscard]] unsigned offered() const;

  void settle_seat_pulls(Instant now);
  void failed(PullEnd end, const std::string& detail, Instant now);
  void note(const View& view);
  void probe();

  PieceTable& pieces_;
  Terms terms_;
  Timers timers_;
  Ledger ledger_;
  Claims claims_;
  Trees trees_;
  Offer offer_;
  Candidates candidates_;
  DiskState disk_;
  View view_;
  std::deque<Act> ready_;  // next() gives these before it decides anything.
  std::optional<Call> call_;
  std::optional<Assignment> starting_;
  std::chrono::seconds patience_{1};
  bool is_over_ = false;
  bool is_finished_ = false;
};

}  // namespace libsync
