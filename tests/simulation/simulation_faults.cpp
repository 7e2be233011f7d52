// The part of a Simulation that is there with faults by a seed: mishaps and the virtual master.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>
#include <utility>

#include "simulation.h"

namespace libsync::simulation {
namespace {

// The virtual master watches this often, and compares the state with its spool this often.
constexpr double kMasterEvery = 0.5;
constexpr double kRepairEvery = 10;
// Mean time between two mishaps, in F/B.
constexpr double kMishapEvery = 0.08;
// Redis derives its counts again within 10 s, and the master repairs the rest in as much. Claims
// that were lost may be pulled until their leases would have lapsed.
constexpr double kDamageLasts = 60;
// Quarantines and pauses of ticks pass first: up to 129 s with ./tests/simulate --faults
// --seeds 1..300. A host that many accuse in turn may wait for longer.
constexpr double kHealsWithin = 900;
constexpr std::uint64_t kNewerTasks = 2;  // At most, in one run.

[[noreturn]] void broken(const std::string& what) {
  throw std::runtime_error("the functions or the puller are wrong: " + what);
}

}  // namespace

CallFate Simulation::fate_of_call() {
  return faults_ ? faults_->fate_of_call(now_) : CallFate::normal;
}

void Simulation::begin_faults() {
  push(now_ + kMasterEvery, Kind::master, 0);
  push(now_ + kMishapEvery * scenario_.file_time(), Kind::mishap, 0);
}

// Redis, the master and every host agree that all have finished.
bool Simulation::is_healed(const Watch& seen) const {
  const bool is_complete = seen.run && seen.run->id == run_.id &&
                           seen.run->state == RunState::staged &&
                           seen.run->finished >= seen.run->expected;
  return is_complete && faults_->are_over(now_) && now_ > damaged_at_ + kDamageLasts &&
         std::all_of(hosts_.begin() + 1, hosts_.end(), [&](const auto& host) {
           return !host->is_dead() && host->finished_at() &&
                  host->run().fingerprint == run_.fingerprint;
         });
}

// --- The master ---

void Simulation::begin_again() {
  redis_.call("begin", now_, [&](RedisCoordinator& coordinator) {
    coordinator.load_functions();
    static_cast<void>(
        coordinator.begin(run_, origin_uploads_, expected(), TaskKey::restore, scenario_.spread));
    static_cast<void>(coordinator.stage(run_.id, cut_so_far(), state_so_far()));
  });
}

// The pieces that the spool of the virtual master holds.
std::vector<StagedPiece> Simulation::cut_so_far() const {
  std::vector<StagedPiece> pieces;
  for (PieceNumber piece = 0; piece < staged_; ++piece) {
    pieces.push_back({piece, content_of(piece)});
  }
  return pieces;
}

RunState Simulation::state_so_far() const {
  return staged_ == run_.cut.pieces() ? RunState::staged : RunState::staging;
}

void Simulation::note_mending() {
  const auto answer = redis_.ask({"HGET", "sync:course", "mended"});
  const auto mended = answer.text() == nullptr ? std::string() : *answer.text();
  if (mended == mended_) return;
  mended_ = mended;
  mended_before_ = std::exchange(mended_at_, now_);
}

// Mending needs the calls of hosts, and a whole round of them.
bool Simulation::is_mended() const {
  return now_ - damaged_at_ > kDamageLasts && mended_before_ > damaged_at_;
}

void Simulation::act_as_master() {
  push(now_ + kMasterEvery, Kind::master, 0);
  note_mending();
  Watch seen;
  redis_.call("watch", now_, [&](RedisCoordinator& coordinator) { seen = coordinator.watch(); });
  is_healed_ = is_healed(seen);
  if (!seen.run) {
    damaged_at_ = now_;
    begin_again();
  } else if (seen.run->id != run_.id) {
    end_other_run(seen.run->id);
  } else if (seen.run->state == RunState::staging && state_so_far() == RunState::staged) {
    begin_again();  // Redis has lost pieces that were announced.
  } else if (now_ >= repaired_at_ + kRepairEvery) {
    repaired_at_ = now_;
    RunInfo known = run_;
    known.state = state_so_far();
    redis_.call("repair", now_, [&](RedisCoordinator& coordinator) {
      const auto outcome = coordinator.repair(known, new_name<RunId>(), cut_so_far(), expected());
      const auto* const repaired = std::get_if<Repaired>(&outcome);
      if (repaired == nullptr) return;
      if (!repaired->keys.empty()) damaged_at_ = now_;
      run_.id = repaired->run;
    });
  } else {
    redis_.call("admit", now_, [&](RedisCoordinator& coordinator) {
      if (seen.run->newcomers > 0) static_cast<void>(coordinator.admit(run_.id));
      if (seen.run->origin_is_suspect) static_cast<void>(coordinator.vouch(run_.id));
    });
  }
  deliver_wakes();
  if (is_mended()) check_state();
  if (now_ > scenario_.faults_until * scenario_.file_time() + kHealsWithin) {
    std::string late;
    for (HostNumber i = 1; i < hosts_.size(); ++i) {
      if (!hosts_[i]->finished_at()) late += " " + hosts_[i]->address().text();
    }
    broken("these hosts never finish:" + late);
  }
}

// Redis fell back to a run that the master has ended since (next_move in plan.cpp).
void Simulation::end_other_run(const RunId& other) {
  damaged_at_ = now_;
  redis_.call("end", now_, [&](RedisCoordinator& coordinator) {
    static_cast<void>(coordinator.end(other, "superseded", "", TaskAfter::stays));
  });
}

// After the end of the run, only the keys that outlive runs are there.
void Simulation::check_end() {
  if (is_mended()) check_state();
  redis_.call("end", now_, [&](RedisCoordinator& coordinator) {
    const auto outcome = coordinator.end(run_.id, "complete", "", TaskAfter::goes);
    const auto* const ended = std::get_if<Ended>(&outcome);
    if (ended == nullptr) broken("the run does not end");
    if (!ended->missing.empty()) broken("a complete run lacks " + ended->missing.front());
  });
  const std::set<std::string> outlive{"sync:minions", "sync:ids", "sync:lingering", "sync:events"};
  const auto keys = redis_.ask({"KEYS", "*"});
  for (const auto& key : *keys.array()) {
    const bool is_of_last = key.text()->starts_with("sync:last");
    if (!outlive.contains(*key.text()) && !is_of_last && !key.text()->starts_with("sync:wake:"))
      broken(*key.text() + " is left after the end of the run");
  }
}

// --- Mishaps ---

void Simulation::mishap() {
  if (faults_->are_over(now_)) return;
  push(now_ + faults_->between(0, 2 * kMishapEvery) * scenario_.file_time(), Kind::mishap, 0);
  mishap_of(1 + faults_->below(hosts_.size() - 1));
}

void Simulation::mishap_of(HostNumber host) {
  const auto what = faults_->next_mishap();
  trace_.note(now_, name_of(what), host);
  const bool is_away = hosts_[host]->is_dead() || frozen_until_[host] > now_;
  switch (what) {
    case Mishap::death:
      if (is_away) return;
      hosts_[host]->die();
      drop_pulls(host);
      cut_off(host);
      return push(now_ + faults_->between(0.1, 20), Kind::revives, host);
    case Mishap::freeze:
      return is_away ? void() : freeze(host, now_ + faults_->between(1, 60));
    case Mishap::slow_uplink:
      rates_[host].out = scenario_.rate / static_cast<double>(std::size_t{1} << faults_->below(8));
      if (frozen_until_[host] <= now_) network_->set_rates(host, rates_[host], now_);
      return;
    case Mishap::one_way:
      return cut_one_way(host);
    case Mishap::bit_rot:
      return rot(host);
    case Mishap::liar:
      return lie(host);
    case Mishap::clock_step:
      return redis_.step_clock((faults_->below(2) == 0 ? 1 : -1) *
                               std::pow(10, faults_->between(0, 5)));
    case Mishap::old_token:
      return use_old_token();
    case Mishap::newer_task:
      return begin_newer_task();
    case Mishap::lost_key:
      return lose_key();
    case Mishap::intruder:
      return intrude();
    case Mishap::flush:
      damaged_at_ = now_;
      return redis_.flush();
    case Mishap::old_snapshot:
      return keep_snapshot();
  }
}

void Simulation::lose_key() {
  damaged_at_ = now_;
  const auto& keys = keys_to_lose();
  static_cast<void>(redis_.ask({"DEL", "sync:" + keys.at(faults_->below(keys.size()))}));
}

void Simulation::intrude() {
  damaged_at_ = now_;
  const auto host = hosts_[faults_->below(hosts_.size())]->address().text();
  const bool is_added = faults_->below(2) == 0;
  static_cast<void>(redis_.ask({is_added ? "SADD" : "SREM", "synchronize_queue", host}));
}

void Simulation::lie(HostNumber host) {
  PieceSet claimed(run_.cut.pieces());
  for (PieceNumber piece = 0; piece < run_.cut.pieces(); ++piece) {
    if (faults_->below(2) == 0) claimed.insert(piece);
  }
  redis_.call("report", now_, [&](RedisCoordinator& coordinator) {
    static_cast<void>(coordinator.report(run_.id, hosts_[host]->address(), {claimed, 0}, slots_,
                                         Clearance::none));
  });
  deliver_wakes();
}

void Simulation::cut_one_way(HostNumber host) {
  const auto source = faults_->below(hosts_.size());
  if (source != host) cut_until_[{host, source}] = now_ + faults_->between(1, 60);
}

void Simulation::rot(HostNumber host) {
  const auto pieces = run_.cut.pieces();
  const auto first = faults_->below(pieces);
  for (PieceNumber i = 0; i < pieces; ++i) {
    const auto piece = static_cast<PieceNumber>((first + i) % pieces);
    if (hosts_[host]->rot(piece, digest_of("rotten"))) return;
  }
}

// The claim of another host must stay, and so must the claims of a run that is over. A host may
// repeat the completion of a claim that it has completed, or claim anew with its token.
// True if Redis answered. Redis may have lost something that only the master repairs.
bool Simulation::call_late(const std::function<void(RedisCoordinator&)>& work) try {
  redis_.call("old token", now_, work);
  return true;
} catch (const Failure&) {
  if (now_ > damaged_at_ + kDamageLasts) throw;
  return false;
}

void Simulation::use_old_token() {
  if (used_.empty()) return;
  const auto used = used_[faults_->below(used_.size())];
  if (faults_->below(2) == 0 || !used.is_over) return use_foreign_token(used);
  const auto& host = *hosts_[used.puller];
  const Holdings holdings{host.pieces().servable(), host.pieces().in_place().size()};
  call_late([&](RedisCoordinator& redis) {
    const auto end = faults_->below(2) == 0 ? PullEnd::good : PullEnd::unreachable;
    const auto outcome =
        faults_->below(2) == 0
            ? redis.complete(used.run, host.address(), used.token, end, "", holdings, {})
            : redis.claim(used.run, host.address(), holdings,
                          {used.token, 1, host.pieces().unwanted(), {}});
    if (used.run != run_.id && !std::holds_alternative<Stale>(outcome) &&
        now_ > damaged_at_ + kDamageLasts)
      broken("a call of another run has an effect");
  });
  deliver_wakes();
}

void Simulation::use_foreign_token(const Used& used) {
  const auto& owner = hosts_[used.puller]->address();
  const auto& thief = *hosts_[1 + faults_->below(hosts_.size() - 1)];
  if (thief.address() == owner) return;
  const auto claim = [&] {
    const auto answer = redis_.ask({"HGET", "sync:claims", used.token.text()});
    return answer.text() == nullptr ? "" : *answer.text();
  };
  std::string before;
  const bool has_answer = call_late([&](RedisCoordinator& redis) {
    // Now its lease does not lapse during the next call.
    static_cast<void>(redis.renew(used.run, owner, {used.token}));
    before = claim();
    const Holdings holdings{thief.pieces().servable(), thief.pieces().in_place().size()};
    if (faults_->below(2) == 0 && !before.empty()) {
      static_cast<void>(redis.claim(used.run, thief.address(), holdings,
                                    {used.token, 1, thief.pieces().unwanted(), {}}));
    } else {
      static_cast<void>(redis.complete(used.run, thief.address(), used.token, PullEnd::corrupt,
                                       "not its claim", holdings, {}));
    }
  });
  if (has_answer && claim() != before) broken("a host ends the claim of another one: " + before);
  deliver_wakes();
}

void Simulation::begin_newer_task() {
  if (payload_ == kNewerTasks) return;
  ++payload_;
  const auto former = run_.id;
  run_.id = new_name<RunId>();
  run_.fingerprint = new_name<Fingerprint>();
  run_.manifest = digest_of(fmt::format("manifest {}", payload_));
  staged_ = 0;
  redis_.call("begin", now_, [&](RedisCoordinator& coordinator) {
    static_cast<void>(coordinator.end(former, "overtaken", "", TaskAfter::stays));
    const auto outcome =
        coordinator.begin(run_, origin_uploads_, expected(), TaskKey::restore, scenario_.spread);
    if (!std::holds_alternative<Begun>(outcome) && now_ > damaged_at_ + kDamageLasts)
      broken("a newer task does not begin");
  });
  deliver_wakes();
  push(now_, Kind::staged, 0, payload_);
}

void Simulation::keep_snapshot() {
  if (snapshot_) return;
  snapshot_ = redis_.snapshot();
  push(now_ + faults_->between(1, 30), Kind::restores, 0);
}

void Simulation::restore() {
  if (!faults_->are_over(now_)) {
    damaged_at_ = now_;
    redis_.restart_from(*snapshot_);
  }
  snapshot_.reset();
}

}  // namespace libsync::simulation
