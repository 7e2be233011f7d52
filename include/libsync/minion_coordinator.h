#pragma once

// The verbs with which a minion changes and reads the shared state, and its wake-ups.
//
// Processes agree on nothing but the shared state. It knows which host has which pieces, which host
// pulls which pieces from which source and until when, and which host has published. It moves no
// bytes (transfer.h) and keeps nothing on a host's disk.
//
// The model: a run distributes one payload. A source holds at least one piece and has a free upload
// slot. A claim is the right to pull named pieces from one source. It has a lease, and a token that
// the caller chose.
//
// In a large run hosts also have seats in trees. They pull from their parents there without a
// claim, and claim only the pieces that do not come that way.
//
// Invariants:
//
// - A source has no more claims than it offers slots.
// - A claim names no piece that its host listed as unwanted.
// - A finished host stays finished until it leaves.
//
// Time: only the clock of Redis judges leases, quarantines and the age of hosts. So the clocks of
// hosts may disagree.
//
// Death: each verb that changes a run happens whole or not at all. The claims of a dead host lapse
// LeaseTerms::lifetime after their last renewal; nothing else needs clearing up. A host that dies
// between publishing and finish() finds what it published in its next tick, and finishes then.
//
// Errors: what the caller branches on is in the outcome. Failure (redis) means that the state could
// not be asked, or that this version does not understand the answer. The effect of the call is then
// unknown, and every verb is safe to repeat with the same arguments. A MinionCoordinator belongs to
// one thread.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libsync/core/host_id.h"
#include "libsync/core/pull_end.h"
#include "libsync/core/run_account.h"
#include "libsync/core/time.h"
#include "libsync/run.h"

namespace libsync {

/// One renewal may be lost, and the next be late, before a live host loses its claim. The lifetime
/// is a constant of the functions: redis/functions/context.lua.
struct LeaseTerms {
  static constexpr std::chrono::seconds lifetime{45};
  static constexpr std::chrono::seconds renewal{15};
};

/// No run is in progress.
struct NoRun {
  /// The last run that ended, and when it had begun: evidence for deleting its spool and older
  /// ones. A run that began later may still go on, since Redis can have lost it.
  std::optional<RunId> ended;
  std::uint64_t ended_begun_ms = 0;
};

/// No functions have been loaded yet: there has been no master. As good as no run.
struct NoLibrary {};

/// The position of a host in the trees, and all that it needs to pull along them.
struct Seat {
  Duration poll_short{};  ///< Poll interval while a parent or a digest is missing.
  Duration poll_long{};   ///< Poll interval otherwise.
  std::vector<std::optional<Address>> parents;  ///< One for each tree; nothing: not known yet.
  std::vector<StagedPiece> digests;             ///< Announced, and not known to the host so far.
};

/// Whether a host pulls along the trees of a run that has some.
enum class SeatWish { none, wanted };

struct Joined {
  RunInfo run;
  bool is_finished = false;
  Suspicion suspicion = Suspicion::none;
  std::optional<Seat> seat;  ///< If wanted, the host has not finished, and the run has trees.
};

/// Another version of sync-fanout began the run in progress. The host counts as joined, and may
/// have a seat, until it leaves.
struct OtherVersion {
  RunId run;
  TaskPath task;
};

/// Another live host has this address. The call changed nothing.
struct AddressInUse {
  std::chrono::milliseconds seen_ago{};
};

/// Another live host has this id: the state folder of one of the two is a copy. The call changed
/// nothing.
struct IdInUse {
  std::string where;  ///< The address of that host, escaped.
};

using JoinOutcome = std::variant<NoRun, NoLibrary, OtherVersion, AddressInUse, IdInUse, Joined>;

enum class Arrival {
  first_of_tick,  ///< Every claim that an earlier tick of this address still holds is given back.
  again,
};

struct Claim {
  Token token;
  Address source;
  std::vector<StagedPiece> pieces;  ///< Empty: for the manifest alone.
};

struct Claimed {
  Claim claim;
  View view;
};

/// No source has a free slot and something that the host lacks. Redis wakes the host; it asks again
/// after `patience` in case the wake-up was lost. Patience grows with the number of waiting hosts.
struct Wait {
  View view;
  std::chrono::seconds patience{1};
};

/// A claim on a source that is no address inside `--peers`. Complete it as refused.
struct Unusable {
  Token token;
  std::string source;  ///< Escaped.
};

using ClaimOutcome = std::variant<Claimed, Wait, Unusable, Stale>;
using ViewOutcome = std::variant<View, Stale>;

/// The holdings of a host. Its own report is the truth about them.
struct Holdings {
  const PieceSet& servable;  ///< Verified piece files in its spool.
  PieceNumber in_place = 0;  ///< Pieces that it needs no more.
};

enum class Clearance {
  none,
  cleared,  ///< The host has reverified its spool, which ends suspicion.
};

/// A request for a claim.
struct Want {
  Token token;
  PieceNumber most_pieces = 1;  ///< 0: the manifest alone.
  PieceSet unwanted;            ///< In place, being pulled, or not known yet.
  /// The host pulls the wanted piece from this source already, which is slow: any other source.
  std::optional<Address> beside;
};

/// The experience of a host with a parent.
struct ParentFeedback {
  enum class Kind {
    failing,  ///< A pull has ended as `end` says.
    slow,     ///< The parent needs several times as long for a piece as others.
    good,     ///< The parent had failed, and works again.
  };
  Address parent;
  Kind kind;
  PullEnd end = PullEnd::good;
  std::string detail;
};

struct Seated {
  View view;
  Seat seat;
};

using SeatOutcome = std::variant<Seated, Stale>;

struct Renewed {
  View view;
};

using RenewOutcome = std::variant<Renewed, Stale>;

enum class FinishOutcome {
  finished,
  early,  ///< The run is not staged.
  other,  ///< The run announces another manifest.
  stale,
};

enum class Retreat {
  claims_only,  ///< The host goes on serving what it has.
  altogether,   ///< The host has nothing to serve and has not finished.
};

enum class Listening {
  on,      ///< Or not begun.
  woken,   ///< By a wake-up.
  lapsed,  ///< By itself, or since the connection broke.
};

/// A fault of a host: its daemon serves nobody, or its --after-publish failed.
enum class Fault { feed, hook };

class MinionCoordinator {
 public:
  virtual ~MinionCoordinator() = default;

