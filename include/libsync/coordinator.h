#pragma once

// The shared state that the master and all minions agree on: the only thing that two of our
// processes ever agree on. Who has which pieces, who pulls what from whom and until when, who has
// published.
//
// It does not move bytes (transfer.h), keep anything on this host's disk (spool.h), decide how many
// pieces a host asks for (pull_plan.h), or log.
//
// The model: a *run* distributes one payload. A *source* holds at least one piece and has a free
// upload slot. A *claim* is the right to pull named pieces from one source, held under a *lease*
// and named by a *token* that the caller chose. What holds at every moment: a source is given no
// more claims than the slots that it offers then; a claim names no piece that its host
// listed as unwanted; a finished host stays finished until it says otherwise.
//
// In a large run hosts have places in *trees*, too, and pull from their *parents* there without a
// claim (streams.h); what they claim besides is as above.
//
// Time: leases, quarantines and the age of hosts are judged by the clock of the shared state, never
// by that of a caller, so hosts may disagree about the time. How long they last, what a claim looks
// at, and why: functions/libsync.lua.
//
// Death: each verb that changes a run happens whole or not at all. A caller that dies holding a
// claim leaves it to lapse, LeaseTerms::lifetime after its last renewal; nothing else needs
// clearing up. A caller that dies between publishing and finish() finds what it published in its
// next tick, and finishes then.
//
// Errors: what the caller branches on is in the outcome. Failure (redis) means that the state could
// not be asked, or that the answer is none that this version understands; the effect of the call is
// then unknown, and every verb is safe to repeat with the same arguments.
//
// A Coordinator belongs to one thread.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "libsync/core/address.h"
#include "libsync/clock.h"
#include "libsync/core/digest.h"
#include "libsync/core/pieces.h"
#include "libsync/core/pull_end.h"
#include "libsync/core/run_ids.h"

