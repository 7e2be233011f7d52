#pragma once

// The loop over events, and all that moves bytes: hosts, links, the origin that stages, faults.
//
// The simulation changes the shared state only by the product's functions on a real Redis. It
// checks some invariants and throws std::runtime_error if one does not hold:
//
// - Every living host is complete and has finished.
// - Only dead hosts still hold claims.
// - No source ever has more claims than slots.
// - No source serves a piece before it has it.
// - No link carries more than its rate.
//
// With faults by a seed (faults.h) there is also a virtual master, which begins a lost run again,
// repairs it and ends it. Then these hold twice a second, unless Redis has just lost something
// (simulation_invariants.cpp):
//
// - Claims, leases and counts agree.
// - The counts of copies agree with the bitmaps of the hosts.
// - The published payload of a finished host has the master's digest in each piece.
// - The seats have no gaps, and both of their keys agree.
// - A call with the token of another host, or with the id of another run, changes nothing.
//
// All hosts finish within kHealsWithin of the last fault, and the end of the run leaves no key but
// those that outlive runs. A run with faults depends on its seed alone.

#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fluid_network.h"
#include "scenario.h"
#include "virtual_host.h"

namespace libsync::simulation {

struct Outcome {
  PieceNumber pieces = 0;
  unsigned slots = 0;
  double last = 0;              ///< Seconds until the last living host has finished.
  double last_undisturbed = 0;  ///< Seconds until the last one without a trouble of its own has.
  double median = 0;            ///< Seconds until half of the hosts that finish have finished.
  double origin_bytes = 0;      ///< Bytes that left the origin.
  std::size_t finished = 0;
  /// The traffic of all links in, as a part of their rate, in each twentieth of F/B. A piece counts
  /// when it is complete.
  std::vector<double> fullness;
  double last_first_copy = 0;       ///< Seconds until each piece had left the origin once.
  std::size_t pulls = 0;            ///< Pulls of all hosts.
  std::size_t second_attempts = 0;  ///< Those that fetched a piece in flight once more.
  std::uint64_t trace = 0;          ///< Trace::sum(), if there are faults.
};

class Simulation final : public World {
 public:
  explicit Simulation(const Scenario& scenario);

  Outcome run();

  [[nodiscard]] double now() const override { return now_; }
  [[nodiscard]] MeteredRedis& redis() override { return redis_; }
  void schedule(HostNumber host, Due kind, double time) override;
  TransferId start_pull(HostNumber host, const Assignment& assignment) override;
  void end_pull(HostNumber host, TransferId id) override;
  void judge(HostNumber host, PieceNumber piece) override;
  void deliver_wakes() override;
  void claim_granted(HostNumber puller, const Claim& claim) override;
  void claim_ended(const Token& token) override;
  [[nodiscard]] bool has_faults() const override { return faults_.has_value(); }
  [[nodiscard]] bool do_hosts_die() const override {
    return has_faults() || scenario_.die.percent > 0;
  }
  CallFate fate_of_call() override;
  [[nodiscard]] Token make_token() override { return new_name<Token>(); }
  void drop_pulls(HostNumber host) override;

 private:
  enum class Kind {
    step,
    answer,
    wake,
    served,
    connected,
    moved,
    exited,
    judged,
    staged,
    joins,
    dies,
    freezes,
    thaws,
    unplugs,
    sampled,
    stalled,
    timed_out,
    ends,
    master,
    mishap,
    revives,
    restores
  };
  struct Event {
    double time;
    std::uint64_t order;
    Kind kind;
    std::size_t subject;  // A host, or the index of a pull.
    std::uint64_t stamp;  // The pull's stamp, its id, or the piece that is judged.
    bool operator>(const Event& other) const {
      return time != other.time ? time > other.time : order > other.order;
    }
  };
  struct Pull {
    HostNumber to = 0;
    HostNumber from = 0;
    TransferId id = 0;
    std::vector<PieceNumber> pieces;
    std::size_t next = 0;  // Index into pieces.
    double boundary = 0;   // Bytes of the flow at which the next piece is complete.
    std::optional<FlowId> flow;
    std::uint64_t stamp = 0;  // Events with an older stamp are void.
    double sampled = 0;       // Bytes of the flow at the last sample.
    std::optional<Token> token;  // Nothing: it needs no claim.
    bool is_over = true;
  };

  using Counts = std::map<std::string, std::int64_t>;
  /// A claim that was granted.
  struct Used {
    HostNumber puller;
    Token token;
    RunId run;
    bool is_over;
  };

