#include "simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "libsync/core/slots.h"

namespace libsync::simulation {
namespace {

// A run that lasts longer, in F/B, will never end.
constexpr double kFileTimesAtMost = 60;
// Events between two checks of the links. A check costs as much as some thousand events.
constexpr std::size_t kEventsBetweenChecks = 20'000;
// FluidNetwork settles to a tolerance, so a link may carry slightly more than its rate.
constexpr double kOverloadAtMost = 1.02;
// Outcome::fullness has this many entries for each F/B.
constexpr double kParts = 20;
constexpr Duration kLingers{20'000};
// The product samples the bytes of its pulls this often (rsync_transfer.cpp).
constexpr double kSampleEvery = 0.5;
// A pull without a byte ends after TransferLimits::stall, and a connection that nobody answers
// after rsync's --contimeout.
constexpr double kConnectTimeout = 10;
constexpr double kForever = std::numeric_limits<double>::infinity();
// A lingering host joins within this many seconds of its wake-up.
constexpr double kReaction = 0.010;

Address address_of(HostNumber number) {
  return *Address::parse(
      fmt::format("10.{}.{}.{}", number >> 16U, (number >> 8U) & 255U, number & 255U));
}

double seconds_of(Duration duration) { return std::chrono::duration<double>(duration).count(); }

[[noreturn]] void broken(const std::string& what) {
  throw std::runtime_error("the simulation or the functions are wrong: " + what);
}

}  // namespace

Simulation::Simulation(const Scenario& scenario)
    : scenario_(scenario),
      random_(scenario.seed),
      names_(scenario.seed),
      redis_(scenario.latency,
             scenario.faults_until > 0 ? std::optional(scenario.seed) : std::nullopt,
             scenario.functions),
      run_{.id = new_name<RunId>(),
           .task = std::get<TaskPath>(TaskPath::parse("/data/payload")),
           .fingerprint = new_name<Fingerprint>(),
           .cut = {static_cast<std::uint64_t>(scenario.bytes),
                   scenario.piece_bytes.value_or(choose_piece_bytes(
                       static_cast<std::uint64_t>(scenario.bytes), scenario.hosts))},
           .manifest = digest_of("manifest"),
           .origin = address_of(0),
           .master = new_name<MasterId>()},
      trace_(scenario.trace) {
  slots_ = scenario.slots.value_or(default_slots(run_.cut));
  origin_uploads_ = scenario.slots.value_or(default_origin_uploads(run_.cut));
  if (run_.cut.pieces() > kMaxPieces) broken("more pieces than there may be: enlarge --piece-size");
  const auto all = scenario.hosts + 1;
  rates_.assign(all, {scenario.rate, scenario.rate});
  frozen_until_.assign(all, 0);
  uploads_.assign(all, 0);
  has_left_origin_.assign(run_.cut.pieces(), false);
  hashes_until_.assign(all, 0);
  is_disturbed_.assign(all, false);
  lingers_.assign(all, true);
  for (HostNumber i = 0; i < all; ++i) {
    hosts_.push_back(std::make_unique<VirtualHost>(*this, i, address_of(i), run_, scenario.slots));
    numbers_.emplace(address_of(i).text(), i);
  }
  living_ = scenario.hosts;
  if (scenario.faults_until > 0) {
    faults_.emplace(scenario.seed, scenario.faults_until * scenario.file_time());
  }
  plan_troubles();
  network_ = std::make_unique<FluidNetwork>(rates_);
}

void Simulation::plan_troubles() {
  const auto& scenario = scenario_;
  std::vector<HostNumber> order(scenario.hosts);
  std::iota(order.begin(), order.end(), HostNumber{1});
  std::shuffle(order.begin(), order.end(), random_);
  auto next = order.begin();
  const auto some = [&](std::size_t count) {
    const auto first = next;
    next += std::min(static_cast<std::ptrdiff_t>(count), order.end() - next);
    for (auto host = first; host != next; ++host) is_disturbed_[*host] = true;
    return std::vector<HostNumber>(first, next);
  };
  const auto part = [&](double percent) {
    return some(static_cast<std::size_t>(
        std::llround(percent / 100 * static_cast<double>(scenario.hosts))));
  };
  const double file_time = scenario.file_time();
  for (const auto host : part(scenario.slow.percent)) {
    rates_[host].out /= scenario.slow.value;
    rates_[host].in /= scenario.slow.value;
  }
  for (const auto host : part(scenario.die.percent)) {
    push(scenario.die.value * file_time, Kind::dies, host);
  }
  for (const auto host : part(scenario.late.percent)) {
    push(scenario.late.value * file_time, Kind::joins, host);
    lingers_[host] = false;
  }
  for (const auto host : some(scenario.uplink.hosts)) rates_[host].out /= scenario.uplink.factor;
  const bool is_origin_frozen = scenario.freeze.lasts > 0 && scenario.freeze.hosts == 0;
  const auto frozen = is_origin_frozen ? std::vector<HostNumber>{0} : some(scenario.freeze.hosts);
  for (const auto host : frozen) push(scenario.freeze.at * file_time, Kind::freezes, host);
  for (const auto host : some(scenario.unplug.hosts)) {
    push(scenario.unplug.at * file_time, Kind::unplugs, host);
  }
}

Outcome Simulation::run() {
  // The late hosts do not linger.
  for (HostNumber i = 1; i < hosts_.size(); ++i) {
    if (!lingers_[i]) continue;
    redis_.prepare([&](RedisCoordinator& coordinator) {
      static_cast<void>(coordinator.join(hosts_[i]->address(), hosts_[i]->id(),
                                         Arrival::first_of_tick, SeatWish::wanted, kLingers));
    });
  }
  const double begun = redis_.call("begin", 0, [&](RedisCoordinator& coordinator) {
    const auto outcome =
        coordinator.begin(run_, origin_uploads_, expected(), TaskKey::leave, scenario_.spread);
    if (!std::holds_alternative<Begun>(outcome)) broken("the run does not begin");
  });
  if (!scenario_.slots && *redis_.ask({"HGET", "sync:run", "trees"}).text() != "0") {
    slots_ = kSlotsBesideTrees;
    origin_uploads_ = std::min(origin_uploads_, kSlotsBesideTrees);
  }
  now_ = begun;
  deliver_wakes();
  push(begun + static_cast<double>(run_.cut.bytes_of(0)) / scenario_.staging_rate, Kind::staged, 0);
  if (faults_) begin_faults();
  std::size_t finished = 0;
  Outcome outcome;
  while (!events_.empty() && (faults_ ? !is_healed_ : finished < living_)) {
    const Event event = events_.top();
    events_.pop();
    now_ = event.time;
    const bool is_endless = now_ > kFileTimesAtMost * scenario_.file_time() + 60;
    if (is_endless && !faults_) broken("the run does not end");
    const bool was = event.kind == Kind::answer && hosts_[event.subject]->finished_at().has_value();
    handle(event);
    predict_faster();
    if (event.kind == Kind::answer && !was && hosts_[event.subject]->finished_at()) ++finished;
    if (++handled_ % kEventsBetweenChecks == 0)
      worst_overload_ = std::max(worst_overload_, network_->worst_overload());
  }
  check();
  outcome.trace = trace_.sum();
  std::vector<double> ends;
  for (HostNumber i = 1; i < hosts_.size(); ++i) {
    outcome.pulls += hosts_[i]->pulls_started();
    outcome.second_attempts += hosts_[i]->second_attempts();
    const auto end = hosts_[i]->finished_at();
    if (hosts_[i]->is_dead() || !end) continue;
    ends.push_back(*end);
    if (!is_disturbed_[i]) outcome.last_undisturbed = std::max(outcome.last_undisturbed, *end);
  }
  std::sort(ends.begin(), ends.end());
  outcome.finished = ends.size();
  outcome.last = ends.empty() ? 0 : ends.back();
  outcome.median = ends.empty() ? 0 : ends[ends.size() / 2];
  outcome.origin_bytes = origin_bytes_;
  outcome.pieces = run_.cut.pieces();
  outcome.slots = slots_;
  outcome.last_first_copy = last_first_copy_;
  for (const double bytes : arrived_) {
    outcome.fullness.push_back(bytes / scenario_.bytes * kParts /
                               static_cast<double>(scenario_.hosts));
  }
  return outcome;
}

Expected Simulation::expected() const {
  Expected all{hosts_.size() - 1, {}};
  for (HostNumber i = 1; i < hosts_.size(); ++i) all.hosts.push_back(hosts_[i]->address().text());
  return all;
}

void Simulation::push(double time, Kind kind, std::size_t subject, std::uint64_t stamp) {
  events_.push({time, order_++, kind, subject, stamp});
}

void Simulation::schedule(HostNumber host, Due kind, double time) {
  const auto life = hosts_[host]->life();
  switch (kind) {
    case Due::step:
      return push(time, Kind::step, host, life);
    case Due::answer:
      return push(time, Kind::answer, host, life);
    case Due::wake:
      return push(time, Kind::wake, host, life);
    case Due::served:  // The host probes its own daemon first, which costs one rsync.
      return push(time + scenario_.start_cost, Kind::served, host, life);
    case Due::join:
      return push(time, Kind::joins, host, life);
  }
}

bool Simulation::is_held(const Event& event) {
  auto host = event.subject;
  switch (event.kind) {
    case Kind::staged:
    case Kind::dies:
    case Kind::freezes:
    case Kind::thaws:
    case Kind::unplugs:
    case Kind::master:
    case Kind::mishap:
    case Kind::revives:
    case Kind::restores:
      return false;
    case Kind::connected:
    case Kind::moved:
    case Kind::exited:
    case Kind::sampled:
    case Kind::stalled:
    case Kind::timed_out:
      host = pulls_[event.subject].to;
      break;
    default:
      break;
  }
  const double until = frozen_until_[host];
  if (until <= now_) return false;
  if (until < kForever) push(until, event.kind, event.subject, event.stamp);
  return true;
}

bool Simulation::is_void(const Event& event) const {
  switch (event.kind) {
    case Kind::step:
    case Kind::answer:
    case Kind::wake:
    case Kind::served:
    case Kind::joins:
      return event.stamp != hosts_[event.subject]->life();
    default:
      return false;
  }
}

void Simulation::handle(const Event& event) {
  if (faults_) {
    trace_.note(now_, fmt::format("event {}", static_cast<int>(event.kind)), event.subject,
                event.stamp);
  }
  if (is_void(event) || is_held(event)) return;
  switch (event.kind) {
    case Kind::step:
      return hosts_[event.subject]->step();
    case Kind::answer:
      return hosts_[event.subject]->answer();
    case Kind::wake:
      return hosts_[event.subject]->woken();
    case Kind::served:
      return hosts_[event.subject]->served();
    case Kind::connected:
      if (pulls_[event.subject].stamp == event.stamp) connect(event.subject);
      return;
    case Kind::moved:
      if (pulls_[event.subject].stamp == event.stamp) move(event.subject);
      return;
    case Kind::exited:
      if (pulls_[event.subject].stamp == event.stamp) settle_pull(event.subject, PullEnd::good);
      return;
    case Kind::judged:
      return hosts_[event.subject]->piece_judged(static_cast<PieceNumber>(event.stamp));
    case Kind::staged:
      if (event.stamp == payload_) stage();
      return;
    case Kind::joins:
      return hosts_[event.subject]->join();
    case Kind::dies:
      return die(event.subject);
    case Kind::freezes:
      return freeze(event.subject, now_ + scenario_.freeze.lasts * scenario_.file_time());
    case Kind::thaws:
      return thaw(event.subject);
    case Kind::unplugs:
      return unplug(event.subject);
    case Kind::sampled:
      if (runs(event.subject, event.stamp)) sample(event.subject);
      return;
    case Kind::stalled:
      if (runs(event.subject, event.stamp) && frozen_until_[pulls_[event.subject].from] > now_)
        settle_pull(event.subject, PullEnd::unreachable);
      return;
    case Kind::timed_out:
      if (runs(event.subject, event.stamp)) settle_pull(event.subject, PullEnd::unreachable);
      return;
    case Kind::ends:
      return end_pull_of(event.subject, event.stamp);
    case Kind::master:
      return act_as_master();
    case Kind::mishap:
      return mishap();
    case Kind::revives:
      return hosts_[event.subject]->revive();
    case Kind::restores:
      return restore();
  }
}

void Simulation::stage() {
  const auto piece = staged_++;
  const bool is_last = staged_ == run_.cut.pieces();
  redis_.call("stage", now_, [&](RedisCoordinator& coordinator) {
    const auto outcome = coordinator.stage(run_.id, {{piece, content_of(piece)}},
                                           is_last ? RunState::staged : RunState::staging);
    // With faults the virtual master stages it again.
    if (!faults_ && !std::holds_alternative<Done>(outcome)) broken("a piece cannot be staged");
  });
  deliver_wakes();
  if (!is_last) {
    push(now_ + static_cast<double>(run_.cut.bytes_of(staged_)) / scenario_.staging_rate,
         Kind::staged, 0, payload_);
  }
}

Digest Simulation::content_of(PieceNumber piece) const {
  return digest_of(fmt::format("{} {}", payload_, piece));
}

void Simulation::deliver_wakes() {
  for (const auto& text : redis_.new_wakes()) {
    const auto host = numbers_.at(text);
    if (!lingers_[host] && !hosts_[host]->is_listening()) continue;
    const auto [is_woken, answered] = redis_.listen(hosts_[host]->address(), now_);
    if (!is_woken) broken("a wake-up is lost");
    if (lingers_[host]) {
      lingers_[host] = false;
      std::uniform_real_distribution<double> reaction(0, kReaction);
      push(answered + reaction(random_), Kind::joins, host);
    } else {
      schedule(host, Due::wake, answered);
    }
  }
}

std::optional<Digest> Simulation::content_at(HostNumber source, HostNumber puller,
                                             PieceNumber piece) const {
  const auto& wanted = hosts_[puller]->run().fingerprint;
  if (source == 0) {
    const bool is_there = piece < staged_ && run_.fingerprint == wanted;
    return is_there ? std::optional(content_of(piece)) : std::nullopt;
  }
  return hosts_[source]->run().fingerprint == wanted ? hosts_[source]->in_spool(piece)
                                                     : std::nullopt;
}

HostNumber Simulation::number_of(const Address& address) const {
  return numbers_.at(address.text());
}

void Simulation::claim_granted(HostNumber puller, const Claim& claim) {
  if (faults_) {  // The invariants of the state replace these checks.
    used_.push_back({puller, claim.token, hosts_[puller]->run().id, false});
    return;
  }
  const auto from = number_of(claim.source);
  sources_of_claims_.emplace(claim.token.text(), from);
  // The claims of a host that is frozen for long lapse, and nobody counts that here.
  const bool is_exact = scenario_.freeze.lasts <= 0;
  if (++uploads_[from] > (from == 0 ? origin_uploads_ : slots_) && is_exact)
    broken(claim.source.text() + " has more claims than slots");
  for (const auto& staged : claim.pieces) {
    if (!content_at(from, puller, staged.piece))
      broken(claim.source.text() + " should serve a piece that it does not have");
  }
}

void Simulation::claim_ended(const Token& token) {
  if (faults_) {
    for (auto& used : used_) used.is_over = used.is_over || used.token == token;
    return;
  }
  const auto found = sources_of_claims_.find(token.text());
  if (found == sources_of_claims_.end()) broken("a claim is completed twice");
  --uploads_[found->second];
  sources_of_claims_.erase(found);
}

TransferId Simulation::start_pull(HostNumber host, const Assignment& assignment) {
  if (unused_pulls_.empty()) {
    unused_pulls_.push_back(pulls_.size());
    pulls_.emplace_back();
  }
  const auto index = unused_pulls_.back();
  unused_pulls_.pop_back();
  Pull& pull = pulls_[index];
  pull.to = host;
  pull.from = number_of(assignment.source);
  pull.id = next_id_++;
  pull.pieces.clear();
  for (const auto& staged : assignment.pieces) pull.pieces.push_back(staged.piece);
  pull.next = 0;
  pull.boundary = 0;
  pull.flow.reset();
  pull.token = assignment.token;
  pull.is_over = false;
  pull.sampled = 0;
  push(now_ + kSampleEvery, Kind::sampled, index, pull.id);
  push(now_ + scenario_.start_cost, Kind::connected, index, ++pull.stamp);
  return pull.id;
}

bool Simulation::runs(std::size_t index, TransferId id) const {
  return !pulls_[index].is_over && pulls_[index].id == id;
}

void Simulation::connect(std::size_t index) {
  Pull& pull = pulls_[index];
  if (const double until = frozen_until_[pull.from]; until > now_) {
    const auto patience = until < kForever ? seconds_of(TransferLimits::stall) : kConnectTimeout;
    push(now_ + patience, Kind::stalled, index, pull.id);
    if (until < kForever) push(until, Kind::connected, index, pull.stamp);
    return;
  }
  if (hosts_[pull.from]->is_dead()) return settle_pull(index, PullEnd::unreachable);
  if (const auto cut = cut_until_.find({pull.to, pull.from});
      cut != cut_until_.end() && cut->second > now_) {
    return push(now_ + kConnectTimeout, Kind::timed_out, index, pull.id);
  }
  // The host may start other pulls during this call, which invalidates `pull`, and end this one.
  const auto id = pull.id;
  hosts_[pull.to]->file_arrived(id, std::nullopt, std::nullopt);
  if (!runs(index, id)) return;
  if (!pulls_[index].token || faults_) {
    const auto [to, from] = std::pair(pulls_[index].to, pulls_[index].from);
    std::erase_if(pulls_[index].pieces,
                  [&](PieceNumber piece) { return !content_at(from, to, piece); });
  }
  if (pulls_[index].pieces.empty()) return exit_soon(index);
  Pull& connected = pulls_[index];
  connected.boundary = static_cast<double>(run_.cut.bytes_of(connected.pieces[0]));
  const auto flow = network_->open(connected.from, connected.to, now_);
  connected.flow = flow;
  if (pull_of_flow_.size() <= flow) pull_of_flow_.resize(flow + 1);
  pull_of_flow_[flow] = index;
  predict(index);
}

void Simulation::predict(std::size_t index) {
  Pull& pull = pulls_[index];
  const double left = pull.boundary - network_->moved(*pull.flow, now_);
  const double rate = network_->rate(*pull.flow);
  ++pull.stamp;
  if (rate <= 0) return;  // predict_faster() predicts again.
  push(now_ + std::max(0.0, left) / rate, Kind::moved, index, pull.stamp);
}

void Simulation::predict_faster() {
  for (const auto flow : network_->pop_faster()) predict(pull_of_flow_[flow]);
}

void Simulation::move(std::size_t index) {
  Pull& pull = pulls_[index];
  // Rounding may leave a byte. If more is missing, the flow has become slower.
  if (network_->moved(*pull.flow, now_) < pull.boundary - 1) return predict(index);
  const auto piece = pull.pieces[pull.next];
  const auto id = pull.id;
  const auto to = pull.to;
  auto content = content_at(pull.from, to, piece);
  if (content && faults_ && faults_->is_rotten(now_)) content = digest_of("rotten");
  ++pull.next;
  if (pull.next < pull.pieces.size()) {
    pull.boundary += static_cast<double>(run_.cut.bytes_of(pull.pieces[pull.next]));
    predict(index);
  } else {
    close_flow(pull);
  }
  const bool is_last = !pull.flow;
  if (content) hosts_[to]->file_arrived(id, piece, content);
  if (!has_left_origin_[piece]) last_first_copy_ = now_;
  has_left_origin_[piece] = true;
  const auto part = static_cast<std::size_t>(now_ / scenario_.file_time() * kParts);
  if (arrived_.size() <= part) arrived_.resize(part + 1);
  arrived_[part] += static_cast<double>(run_.cut.bytes_of(piece));
  if (is_last && runs(index, id)) exit_soon(index);
}

// A host hashes its pieces in turn, on one core.
void Simulation::judge(HostNumber host, PieceNumber piece) {
  const double hashing = scenario_.hash_rate > 0
                             ? static_cast<double>(run_.cut.bytes_of(piece)) / scenario_.hash_rate
                             : 0;
  hashes_until_[host] = std::max(hashes_until_[host], now_) + hashing;
  push(hashes_until_[host], Kind::judged, host, piece);
}

void Simulation::exit_soon(std::size_t index) {
  if (scenario_.end_cost <= 0) return settle_pull(index, PullEnd::good);
  push(now_ + scenario_.end_cost, Kind::exited, index, ++pulls_[index].stamp);
}

void Simulation::end_pull(HostNumber host, TransferId id) { push(now_, Kind::ends, host, id); }

void Simulation::end_pull_of(HostNumber host, TransferId id) {
  for (std::size_t i = 0; i < pulls_.size(); ++i) {
    const Pull& pull = pulls_[i];
    if (!pull.is_over && pull.to == host && pull.id == id)
      return settle_pull(i, PullEnd::unreachable);
  }
}

void Simulation::close_flow(Pull& pull) {
  if (pull.from == 0) origin_bytes_ += network_->moved(*pull.flow, now_);
  network_->close(*pull.flow, now_);
  pull.flow.reset();
  ++pull.stamp;
}

void Simulation::settle_pull(std::size_t index, PullEnd end) {
  Pull& pull = pulls_[index];
  const auto to = pull.to;
  const auto id = pull.id;
  if (pull.flow) close_flow(pull);
  ++pull.stamp;
  pull.is_over = true;
  unused_pulls_.push_back(index);
  hosts_[to]->pull_ended(id, end);
}

void Simulation::drop_pulls(HostNumber host) {
  for (std::size_t i = 0; i < pulls_.size(); ++i) {
    Pull& pull = pulls_[i];
    if (pull.is_over || pull.to != host) continue;
    if (pull.flow) close_flow(pull);
    ++pull.stamp;
    pull.is_over = true;
    unused_pulls_.push_back(i);
    // Its claim will lapse, unless it is complete already.
    const auto claim = sources_of_claims_.extract(pull.token ? pull.token->text() : "");
    if (!claim.empty()) --uploads_[claim.mapped()];
  }
}

void Simulation::die(HostNumber host) {
  if (hosts_[host]->finished_at()) return;
  hosts_[host]->die();
  --living_;
  drop_pulls(host);
  cut_off(host);
}

void Simulation::cut_off(HostNumber host) {
  std::vector<std::size_t> lost;
  for (std::size_t i = 0; i < pulls_.size(); ++i) {
    if (!pulls_[i].is_over && pulls_[i].from == host && pulls_[i].flow) lost.push_back(i);
  }
  for (const auto i : lost) settle_pull(i, PullEnd::unreachable);
}

void Simulation::sample(std::size_t index) {
  Pull& pull = pulls_[index];
  push(now_ + kSampleEvery, Kind::sampled, index, pull.id);
  if (!pull.flow) return;
  const double moved = network_->moved(*pull.flow, now_);
  if (moved - std::exchange(pull.sampled, moved) < 1) return;
  hosts_[pull.to]->bytes_moved(pull.id);
}

void Simulation::freeze(HostNumber host, double until) {
  frozen_until_[host] = until;
  network_->set_rates(host, {0, 0}, now_);
  for (std::size_t i = 0; i < pulls_.size(); ++i) {
    const Pull& pull = pulls_[i];
    if (pull.is_over || pull.from != host) continue;
    push(now_ + seconds_of(TransferLimits::stall), Kind::stalled, i, pull.id);
  }
  if (until < kForever) push(until, Kind::thaws, host);
}

void Simulation::thaw(HostNumber host) { network_->set_rates(host, rates_[host], now_); }

// Its processes go on, but nobody ever hears of them.
void Simulation::unplug(HostNumber host) {
  freeze(host, kForever);
  if (hosts_[host]->finished_at()) return;
  hosts_[host]->die();
  --living_;
}

void Simulation::check() {
  if (faults_) return check_end();
  for (HostNumber i = 1; i < hosts_.size(); ++i) {
    const auto& host = *hosts_[i];
    if (host.is_dead()) continue;
    if (!host.finished_at() || !host.pieces().in_place().is_complete()) {
      broken(host.address().text() + " is not complete");
    }
    if (host.pulls_in_hand() > 0) broken(host.address().text() + " still holds claims");
  }
  const auto claims = redis_.ask({"HVALS", "sync:claims"});
  for (const auto& claim : *claims.array()) {
    const auto puller = claim.text()->substr(0, claim.text()->find(' '));
    if (!hosts_[numbers_.at(puller)]->is_dead())
      broken("a living host holds a claim: " + *claim.text());
  }
  const auto done = redis_.ask({"HLEN", "sync:done"});
  if (*done.number() < static_cast<std::int64_t>(living_))
    broken("Redis counts fewer finished hosts");
  if (worst_overload_ > kOverloadAtMost) {
    broken(fmt::format("a link carried {:.3f} times its rate", worst_overload_));
  }
}

}  // namespace libsync::simulation
