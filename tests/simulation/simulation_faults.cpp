// The part of a Simulation that is there with faults by a seed: mishaps, the virtual master, and
// the invariants of the state.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>

#include "os/random.h"
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
// A quarantine may last half an hour after many accusations, so this bound is no promise.
constexpr double kHealsWithin = 3600;

[[noreturn]] void broken(const std::string& what) {
  throw std::runtime_error("the functions or the puller are wrong: " + what);
}

using Counts = std::map<std::string, std::int64_t>;

std::map<std::string, std::string> hash_of(MeteredRedis& redis, const std::string& key) {
  std::map<std::string, std::string> all;
  const auto answer = redis.ask({"HGETALL", key});
  if (answer.array() == nullptr) return all;
  for (std::size_t i = 0; i + 1 < answer.array()->size(); i += 2) {
    const auto* const name = (*answer.array())[i].text();
    const auto* const value = (*answer.array())[i + 1].text();
    if (name != nullptr && value != nullptr) all.emplace(*name, *value);
  }
  return all;
}

Counts counts_of(MeteredRedis& redis, const std::string& key) {
  Counts counts;
  for (const auto& [name, value] : hash_of(redis, key)) {
    const auto count = std::stoll(value);
    if (count != 0) counts.emplace(name, count);
  }
  return counts;
}

std::string text_of(const Counts& counts) {
  std::string text;
  for (const auto& [name, count] : counts) text += fmt::format(" {}:{}", name, count);
  return text;
}

}  // namespace

CallFate Simulation::fate_of_call() {
  return faults_ ? faults_->fate_of_call(now_) : CallFate::normal;
}

bool Simulation::is_rotten() { return faults_ && faults_->is_rotten(now_); }

void Simulation::begin_faults() {
  push(now_ + kMasterEvery, Kind::master, 0);
  push(now_ + kMishapEvery * scenario_.file_time(), Kind::mishap, 0);
}

bool Simulation::is_healed() {
  if (!faults_->are_over(now_)) return false;
  return std::all_of(hosts_.begin() + 1, hosts_.end(), [](const auto& host) {
    return !host->is_dead() && host->finished_at() && host->has_published();
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
    pieces.push_back({piece, digest_of(std::to_string(piece))});
  }
  return pieces;
}

RunState Simulation::state_so_far() const {
  return staged_ == run_.cut.pieces() ? RunState::staged : RunState::staging;
}

void Simulation::act_as_master() {
  push(now_ + kMasterEvery, Kind::master, 0);
  Watch seen;
  redis_.call("watch", now_, [&](RedisCoordinator& coordinator) { seen = coordinator.watch(); });
  if (!seen.run) {
    damaged_at_ = now_;
    begin_again();
  } else if (now_ >= repaired_at_ + kRepairEvery) {
    repaired_at_ = now_;
    RunInfo known = run_;
    known.state = state_so_far();
    redis_.call("repair", now_, [&](RedisCoordinator& coordinator) {
      const auto outcome =
          coordinator.repair(known, random_name<RunId>(), cut_so_far(), expected());
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
  if (now_ - damaged_at_ > kDamageLasts) check_state();
  if (now_ > scenario_.faults_until * scenario_.file_time() + kHealsWithin) {
    std::string late;
    for (HostNumber i = 1; i < hosts_.size(); ++i) {
      if (!hosts_[i]->finished_at()) late += " " + hosts_[i]->address().text();
    }
    broken("these hosts never finish:" + late);
  }
}

// --- Mishaps ---

void Simulation::mishap() {
  if (faults_->are_over(now_)) return;
  push(now_ + faults_->between(0, 2 * kMishapEvery) * scenario_.file_time(), Kind::mishap, 0);
  const auto host = 1 + faults_->below(hosts_.size() - 1);
  switch (faults_->next_mishap()) {
    case Mishap::death:
      if (hosts_[host]->is_dead() || frozen_until_[host] > now_) return;
      hosts_[host]->die();
      drop_pulls(host);
      cut_off(host);
      return push(now_ + faults_->between(0.1, 20), Kind::revives, host);
    case Mishap::freeze:
      if (hosts_[host]->is_dead() || frozen_until_[host] > now_) return;
      return freeze(host, now_ + faults_->between(1, 60));
    case Mishap::slow_uplink:
      rates_[host].out = scenario_.rate / static_cast<double>(std::size_t{1} << faults_->below(8));
      if (frozen_until_[host] <= now_) network_->set_rates(host, rates_[host], now_);
      return;
    case Mishap::lost_key:
      return lose_key();
    case Mishap::flush:
      damaged_at_ = now_;
      static_cast<void>(redis_.ask({"FLUSHALL"}));
      return redis_.forget_wakes();
    case Mishap::intruder:
      return intrude();
    case Mishap::liar:
      return lie(host);
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

// --- Invariants ---

void Simulation::check_state() {
  Counts uploads;
  Counts pulls;
  for (const auto& [token, claim] : hash_of(redis_, "sync:claims")) {
    std::istringstream words(claim);
    std::string puller;
    std::string source;
    words >> puller >> source;
    ++pulls[puller];
    ++uploads[source];
    if (puller == source) broken(puller + " pulls from itself");
    if (redis_.ask({"ZSCORE", "sync:leases", token}).text() == nullptr) {
      broken("a claim has no lease: " + claim);
    }
  }
  const auto same = [&](const std::string& key, const Counts& right) {
    const auto there = counts_of(redis_, key);
    if (there != right) broken(key + " is" + text_of(there) + ", and should be" + text_of(right));
  };
  same("sync:uploads", uploads);
  same("sync:pulls", pulls);
  for (const auto& [host, when] : hash_of(redis_, "sync:done")) {
    const auto found = numbers_.find(host);
    if (found == numbers_.end()) broken("an unknown host has finished: " + host);
    if (!hosts_[found->second]->has_published())
      broken(host + " has finished and published nothing");
  }
  std::set<std::int64_t> seats;
  for (const auto& [seat, host] : hash_of(redis_, "sync:seats")) seats.insert(std::stoll(seat));
  if (!seats.empty() && *seats.rbegin() + 1 != static_cast<std::int64_t>(seats.size())) {
    broken("the seats have gaps");
  }
}

}  // namespace libsync::simulation
