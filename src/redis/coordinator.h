#pragma once

// The coordinators on Redis: every verb that changes a run is one call of a function
// (functions/master_calls.lua, minion_calls.lua); look(), state_of() and listen() are plain
// commands.
//
// Arguments and answers are translated here and nowhere else, and whatever comes back is checked
// here before anything acts on it: types, ranges, digests, ids, and that a source is an address
// within `--peers`.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libsync/core/redis_server.h"
#include "libsync/master_coordinator.h"
#include "libsync/minion_coordinator.h"
#include "libsync/observer.h"
#include "redis/connection.h"

namespace libsync {

/// The source of the functions, as it is loaded into Redis.
[[nodiscard]] std::string_view functions_source();

class AnswerReader;

struct RedisCoordinatorOptions {
  RedisServer server;
  std::string prefix;
  std::vector<Network> peers = private_networks();
  /// The time that the functions are to take for now, in ms since 1970; empty: that of Redis. The
  /// simulation runs in a time of its own.
  std::function<std::string()> time = [] { return std::string(); };
};

class RedisCoordinator final : public MasterCoordinator, public MinionCoordinator, public Observer {
 public:
  explicit RedisCoordinator(RedisCoordinatorOptions options);

  void load_functions() override;
  [[nodiscard]] Discovery discover() override;
  [[nodiscard]] BeginOutcome begin(const RunInfo& run, unsigned origin_slots,
                                   const Expected& expected, TaskKey task, Spread spread) override;
  [[nodiscard]] StageOutcome stage(const RunId& run, const std::vector<StagedPiece>& pieces,
                                   RunState final_state) override;
  [[nodiscard]] Watch watch() override;
  void overtake(const RunId& run, const std::optional<std::string>& task) override;
  [[nodiscard]] StageOutcome vouch(const RunId& run) override;
  [[nodiscard]] EndOutcome end(const RunId& run, const std::string& outcome,
                               const std::string& reason, TaskAfter task) override;
  [[nodiscard]] bool refuse(const std::string& task, const std::string& reason) override;

  [[nodiscard]] JoinOutcome join(const Address& host, Arrival arrival, SeatWish in_trees,
                                 Duration stays) override;
  [[nodiscard]] std::vector<StagedPiece> digests(const RunId& run,
                                                 const std::vector<PieceNumber>& pieces) override;
  [[nodiscard]] ViewOutcome report(const RunId& run, const Address& host, const Holdings& holdings,
                                   unsigned slots, Clearance clearance) override;
  [[nodiscard]] SeatOutcome report_from_seat(const RunId& run, const Address& host,
                                             const Holdings& holdings, unsigned slots,
                                             Clearance clearance, const PieceSet& known,
                                             const std::vector<ParentFeedback>& reports) override;
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
  void leave(const RunId& run, const Address& host, Retreat retreat,
             const std::string& reason) override;

  void listen(const Address& host, std::chrono::seconds patience) override;
  [[nodiscard]] int wake_descriptor() const override;
  [[nodiscard]] Listening heard() override;

  [[nodiscard]] Status status() override;
  [[nodiscard]] std::optional<Address> own_address() override;

 private:
  /// Nothing if Redis knows no such function.
  [[nodiscard]] std::optional<RedisValue> try_call(std::string_view verb, RedisCommand arguments);

  /// What `task` holds.
  [[nodiscard]] std::optional<std::string> task_or_nothing();

  /// Loads the functions first, if they are missing: for the master.
  [[nodiscard]] RedisValue call(std::string_view verb, const RedisCommand& arguments);

  /// For a minion: without functions there is no run.
  [[nodiscard]] RedisValue call_or_stale(std::string_view verb, const RedisCommand& arguments);

  [[nodiscard]] Seat read_seat(AnswerReader& reader) const;
  [[nodiscard]] ClaimOutcome read_claim(const RedisValue& answer) const;

  RedisCoordinatorOptions options_;
  RedisConnection verbs_;
  RedisConnection wakes_;
  bool listening_ = false;
};

}  // namespace libsync
