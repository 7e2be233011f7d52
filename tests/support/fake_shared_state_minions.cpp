// FakeSharedState, the verbs of a minion.

#include <algorithm>

#include "fake_shared_state.h"

namespace libsync::test {

JoinOutcome FakeSharedState::join(const Address& host, Arrival arrival, SeatWish seat,
                                  Duration stays) {
  if (!has_functions) return NoLibrary{};
  seen_ms_[host] = now_ms();
  const bool wants_seat = seat == SeatWish::wanted;
  if (!run_) {
    lingers_until_ms_.erase(host);
    if (wants_seat && stays > Duration::zero()) {
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
  if (run.volunteer(host)) run.joined_ms = now_ms();
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
  run_->report(host, holdings, slots, clearance);
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
  run_->report(host, holdings, slots, clearance);
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
  run_->host(host).in_place = holdings.in_place;
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
  run_->report(host, {holdings.servable, run_->info.cut.pieces()}, slots, Clearance::none);
  state.waits_for.reset();
  state.is_running = false;
  state.error.clear();
  wake_waiting();
  return FinishOutcome::finished;
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

void FakeSharedState::leave(const RunId& run, const Address& host, Retreat retreat,
                            const std::string& reason) {
  if (!is_current(run)) return;
  auto& state = run_->host(host);
  run_->release_all(host);
  if (retreat == Retreat::altogether || !state.finished_ms) run_->vacate(host);
  state.is_running = false;
  run_->ticking.erase(host.text());
  state.waits_for.reset();
  if (!reason.empty()) state.error = reason;
  if (retreat == Retreat::altogether) {
    const PieceSet none(run_->info.cut.pieces());
    run_->hold(host, {none, 0});
    state.finished_ms.reset();
    state.in_place = 0;
  }
  wake_waiting();
}

}  // namespace libsync::test
