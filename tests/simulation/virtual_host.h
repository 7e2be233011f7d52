#pragma once

// One host of the simulation, as the coordinator and its peers see it.
//
// It follows Download (minion_download.h): the same order of calls, the same pauses, the same
// decisions by the same functions (pull_plan.h), the same book of claims (pull_ledger.h). Only the
// disk and rsync are left out: what is pulled arrives when the World says, and is always good.
//
// A host asks Redis one thing at a time and does nothing else until the answer is there, as the
// real one does.

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "libsync/master_coordinator.h"
#include "libsync/minion_coordinator.h"
#include "libsync/observer.h"
#include "metered_redis.h"
#include "minion/ledger.h"
#include "minion/pull_plan.h"
#include "minion/streams.h"
#include "os/random.h"

namespace libsync::simulation {

using HostNumber = std::size_t;

/// What hosts need of the world around them.
class World {
 public:
  virtual ~World() = default;

  [[nodiscard]] virtual double now() const = 0;
  [[nodiscard]] virtual MeteredRedis& redis() = 0;
  enum class Due { step, answer, wake, served };
  virtual void schedule(HostNumber host, Due kind, double time) = 0;
  /// Begins to move what was claimed. Ends with piece_arrived() for each, then pull_ended().
  virtual void start_pull(HostNumber host, TransferId id, const Claim& claim, Promise promise) = 0;
  /// Ends one before it has brought everything, in a moment.
  virtual void give_up(HostNumber host, TransferId id) = 0;
  /// A call of the coordinator may have woken others.
  virtual void deliver_wakes() = 0;
  /// A claim was granted, or is over: for the count of uploads.
  virtual void claim_granted(const Claim& claim) = 0;
  virtual void claim_ended(const Claim& claim) = 0;
};

class VirtualHost {
 public:
  VirtualHost(World& world, HostNumber number, Address address, RunInfo run, unsigned slots);

  void join();
  void die() { is_dead_ = true; }

  void answer();  ///< What it asked is answered.
  void step();
  void woken();
  void served() { is_served_ = true; }
  void manifest_arrived(TransferId id);
  void piece_arrived(TransferId id, PieceNumber piece);
  void piece_judged(PieceNumber piece);
  void pull_ended(TransferId id, PullEnd end);

  [[nodiscard]] const Address& address() const { return address_; }
  [[nodiscard]] const PieceSet& have() const { return have_; }
  [[nodiscard]] const PullLedger& ledger() const { return ledger_; }
  [[nodiscard]] bool is_listening() const { return is_listening_; }
  [[nodiscard]] bool is_dead() const { return is_dead_; }
  [[nodiscard]] std::optional<double> finished_at() const { return finished_at_; }
  [[nodiscard]] std::size_t pulls_started() const { return next_id_; }

 private:
  /// Asks now; the answer is to be acted on only in `then_`, which the caller sets.
  template <typename Call>
  auto ask(const std::string& verb, Call call);
  void note_grant(const ClaimOutcome& outcome);
  bool complete();
  bool report();
  bool renew();
  bool claim();
  bool advance();
  bool follow();
  [[nodiscard]] double follow_due() const;
  void stream();
  void listen();
  void schedule_next();
  void take(const ClaimOutcome& outcome, double asked);
  [[nodiscard]] std::optional<Want> want(const std::optional<TransferId>& without);
  [[nodiscard]] bool has_news() const;
  [[nodiscard]] unsigned slots_to_offer() const { return is_served_ && has_manifest_ ? slots_ : 0; }

  World& world_;
  HostNumber number_;
  Address address_;
  RunInfo run_;
  unsigned slots_;

  bool is_dead_ = false;
  bool has_joined_ = false;
  bool is_served_ = false;
  bool has_manifest_ = false;
  PieceSet have_;
  PullLedger ledger_;
  Pace pace_;
  Streams streams_;
  std::vector<ParentFeedback> parent_reports_;
  bool is_called_ = false;
  TransferId next_id_ = 0;
  std::function<void()> then_;  // While a call is on its way.
  Token next_token_ = random_name<Token>();
  double claim_again_ = 0;
  double claim_in_peace_ = 0;
  std::size_t failures_ = 0;
  std::string reported_;
  unsigned reported_slots_ = 0;
  double reported_at_ = -1;
  std::optional<double> report_due_;
  double renewal_due_ = 0;
  double check_due_ = 0;
  bool is_published_ = false;
  RunState state_ = RunState::staging;
  bool is_listening_ = false;
  double listens_until_ = 0;
  double patience_ = 1;
  bool was_woken_ = false;
  double scheduled_ = -1;
  std::optional<double> finished_at_;
};

}  // namespace libsync::simulation