namespace libsync {

/// How long a claim lives without renewal, and how often its holder renews it: one renewal may
/// be lost, and the next be late, before a live host loses its claim. The lifetime is a constant of
/// the functions.
struct LeaseTerms {
  static constexpr std::chrono::seconds lifetime{45};
  static constexpr std::chrono::seconds renewal{15};
};

/// Who fills the origin's spool.
enum class OriginKind {
  master,  ///< The master itself, on its own host.
  minion,  ///< A push to a host whose minion then verifies it.
};

struct RunInfo {
  RunId id;
  RunState state = RunState::staging;
  std::string path;
  std::string name;
  Fingerprint fingerprint;
  Cut cut;
  Digest manifest;
  std::uint64_t manifest_bytes = Manifest::max_bytes;  ///< It is no longer than this.
  Density density = Density::dense;  ///< Sparse if any file of the payload has holes.
  Address origin;
  OriginKind origin_kind = OriginKind::master;
  MasterId master;
  bool has_trees = false;      ///< Decided when the run begins.
  std::uint64_t begun_ms = 0;  ///< By the clock of the shared state: to compare with others of it.
};

/// How pieces find their way, as the master is configured.
enum class Spread {
  automatic,  ///< Trees for many hosts, claims for few.
  claims,     ///< Every pull is claimed.
  trees,      ///< Hosts pull along trees, and claim what does not come that way (streams.h).
};

/// The run does not exist any more, or another has taken its place.
struct Stale {};

/// Another run is in progress, or the same one from another origin or with another manifest.
struct Busy {
  RunId run;
  std::string path;
};

struct Begun {
  std::vector<std::string> expected;  ///< By name, as frozen now.
};

/// The run to begin is the one in progress already.
struct AlreadyBegun {};

using BeginOutcome = std::variant<Begun, AlreadyBegun, Busy>;

/// Who is expected to finish. With neither, the hosts seen in the last ten minutes. Whoever joins
/// is added.
struct Expected {
  std::size_t count = 0;
  std::vector<std::string> hosts;
};

enum class TaskKey {
  leave,    ///< `task` is as the operator set it.
  restore,  ///< `task` was lost with the rest of the data: write it again.
};

struct StagedPiece {
  PieceNumber piece;
  Digest digest;
};

struct Done {};

using StageOutcome = std::variant<Done, Stale>;

/// What a tick of the master sees.
struct Look {
  std::optional<std::string> task;
  std::size_t finished = 0;
};

/// How the run in progress stands, for the master.
struct RunStanding {
  RunId id;
  RunState state = RunState::staging;
  std::string path;
  MasterId master;
  std::size_t finished = 0;
  std::size_t expected = 0;
  std::size_t known_at_begin = 0;                 ///< Hosts that were expected then.
  std::chrono::milliseconds age{};                ///< Since begin.
  std::chrono::milliseconds since_last_joined{};  ///< Since begin, or since the last new host.
  /// Since another task was first seen to wait; nothing if none was.
  std::optional<std::chrono::milliseconds> overtaken_for;
  std::string waiting;             ///< The one that was seen last; empty if none.
  bool origin_is_suspect = false;  ///< Its spool has to be hashed, or pushed, again.
};

struct Watch {
  std::optional<std::string> task;
  std::optional<RunStanding> run;
};

enum class TaskAfter { stays, goes };

struct Ended {
  std::vector<std::string> laggards;  ///< Expected, and not finished.
};

using EndOutcome = std::variant<Ended, Stale>;

/// No run is in progress.
struct NoRun {
  /// The last one that did end, and when it had begun: evidence for deleting the spools of it and
  /// of those before it. One that began later may go on: the shared state can have lost it.
  std::optional<RunId> ended;
  std::uint64_t ended_begun_ms = 0;
};

/// No functions have been loaded yet: there has been no master. As good as no run.
struct NoLibrary {};

enum class Suspicion {
  none,
  verify,  ///< Other hosts got wrong bytes from here: hash the spool before offering it again.
};

/// Where a host is in the trees of a run, and what it needs to pull along them (streams.h).
struct TreePlace {
  Duration pause{};         ///< Until it is to ask again, if it lacks something,
  Duration report_every{};  ///< and if not.
  std::vector<std::optional<Address>> parents;  ///< One for each tree; nothing: not there yet.
  std::vector<StagedPiece> digests;
};

/// Whether a host pulls along the trees of a run that has some.
enum class InTrees { no, yes };

struct Joined {
  RunInfo run;
  bool is_finished = false;
  Suspicion suspicion = Suspicion::none;
  std::optional<TreePlace> place;  ///< If it wants one and has not finished, and the run has trees.
};

using JoinOutcome = std::variant<NoRun, NoLibrary, Joined>;

enum class Arrival {
  first_of_tick,  ///< Whatever an earlier tick of this address still claims is given back.
  again,
};

/// How the run stands, for a minion; comes with every answer.
struct View {
  RunState state = RunState::staging;
  std::size_t sources = 0;
  std::size_t finished = 0;
  Suspicion suspicion = Suspicion::none;
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

/// No source has a free slot and something that the host lacks. It will be woken, or asks again
/// after `patience` in case the wake-up was lost; the longer, the more hosts wait.
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

/// What a host has, in its own words, which are the truth about it.
struct Holdings {
  const PieceSet& servable;  ///< Verified piece files in its spool.
  PieceNumber in_place = 0;  ///< Pieces that it needs no more, from wherever.
};

enum class Clearance {
  none,
  cleared,  ///< The host has hashed its spool anew, which ends suspicion.
};

/// A request for a claim.
struct Want {
  Token token;
  PieceNumber most_pieces = 1;  ///< 0: the manifest alone.
  PieceSet unwanted;            ///< In place, being pulled, or not known yet.
};

/// What a host says about a parent.
struct ParentReport {
  enum class Kind {
    failing,  ///< A pull has ended as `end` says.
    slow,     ///< It takes several times as long as others for a piece.
    good,     ///< It had failed, and does no more.
  };
  Address parent;
  Kind kind;
  PullEnd end = PullEnd::good;
  std::string detail;
};

/// What a host in the trees is told.
struct Followed {
  View view;
  TreePlace place;
};

using FollowOutcome = std::variant<Followed, Stale>;

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
  claims_only,  ///< What it has, it goes on serving.
  altogether,   ///< It has nothing to serve and has not finished.
};

enum class Listening {
  on,      ///< Or not begun.
  woken,   ///< By a wake-up.
  lapsed,  ///< By itself, or since the connection broke.
};

struct Status;  // status.h

class Coordinator {
 public:
  virtual ~Coordinator() = default;

  // --- The master's verbs ---

  /// Puts the functions in place if they are missing or of another version.
  virtual void load_functions() = 0;

  /// One look at `task`. If there is one, `lookup` goes up by one.
  [[nodiscard]] virtual Look look() = 0;

  /// Begins `run`, unless another one is in progress. Wakes the minions that linger.
  [[nodiscard]] virtual BeginOutcome begin(const RunInfo& run, unsigned origin_slots,
                                           const Expected& expected, TaskKey task,
                                           Spread spread) = 0;

  /// Announces pieces. `final_state` staged: these were the last, and the source has not changed.
  [[nodiscard]] virtual StageOutcome stage(const RunId& run, const std::vector<StagedPiece>& pieces,
                                           RunState final_state) = 0;

  /// Changes nothing; cheap enough for five times a second.
  [[nodiscard]] virtual Watch watch() = 0;