  void push(double time, Kind kind, std::size_t subject, std::uint64_t stamp = 0);
  void handle(const Event& event);
  [[nodiscard]] bool runs(std::size_t index, TransferId id) const;
  void connect(std::size_t pull);
  void move(std::size_t pull);
  void predict(std::size_t pull);
  void predict_faster();
  /// Lets rsync exit after end_cost.
  void exit_soon(std::size_t pull);
  void settle_pull(std::size_t pull, PullEnd end);
  void end_pull_of(HostNumber host, TransferId id);
  void close_flow(Pull& pull);
  void stage();
  void sample(std::size_t pull);
  void die(HostNumber host);
  /// Resets the connections of all hosts that pull from this one.
  void cut_off(HostNumber host);
  void freeze(HostNumber host, double until);
  void thaw(HostNumber host);
  void unplug(HostNumber host);
  void plan_troubles();
  /// Whether the event has to wait until its host thaws. Events of unplugged hosts are void.
  [[nodiscard]] bool is_held(const Event& event);
  /// Whether the host has died since the event was due.
  [[nodiscard]] bool is_void(const Event& event) const;
  void check();
  /// The run waits for all hosts.
  [[nodiscard]] Expected expected() const;
  // With faults. (simulation_faults.cpp)
  void begin_faults();
  [[nodiscard]] bool is_healed(const Watch& seen) const;
  void act_as_master();
  void begin_again();
  [[nodiscard]] std::vector<StagedPiece> cut_so_far() const;
  [[nodiscard]] RunState state_so_far() const;
  void end_other_run(const RunId& other);
  void check_end();
  void mishap();
  void mishap_of(HostNumber host);
  void lose_key();
  void intrude();
  void lie(HostNumber host);
  void cut_one_way(HostNumber host);
  void rot(HostNumber host);
  bool call_late(const std::function<void(RedisCoordinator&)>& work);
  void use_old_token();
  void use_foreign_token(const Used& used);
  void begin_newer_task();
  void keep_snapshot();
  void restore();
  // Invariants. (simulation_invariants.cpp)
  void note_mending();
  [[nodiscard]] bool is_mended() const;
  void check_state();
  void check_counts();
  void check_copies(const Counts& coming);
  void check_finished();
  void check_seats();
  [[nodiscard]] std::map<std::string, std::string> hash_of(const std::string& key);

  template <typename Name>
  [[nodiscard]] Name new_name() {
    typename Name::Bytes bytes{};
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(names_() >> 56U);
    return Name(bytes);
  }
  /// The digest of a piece of the master's payload.
  [[nodiscard]] Digest content_of(PieceNumber piece) const;
  /// The digest of the file that a puller gets. Nothing if its source does not serve the piece of
  /// that payload.
  [[nodiscard]] std::optional<Digest> content_at(HostNumber source, HostNumber puller,
                                                 PieceNumber piece) const;
  [[nodiscard]] HostNumber number_of(const Address& address) const;

  Scenario scenario_;
  std::mt19937_64 random_;
  std::mt19937_64 names_;
  double now_ = 0;
  std::uint64_t order_ = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  MeteredRedis redis_;
  RunInfo run_;
  unsigned slots_ = 0;
  unsigned origin_uploads_ = 0;
  std::vector<LinkRates> rates_;
  std::unique_ptr<FluidNetwork> network_;
  std::vector<std::unique_ptr<VirtualHost>> hosts_;  // The origin is the first, and only serves.
  std::vector<bool> is_disturbed_;
  std::vector<bool> lingers_;         // The host waits for the run, and no wake-up has reached it.
  std::vector<double> frozen_until_;  // 0: not frozen. Infinity: unplugged.
  std::unordered_map<std::string, HostNumber> numbers_;
  std::vector<unsigned> uploads_;
  std::unordered_map<std::string, HostNumber> sources_of_claims_;  // By token.
  TransferId next_id_ = 1;
  std::vector<double> hashes_until_;
  std::vector<Pull> pulls_;
  std::vector<std::size_t> unused_pulls_;
  std::vector<std::size_t> pull_of_flow_;
  PieceNumber staged_ = 0;
  double origin_bytes_ = 0;
  std::vector<bool> has_left_origin_;
  double last_first_copy_ = 0;
  std::vector<double> arrived_;  // Bytes, in each twentieth of F/B.
  std::optional<Faults> faults_;
  Trace trace_;
  std::uint64_t payload_ = 0;  // Its number. A newer task has the next one.
  std::vector<Used> used_;
  std::map<std::pair<HostNumber, HostNumber>, double> cut_until_;  // Puller and source.
  std::optional<MeteredRedis::Snapshot> snapshot_;
  bool is_healed_ = false;    // The faults are over, and all hosts have finished.
  double repaired_at_ = 0;    // When the virtual master compared the state last.
  double damaged_at_ = -1e9;  // When Redis lost something.
  std::string mended_;        // By the clock of Redis, the last mending.
  double mended_at_ = 0;
  double mended_before_ = 0;
  double worst_overload_ = 0;
  std::size_t handled_ = 0;
  std::size_t living_ = 0;
};

}  // namespace libsync::simulation
