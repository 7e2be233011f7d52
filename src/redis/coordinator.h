#pragma once

// The coordinators on Redis.
//
// Every verb that changes a run is one call of a function in functions/master_calls.lua or
// functions/minion_calls.lua. discover(), state_of() and listen() are plain commands.
//
// Arguments and answers are translated here and nowhere else. Each answer is checked before
// anything acts on it: types, ranges, digests, ids. A source must be an address within `--peers`.
//
// There are two connections: one for verbs, and one that blocks while it listens for a wake-up. The
// verbs, their errors and what a death leaves behind are documented with the seams.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libsync/core/redis_server.h"
#include "libsync/master_coordinator.h"
#include "libsync/minion_coordinator.h"
#include "libsync/observer.h"
#include "redis/connection.h"

namespace libsync {

struct StatusAnswer;

/// The source text of the functions, as Redis loads it.
[[nodiscard]] std::string_view functions_source();

/// The digest of that text, which the function `rights` answers.
[[nodiscard]] std::string_view functions_digest();

struct RedisCoordinatorOptions {
  RedisServer server;
  std::string prefix;                               ///< Put in front of every key.
  std::vector<Network> peers = private_networks();  ///< A source outside of these is refused.
  /// A time in ms since 1970. Only functions that a test has made to do so read it.
  std::function<std::string()> time = [] { return std::string(); };
  std::string functions{functions_source()};
};

/// The name of the library of functions.
inline constexpr std::string_view kLibrary = "libsync1";

/// One object for all three seams; a program uses the one of its role. Belongs to one thread.
class RedisCoordinator final : public MasterCoordinator, public MinionCoordinator, public Observer {
 public:
  explicit RedisCoordinator(RedisCoordinatorOptions options);

  // MasterCoordinator

  void load_functions() override;
  [[nodiscard]] Discovery discover() override;
  [[nodiscard]] BeginOutcome begin(const RunInfo& run, unsigned origin_slots,
                                   const Expected& expected, TaskKey task, Spread spread) override;
  [[nodiscard]] StageOutcome stage(const RunId& run, const std::vector<StagedPiece>& pieces,
                                   RunState final_state) override;
  [[nodiscard]] Watch watch() override;
  [[nodiscard]] StageOutcome expect(const RunId& run, const Expected& expected) override;
  [[nodiscard]] std::optional<Awaited> awaited() override;
  [[nodiscard]] StageOutcome admit(const RunId& run) override;
  [[nodiscard]] RepairOutcome repair(const RunInfo& run, const RunId& another,
                                     const std::vector<StagedPiece>& recorded,
                                     const Expected& expected) override;
  void show_work(const std::string& text) override;
  void overtake(const RunId& run, const std::optional<TaskPath>& task) override;
  [[nodiscard]] StageOutcome vouch(const RunId& run) override;
  [[nodiscard]] EndOutcome end(const RunId& run, const std::string& outcome,
                               const std::string& reason, TaskAfter task) override;
  [[nodiscard]] std::optional<RunAccount> last_account() override;
  [[nodiscard]] bool refuse(const std::string& task, const std::string& reason) override;

  // MinionCoordinator