  /// This task waits for the run to end; nothing: none does any more. What counts is when the first
  /// of those that waited one after the other was seen.
  virtual void overtake(const RunId& run, const std::optional<std::string>& task) = 0;

  /// The origin's spool has been hashed anew, or pushed again: every announced piece is good.
  [[nodiscard]] virtual StageOutcome vouch(const RunId& run) = 0;

  /// Ends the run: all its keys go in one step. `task` goes only if it is still the run's.
  [[nodiscard]] virtual EndOutcome end(const RunId& run, const std::string& outcome,
                                       const std::string& reason, TaskAfter task) = 0;

  /// Takes a task out that cannot be distributed. False if the operator has set another meanwhile.
  [[nodiscard]] virtual bool refuse(const std::string& task, const std::string& reason) = 0;

  // --- A minion's verbs ---

  /// `stays`: if no run is in progress, the host waits so long for one; zero: it does not. Who
  /// waits and pulls along trees has its place in them from the moment that the run begins.
  [[nodiscard]] virtual JoinOutcome join(const Address& host, Arrival arrival, InTrees in_trees,
                                         Duration stays) = 0;

  /// The digests of those of `pieces` that have been announced.
  [[nodiscard]] virtual std::vector<StagedPiece> digests(
      const RunId& run, const std::vector<PieceNumber>& pieces) = 0;

  /// Says what the host has and how many upload slots it offers.
  [[nodiscard]] virtual ViewOutcome hold(const RunId& run, const Address& host,
                                         const Holdings& holdings, unsigned slots,
                                         Clearance clearance) = 0;

  /// The same of a host in the trees. Tells its place as it is now, and the digests that have been
  /// announced, but for those that it knows. A report about who is not a parent of the
  /// host counts for nothing.
  [[nodiscard]] virtual FollowOutcome follow(const RunId& run, const Address& host,
                                             const Holdings& holdings, unsigned slots,
                                             Clearance clearance, const PieceSet& known,
                                             const std::vector<ParentReport>& reports) = 0;

  /// Asks for a claim. A token that is known already gives that claim again.
  [[nodiscard]] virtual ClaimOutcome claim(const RunId& run, const Address& host,
                                           const Holdings& holdings, const Want& want) = 0;

  /// A claim is over, and the next may begin: one call, so that no slot idles between them. Without
  /// `next` the answer is Wait, whose view holds.
  [[nodiscard]] virtual ClaimOutcome complete(const RunId& run, const Address& host,
                                              const Token& token, PullEnd end,
                                              const std::string& detail, const Holdings& holdings,
                                              const std::optional<Want>& next) = 0;

  /// The state of the run; nothing if it is over, or another has begun. Changes nothing. The
  /// cheapest question there is: who is about to publish asks it, in a large run all at once.
  [[nodiscard]] virtual std::optional<RunState> state_of(const RunId& run) = 0;

  /// Claims live on. Also tells how the run stands, with no token at all.
  [[nodiscard]] virtual RenewOutcome renew(const RunId& run, const Address& host,
                                           const std::vector<Token>& tokens) = 0;

  /// The host has published what the manifest with this digest says. Also says what it has, as
  /// hold() does: without all pieces it has no place in the trees any more.
  [[nodiscard]] virtual FinishOutcome finish(const RunId& run, const Address& host,
                                             const Digest& manifest, const Holdings& holdings,
                                             unsigned slots) = 0;

  /// Pieces that were announced are not, or not rightly, where this host, the origin's own, was to
  /// find them.
  virtual void doubt(const RunId& run, const Address& host, const std::string& reason) = 0;

  /// The host stops taking part, for a reason that status shows (empty: none). Its place in the
  /// trees is kept only if it has finished, and has what others want.
  virtual void leave(const RunId& run, const Address& host, Retreat retreat,
                     const std::string& reason) = 0;

  // --- Waking ---

  /// Begins to listen for a wake-up of `host`, unless it does already. Ends by itself after
  /// `patience`, so that a wake-up which was lost costs no more than that.
  virtual void listen(const Address& host, std::chrono::seconds patience) = 0;

  /// Readable when listening has ended, by a wake-up or by itself. -1 while not listening.
  [[nodiscard]] virtual int wake_descriptor() const = 0;

  /// How listening has ended, once. Never blocks.
  [[nodiscard]] virtual Listening heard() = 0;

  // --- For people ---

  [[nodiscard]] virtual Status status() = 0;

  /// The local address of the connection to the shared state: how this host reaches it is how its
  /// peers most likely reach this host. Nothing for a unix socket.
  [[nodiscard]] virtual std::optional<Address> own_address() = 0;
};

}  // namespace libsync