  /// `id`: that of the host's state folder. A known id at another address replaces the former
  /// address, and another id at a known address the former id. Neither replaces a live host:
  /// ids.lua has the rules.
  ///
  /// `stays`: how long the host waits for a run if none is in progress. A lingering host gets its
  /// seat when the run begins.
  [[nodiscard]] virtual JoinOutcome join(const Address& host, const HostId& id, Arrival arrival,
                                         SeatWish seat, Duration stays) = 0;

  /// The digests of those of `pieces` that have been announced.
  [[nodiscard]] virtual std::vector<StagedPiece> digests(
      const RunId& run, const std::vector<PieceNumber>& pieces) = 0;

  /// Tells what the host has and how many upload slots it offers.
  [[nodiscard]] virtual ViewOutcome report(const RunId& run, const Address& host,
                                           const Holdings& holdings, unsigned slots,
                                           Clearance clearance) = 0;

  /// The same from a host with a seat. The answer holds its seat as it is now, and the announced
  /// digests that are not in `known`. Feedback about a host that is no parent counts for nothing.
  [[nodiscard]] virtual SeatOutcome report_from_seat(
      const RunId& run, const Address& host, const Holdings& holdings, unsigned slots,
      Clearance clearance, const PieceSet& known, const std::vector<ParentFeedback>& feedback) = 0;

  /// Asks for a claim. A token that is known already gives that claim again.
  [[nodiscard]] virtual ClaimOutcome claim(const RunId& run, const Address& host,
                                           const Holdings& holdings, const Want& want) = 0;

  /// Ends a claim and asks for the next one in the same call, so that no slot idles between them.
  /// Without `next` the answer is Wait, whose view holds.
  [[nodiscard]] virtual ClaimOutcome complete(const RunId& run, const Address& host,
                                              const Token& token, PullEnd end,
                                              const std::string& detail, const Holdings& holdings,
                                              const std::optional<Want>& next) = 0;

  /// The state of the run; nothing if it is over, or another has begun. Changes nothing. Must be
  /// cheap: in a large run every host calls it at the same time, just before publishing.
  [[nodiscard]] virtual std::optional<RunState> state_of(const RunId& run) = 0;

  /// Extends the leases. Also returns the view, with no token at all.
  [[nodiscard]] virtual RenewOutcome renew(const RunId& run, const Address& host,
                                           const std::vector<Token>& tokens) = 0;

  /// The host has published what the manifest with this digest lists. Also reports its holdings: a
  /// host that lacks pieces loses its seat.
  [[nodiscard]] virtual FinishOutcome finish(const RunId& run, const Address& host,
                                             const Digest& manifest, const Holdings& holdings,
                                             unsigned slots) = 0;

  /// This host is the origin, and announced pieces are missing or wrong in its spool.
  virtual void doubt(const RunId& run, const Address& host, const std::string& reason) = 0;

  /// The host has a fault that does not end its part in the run. status shows the reason: of the
  /// feed until the host offers uploads, of the hook until the next run ends.
  virtual void report_fault(const RunId& run, const Address& host, Fault fault,
                            const std::string& reason) = 0;

  /// The host is alive, and works at its own disk while no piece moves, or its --after-publish for
  /// an earlier run has not ended. status and wait show the text (empty: it works no more), and
  /// nothing else depends on it.
  virtual void show_work(const RunId& run, const Address& host, const std::string& text) = 0;

  /// The host gives its account of the run, for people: before it finishes, or when it stops. A run
  /// that has just ended keeps it, too.
  virtual void give_account(const RunId& run, const Address& host, const OwnAccount& account) = 0;

  /// The host stops its part in the run, for a reason that status shows (empty: none). Its claims
  /// end. It keeps its seat only if it has finished and has pieces that others want.
  ///
  /// No slot that becomes free here wakes the host itself, so its pause after a failure holds.
  virtual void leave(const RunId& run, const Address& host, Retreat retreat,
                     const std::string& reason) = 0;

  /// Begins to listen for a wake-up of `host`, unless it does already. Listening lapses after
  /// `patience`, so that a lost wake-up costs no more than that.
  virtual void listen(const Address& host, std::chrono::seconds patience) = 0;

  /// Readable when listening has ended, by a wake-up or by itself. -1 while not listening.
  [[nodiscard]] virtual int wake_descriptor() const = 0;

  /// How listening has ended, once. Never blocks.
  [[nodiscard]] virtual Listening heard() = 0;
};

}  // namespace libsync