  [[nodiscard]] JoinOutcome join(const Address& host, const HostId& id, Arrival arrival,
                                 SeatWish seat, Duration stays) override;
  [[nodiscard]] std::vector<StagedPiece> digests(const RunId& run,
                                                 const std::vector<PieceNumber>& pieces) override;
  [[nodiscard]] ViewOutcome report(const RunId& run, const Address& host, const Holdings& holdings,
                                   unsigned slots, Clearance clearance) override;
  [[nodiscard]] SeatOutcome report_from_seat(const RunId& run, const Address& host,
                                             const Holdings& holdings, unsigned slots,
                                             Clearance clearance, const PieceSet& known,
                                             const std::vector<ParentFeedback>& feedback) override;
  [[nodiscard]] ClaimOutcome claim(const RunId& run, const Address& host, const Holdings& holdings,
                                   const Want& want) override;
  [[nodiscard]] ClaimOutcome complete(const RunId& run, const Address& host, const Token& token,
                                      PullEnd end, const std::string& detail,
                                      const Holdings& holdings,
                                      const std::optional<Want>& next) override;
  [[nodiscard]] std::optional<RunState> state_of(const RunId& run) override;
  [[nodiscard]] RenewOutcome renew(const RunId& run, const Address& host,
                                   const std::vector<Token>& tokens) override;
  [[nodiscard]] FinishOutcome finish(const RunId& run, const Address& host, const Digest& manifest,
                                     const Holdings& holdings, unsigned slots) override;
  void doubt(const RunId& run, const Address& host, const std::string& reason) override;
  void report_fault(const RunId& run, const Address& host, Fault fault,
                    const std::string& reason) override;
  void show_work(const RunId& run, const Address& host, const std::string& text) override;
  void give_account(const RunId& run, const Address& host, const OwnAccount& account) override;
  void leave(const RunId& run, const Address& host, Retreat retreat,
             const std::string& reason) override;

  void listen(const Address& host, std::chrono::seconds patience) override;
  [[nodiscard]] int wake_descriptor() const override;
  [[nodiscard]] Listening heard() override;

  // Observer

  [[nodiscard]] Status status() override;
  [[nodiscard]] Pulse pulse() override;
  [[nodiscard]] std::optional<Address> own_address() override;

 private:
  /// Calls a function; nothing if Redis has no such function.
  [[nodiscard]] std::optional<RedisValue> try_call(std::string_view verb, RedisCommand arguments);

  /// The content of `task`; nothing if it is missing or holds no text.
  [[nodiscard]] std::optional<std::string> task_or_nothing();

  /// For the master: loads missing functions and calls again.
  [[nodiscard]] RedisValue call(std::string_view verb, const RedisCommand& arguments);

  /// Wakes the minions that a call has not woken itself. `begins` leaves out the seated ones.
  void wake_others(bool begins);

  using HostValues = std::vector<std::pair<std::string, std::string>>;

  /// The hosts of one key and their values, page by page. Nothing if another run is current.
  [[nodiscard]] std::optional<HostValues> list(const std::string& run, const std::string& key);

  /// The hosts of the run in progress whose --after-publish has failed.
  [[nodiscard]] std::vector<std::string> hosts_with_failed_hook(const std::string& run);

  struct RunAwaited {
    std::string run;
    Awaited hosts;
  };

  /// The hosts that the run in progress waits for. Nothing if there is none.
  [[nodiscard]] std::optional<RunAwaited> hosts_awaited();

  /// Names the hosts of the run in `awaited`, which expects hosts by `rule` (expected.lua). False
  /// if another run is current.
  [[nodiscard]] bool name_awaited(RunAwaited& awaited, std::string_view rule);

  /// Adds the hosts of the fleet and of the run in progress to `answer`. False if another run is
  /// current.
  [[nodiscard]] bool list_hosts(const std::string& run, StatusAnswer& answer);

  /// Adds the hosts of the run that ended last. False if `run` is not the one in progress.
  [[nodiscard]] bool list_last_hosts(const std::string& run, LastStatus& last);

  /// Attempts to list the hosts of one run, while runs begin and end.
  static constexpr int kListAttempts = 5;

  /// Adds the hosts to the account of the run that ended last. False if `run` is not the one in
  /// progress.
  [[nodiscard]] bool list_accounts(const std::string& run, bool are_named, RunAccount& account);

  /// For a minion: answers STALE if functions are missing, because then there is no run.
  [[nodiscard]] RedisValue call_or_stale(std::string_view verb, const RedisCommand& arguments);

  RedisCoordinatorOptions options_;
  RedisConnection verbs_;
  RedisConnection wakes_;   // Blocks in BLPOP while listening.
  std::string wake_key_;    // The key that it listens to.
  bool listening_ = false;  // A BLPOP was sent, and its answer was not read.
};

}  // namespace libsync
