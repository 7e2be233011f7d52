#pragma once

// One host of the simulation, as the coordinator and its peers see it.
//
// The host decides nothing: the product's Puller (minion/puller.h) does. The calls of Redis and the
// pulls are virtual. There is no rsync: a piece arrives when the World says so. The disk keeps a
// digest for each piece, and a good piece is in place as soon as it is judged.
//
// Like the real one, a host waits for the answer of each call of Redis and does nothing meanwhile.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "faults.h"
#include "metered_redis.h"
#include "minion/puller.h"

namespace libsync::simulation {

using HostNumber = std::size_t;

/// The outside world, as a host uses it.
class World {
 public:
  virtual ~World() = default;

  [[nodiscard]] virtual double now() const = 0;
  [[nodiscard]] virtual MeteredRedis& redis() = 0;
  enum class Due { step, answer, wake, served, join };
  virtual void schedule(HostNumber host, Due kind, double time) = 0;
  /// Begins a pull. The World calls file_arrived() for each piece, then pull_ended().
  virtual TransferId start_pull(HostNumber host, const Assignment& assignment) = 0;
  /// Ends a pull early. The World calls pull_ended() afterwards, not during this call.
  virtual void end_pull(HostNumber host, TransferId id) = 0;
  /// Hashes a piece. The World calls piece_judged() afterwards.
  virtual void judge(HostNumber host, PieceNumber piece) = 0;
  /// Wakes the hosts that a call of the coordinator has woken.
  virtual void deliver_wakes() = 0;
  /// The World counts uploads by claims as they are granted and end.
  virtual void claim_granted(HostNumber puller, const Claim& claim) = 0;
  virtual void claim_ended(const Token& token) = 0;
  /// Without faults a host joins once, and its tick ends when it has finished, or gives up.
  [[nodiscard]] virtual bool has_faults() const = 0;
  /// Whether hosts die. Then a tick may meet so many dead sources that it gives up.
  [[nodiscard]] virtual bool do_hosts_die() const = 0;
  /// Without faults always normal.
  virtual CallFate fate_of_call() = 0;
  [[nodiscard]] virtual Token make_token() = 0;
  /// Ends all pulls of a host at once, without an event.
  virtual void drop_pulls(HostNumber host) = 0;
};

class VirtualHost {
 public:
  /// `slots`: as configured. Nothing: the product's default.
  VirtualHost(World& world, HostNumber number, Address address, RunInfo run,
              std::optional<unsigned> slots);

  void join();
  void die() { is_dead_ = true; }
  /// The next tick of a host that died: it joins again, with what lies on its disk.
  void revive();
  /// Events of an earlier life are void.
  [[nodiscard]] std::uint64_t life() const { return life_; }

  void answer();  ///< Delivers the answer of the pending call.
  void step();
  void woken();
  void served();
  /// `content`: the digest of what arrived; nothing for the manifest.
  void file_arrived(TransferId id, std::optional<PieceNumber> piece,
                    const std::optional<Digest>& content);
  void bytes_moved(TransferId id);
  void piece_judged(PieceNumber piece);
  void pull_ended(TransferId id, PullEnd end);

  [[nodiscard]] const Address& address() const { return address_; }
  [[nodiscard]] const HostId& id() const { return id_; }
  [[nodiscard]] const PieceTable& pieces() const { return pieces_; }
  /// The run that the host joined last.
  [[nodiscard]] const RunInfo& run() const { return run_; }
  /// The piece in the spool; nothing if its file is not there.
  [[nodiscard]] const std::optional<Digest>& in_spool(PieceNumber piece) const {
    return spool_[piece];
  }
  [[nodiscard]] bool has_published() const { return is_published_; }
  /// The piece of the published payload.
  [[nodiscard]] const std::optional<Digest>& in_payload(PieceNumber piece) const {
    return payload_[piece];
  }
  /// A piece of the spool changes. False if its file is not there.
  bool rot(PieceNumber piece, const Digest& content);
  [[nodiscard]] std::size_t pulls_in_hand() const { return puller_ ? puller_->ledger().size() : 0; }
  [[nodiscard]] bool is_listening() const { return is_listening_; }
  [[nodiscard]] bool is_dead() const { return is_dead_; }
  [[nodiscard]] std::optional<double> finished_at() const { return finished_at_; }
  [[nodiscard]] std::size_t pulls_started() const { return pulls_started_; }
  [[nodiscard]] std::size_t second_attempts() const { return second_attempts_; }

 private:
  /// Asks now. `deliver` gets the answer at the virtual time of the answer.
  template <typename Call, typename Deliver>
  void ask(const std::string& verb, Call call, Deliver deliver);
  template <typename Call>
  void ask_puller(const std::string& verb, Call call);
  void lose_answer();
  void joined(const JoinOutcome& outcome);
  void begin(const Joined& joined);
  /// The same for a host that has finished already. It reverifies a suspect spool.
  void revisit(const Joined& joined);
  [[nodiscard]] bool clears_suspicion();
  void leave(Retreat retreat, const std::string& reason);
  void give_up(const std::string& reason);
  /// The download is over without success. The host joins again later.
  void stop(double pause);

  // minion/act.h describes the acts.
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
  void perform(const CompleteTree&) { is_completed_ = true; }
  void perform(const Publish&);
  void perform(const StartProbe& act);
  void perform(const Warn&) {}
  void perform(const GiveUp& act);
  void perform(const Conclude& act);

  [[nodiscard]] Holdings holdings() const {
    return {pieces_.servable(), pieces_.in_place().size()};
  }
  [[nodiscard]] Instant now() const;
  [[nodiscard]] DiskState disk() const;
  void listen();
  void schedule_next();

  World& world_;
  HostNumber number_;
  Address address_;
  HostId id_;
  RunInfo run_;
  std::optional<unsigned> slots_;

  using Contents = std::vector<std::optional<Digest>>;
  struct Judged {
    StagedPiece piece;
    Attempt attempt;
  };
  PieceTable pieces_;
  Contents spool_;
  Contents tree_;
  Contents payload_;
  std::map<std::pair<Attempt, PieceNumber>, std::optional<Digest>> incoming_;
  std::map<TransferId, Attempt> attempts_;
  std::map<PieceNumber, Judged> judging_;
  std::optional<Puller> puller_;       // None before the host has joined.
  std::function<void()> then_;         // Delivers the pending answer; empty if no call is pending.
  std::optional<double> stopped_for_;  // The download is over. The host joins after this pause.
  std::uint64_t life_ = 0;
  bool is_dead_ = false;
  bool has_manifest_ = false;
  bool is_completed_ = false;
  bool is_published_ = false;
  bool is_listening_ = false;
  bool was_woken_ = false;
  double listens_until_ = 0;
  double scheduled_ = -1;
  std::size_t pulls_started_ = 0;
  std::size_t second_attempts_ = 0;
  std::optional<double> finished_at_;
};

}  // namespace libsync::simulation
