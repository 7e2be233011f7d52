// FakeSharedState, the verbs of a minion.

#include <algorithm>

#include "fake_shared_state.h"

namespace libsync::test {

namespace {

constexpr std::uint64_t kBetweenTicksMs = 150'000;
constexpr std::uint64_t kSilentMs = 30'000;

}  // namespace

// --- Ids: the rules of functions/ids.lua ---

bool FakeSharedState::is_live(const Address& host) const {
  const auto seen = seen_ms_.find(host);
  if (seen == seen_ms_.end()) return true;
  const auto name = host.text();
  const bool is_in_run = run_ && run_->ticking.contains(name) && !run_->has_finished(name);
  return now_ms() - seen->second <= (is_in_run ? kSilentMs : kBetweenTicksMs);
}

bool FakeSharedState::is_at_work(const Address& host) const {
  const auto seen = seen_ms_.find(host);
  if (seen != seen_ms_.end() && now_ms() - seen->second > kSilentMs) return false;
  if (run_) return run_->ticking.contains(host.text());
  const auto lingers = lingers_until_ms_.find(host);
  return lingers != lingers_until_ms_.end() && lingers->second > now_ms();
}

bool FakeSharedState::has_moved(const std::string& name) const {
  const auto id = ids_.find(Address::parse(name).value());
  if (id == ids_.end()) return false;
  const auto home = address_of_.find(id->second);
  return home == address_of_.end() || home->second.text() != name;
}

void FakeSharedState::move(const Address& old) {
  if (run_) {
    retreat(old, Retreat::altogether);
    run_->host(old).error.clear();
    if (!run_->is_named) {
      run_->host(old).finished_ms.reset();
      run_->progress(old, 0, now_ms());
      run_->joined_hosts.insert(old.text());
    }
  }
  seen_ms_.erase(old);
  lingers_until_ms_.erase(old);
}

std::optional<JoinOutcome> FakeSharedState::identify(const Address& host, const HostId& id) {
  if (id == HostId()) return std::nullopt;
  const auto owner = ids_.find(host);
  const bool was_here = owner != ids_.end() && owner->second == id;
  if (owner != ids_.end() && !was_here && !has_moved(host.text())) {
    if (is_live(host)) {
      const auto seen = seen_ms_.contains(host) ? seen_ms_.at(host) : now_ms();
      return AddressInUse{std::chrono::milliseconds(now_ms() - seen)};
    }
    address_of_.erase(owner->second);
  }
  const auto home = address_of_.find(id);
  if (home != address_of_.end() && home->second != host) {
    const auto old = home->second;
    if (is_at_work(old) || (was_here && is_live(old))) return IdInUse{old.text()};
    move(old);
  }
  ids_[host] = id;
  address_of_.insert_or_assign(id, host);
  return std::nullopt;
}

// --- The verbs ---

JoinOutcome FakeSharedState::join(const Address& host, const HostId& id, Arrival arrival,
                                  SeatWish seat, Duration stays) {
  if (!has_functions) return NoLibrary{};
  if (const auto refusal = identify(host, id)) return *refusal;
  seen_ms_[host] = now_ms();
  const bool wants_seat = seat == SeatWish::wanted;
  const bool waits = wants_seat && stays > Duration::zero();
  if (!run_) {
    lingers_until_ms_.erase(host);
    if (waits) {
      lingers_until_ms_[host] = now_ms() + static_cast<std::uint64_t>(stays.count());
    }
    return NoRun{last_run_, last_begun_ms_};
  }
  auto& run = *run_;
  if (arrival == Arrival::first_of_tick) {
    run.release_all(host);
    wake_waiting();
  }
  run.ticking.insert(host.text());
  if (run.has_finished(host.text()) && !waits) run.ticking.erase(host.text());
  if (run.volunteer(host)) run.joined_ms = now_ms();
  if (!run.has_finished(host.text())) {
    accounts_.try_emplace(
        host, HostAccount{
                  .address = host, .has_come = true, .joined = since(run.info.begun_ms, now_ms())});
  }
  if (format == RunFormat::other) return OtherVersion{run.info.id, run.info.task};
  Joined joined{run.info, run.host(host).finished_ms.has_value(),
                run.view(host, now_ms()).suspicion, std::nullopt};
  if (wants_seat && run.info.has_trees && !joined.is_finished && host != run.info.origin) {
    joined.seat = run.seat_of(host, PieceSet(run.info.cut.pieces()));
    run.host(host).is_running = true;
  }
  return joined;
}

std::vector<StagedPiece> FakeSharedState::digests(const RunId& run,
                                                  const std::vector<PieceNumber>& pieces) {
  if (!is_current(run)) return {};
  return run_->announced_of(pieces);
}

ViewOutcome FakeSharedState::report(const RunId& run, const Address& host, const Holdings& holdings,
                                    unsigned slots, Clearance clearance) {
  if (!is_current(run)) return Stale{};
  seen_ms_[host] = now_ms();
  if (slots == 0) run_->vacate(host);
  run_->report(host, holdings, slots, clearance, now_ms());
  run_->reap(now_ms());
  wake_waiting();
  return run_->view(host, now_ms());
}

SeatOutcome FakeSharedState::report_from_seat(const RunId& run, const Address& host,
                                              const Holdings& holdings, unsigned slots,
                                              Clearance clearance, const PieceSet& known,
                                              const std::vector<ParentFeedback>& feedback) {
  if (!is_current(run) || !run_->info.has_trees) return Stale{};
  for (const auto& one : feedback) run_->feed_back(host, one, now_ms());
  auto& state = run_->host(host);
  state.waits_for.reset();
  state.is_running = !state.finished_ms;
  seen_ms_[host] = now_ms();
  run_->report(host, holdings, slots, clearance, now_ms());
  run_->reap(now_ms());
  wake_waiting();
  return Seated{run_->view(host, now_ms()), run_->seat_of(host, known)};
}

ClaimOutcome FakeSharedState::claim(const RunId& run, const Address& host, const Holdings& holdings,
                                    const Want& want) {
  if (!is_current(run)) return Stale{};
  seen_ms_[host] = now_ms();
  run_->reap(now_ms());
  run_->hold(host, holdings);
  return run_->claim(host, want, now_ms());
}

ClaimOutcome FakeSharedState::complete(const RunId& run, const Address& host, const Token& token,
                                       PullEnd end, const std::string& detail,
                                       const Holdings& holdings, const std::optional<Want>& next) {
  if (!is_current(run)) return Stale{};
  run_->reap(now_ms());
  run_->hold(host, holdings);
  run_->progress(host, holdings.in_place, now_ms());
  const auto held = run_->claims.find(token);
  if (held != run_->claims.end() && held->second.puller == host) {
    const auto source = held->second.source;
    if (end == PullEnd::good) run_->measure(held->second, now_ms());
    run_->release(token);
    if (end == PullEnd::good) {
      run_->absolve(host, source);
    } else if (end == PullEnd::local) {
      run_->host(host).error = detail;
    } else {
      if (end != PullEnd::busy) run_->host(host).error = detail;
      run_->accuse(host, source, end, now_ms());
      if (run_->host(source).is_suspect) wake(source);
    }
  }
  ClaimOutcome answer = Wait{run_->view(host, now_ms())};
  if (next) answer = run_->claim(host, *next, now_ms());
  wake_waiting();
  return answer;
}

std::optional<RunState> FakeSharedState::state_of(const RunId& run) const {
  if (!run_ || run_->info.id != run) return std::nullopt;
  return run_->info.state;
}

RenewOutcome FakeSharedState::renew(const RunId& run, const Address& host,
                                    const std::vector<Token>& tokens) {
  if (!is_current(run)) return Stale{};
  seen_ms_[host] = now_ms();
  const auto lifetime = std::chrono::duration_cast<Duration>(LeaseTerms::lifetime).count();
  for (const auto& token : tokens) {
    const auto held = run_->claims.find(token);
    if (held == run_->claims.end()) continue;
    held->second.lapses_ms = now_ms() + static_cast<std::uint64_t>(lifetime);
  }
  return Renewed{run_->view(host, now_ms())};
}

FinishOutcome FakeSharedState::finish(const RunId& run, const Address& host, const Digest& manifest,
                                      const Holdings& holdings, unsigned slots) {
  if (!is_current(run)) return FinishOutcome::stale;
  if (run_->info.state != RunState::staged) return FinishOutcome::early;
  if (run_->info.manifest != manifest) return FinishOutcome::other;
  auto& state = run_->host(host);
  if (!state.finished_ms) state.finished_ms = now_ms();
  seen_ms_[host] = now_ms();
  run_->volunteer(host);
  if (!holdings.servable.is_complete()) run_->vacate(host);
  run_->report(host, {holdings.servable, run_->info.cut.pieces()}, slots, Clearance::none,
               now_ms());
  state.waits_for.reset();
  state.is_running = false;
  state.error.clear();
  wake_waiting();
  return FinishOutcome::finished;
}

void FakeSharedState::report_fault(const RunId& run, const Address& host, Fault fault,
                                   const std::string& reason) {
  if (is_current(run)) {
    auto& known = run_->host(host);
    (fault == Fault::feed ? known.feed_fault : known.hook_fault) = reason;
  } else if (last_ && last_run_ == run && fault == Fault::hook) {
    for (auto& known : last_->hosts) {
      if (known.address == host.text()) known.hook_fault = reason;
    }
  }
}

void FakeSharedState::show_work(const RunId& run, const Address& host, const std::string& text) {
  if (!is_current(run)) return;
  seen_ms_[host] = now_ms();
  run_->host(host).work = text;
}

void FakeSharedState::doubt(const RunId& run, const Address& host, const std::string& reason) {
  if (!is_current(run) || host != run_->info.origin) return;
  run_->host(host).error = reason;
  if (run_->is_masters_spool(host)) {
    run_->host(host).is_suspect = true;
  } else {
    run_->is_undelivered = true;
  }
}

void FakeSharedState::retreat(const Address& host, Retreat how) {
  auto& state = run_->host(host);
  run_->release_all(host);
  if (how == Retreat::altogether || !state.finished_ms) run_->vacate(host);
  state.is_running = false;
  run_->ticking.erase(host.text());
  state.waits_for.reset();
  if (how == Retreat::altogether) {
    run_->hold(host, {PieceSet(run_->info.cut.pieces()), state.in_place});
  }
  wake_waiting();
}

void FakeSharedState::leave(const RunId& run, const Address& host, Retreat how,
                            const std::string& reason) {
  if (!is_current(run)) return;
  retreat(host, how);
  auto& state = run_->host(host);
  if (!reason.empty()) state.error = reason;
  if (how == Retreat::altogether) {
    state.finished_ms.reset();
    run_->progress(host, 0, now_ms());
  }
}

}  // namespace libsync::test
