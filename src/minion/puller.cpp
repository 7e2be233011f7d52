#include "minion/puller.h"

#include <algorithm>
#include <array>
#include <utility>

namespace libsync {
namespace {

// Interval of the checks of the run before publishing, when no wake-up comes.
constexpr std::chrono::seconds kCheckEvery{1};

template <typename... Kinds>
bool is_one_of(const Act& act) {
  return (std::holds_alternative<Kinds>(act) || ...);
}

bool is_call(const Act& act) {
  return is_one_of<AskClaim, CompleteClaim, Report, ReportFromSeat, Renew, AskDigests, CheckRun,
                   Finish, Doubt>(act);
}

/// The completion of a claim for which no pull was started.
bool is_without_pull(const Act& act) {
  const auto* const completed = std::get_if<CompleteClaim>(&act);
  return completed != nullptr && !completed->pull;
}

}  // namespace

Puller::Puller(PieceTable& pieces, Terms terms, const std::optional<Seat>& seat, Instant now)
    : pieces_(pieces),
      terms_(std::move(terms)),
      ledger_(pieces),
      claims_(terms_.slots.value_or(default_slots(terms_.cut)), timers_, terms_.make_token),
      trees_(pieces.size(), now),
      offer_(pieces, terms_.delivery),
      candidates_(pieces, terms_.delivery, timers_, now) {
  for (const auto timer : {Timer::ask, Timer::back_off, Timer::check}) timers_.set(timer, now);
  timers_.set(Timer::renewal, now + LeaseTerms::renewal);
  if (seat) {
    for (const auto& piece : seat->digests) pieces_.announce(piece);
    trees_.seated(*seat);
    offer_.joined(now);
    patience_ = Trees::patience;
  }
  probe();
}

// --- The policy ---

// A host that is not served has no seat, because its children would wait for it.
bool Puller::is_seated() const {
  return terms_.has_trees && terms_.delivery == Delivery::pulled && !terms_.slots &&
         !offer_.is_unserved();
}

const PullPolicy& Puller::policy() const {
  if (is_seated()) return trees_;
  return claims_;
}

PullPolicy& Puller::policy() {
  if (is_seated()) return trees_;
  return claims_;
}

// A host that pulls pieces from here may need the manifest as well.
unsigned Puller::offered() const {
  return offer_.is_served() && disk_.has_manifest ? policy().slots() : 0;
}

Situation Puller::situation(Instant now) const {
  const auto offers = offered();
  return {.pieces = pieces_,
          .ledger = ledger_,
          .now = now,
          .offered = offers,
          .is_served = offer_.is_served(),
          .has_news = offer_.has_news(offers),
          .reported_at = offer_.reported_at(),
          .clearance = offer_.clearance(disk_.is_reverifying),
          .view = view_,
          .has_spare_room = disk_.has_spare_room};
}

// --- Events ---

void Puller::on(const FileArrived& file, Instant now) {
  const auto arrived = ledger_.arrived(file);
  if (std::holds_alternative<NotAwaited>(arrived)) return;
  const auto* const piece = std::get_if<PieceArrived>(&arrived);
  if (piece == nullptr) {
    ready_.emplace_back(JudgeManifest{});
    return;
  }
  claims_.arrived(file.id, now);
  trees_.arrived(file.id, now);
  ready_.emplace_back(JudgePiece{piece->piece, piece->attempt});
}

std::optional<Address> Puller::on(const Judgement& judgement) {
  auto judged = ledger_.judged(judgement);
  if (judged.source) claims_.succeeded();
  for (const auto id : judged.superseded) ready_.emplace_back(EndPull{id, "came second"});
  while (const auto piece = ledger_.next_delivered()) {
    ready_.emplace_back(JudgePiece{piece->piece, piece->attempt});
  }
  return std::move(judged.source);
}

void Puller::on(const BytesMoved& moved, Instant now) {
  claims_.moved(moved.id, now);
  trees_.moved(moved.id, now);
}

void Puller::on(const TransferEnded& ended) { ledger_.ended(ended); }

void Puller::on(const PullStarted& started, Instant now) {
  auto assignment = std::exchange(starting_, std::nullopt).value();
  const bool is_claim = assignment.token.has_value();
  ledger_.add(started.id, std::move(assignment));
  if (is_claim) {
    claims_.started(started.id, now);
  } else {
    trees_.started(started.id, now);
  }
}

void Puller::on(const Probed& probed) { offer_.probed(!probed.fault); }

// A listening that lapses counts as a wake-up, in case that was lost.
void Puller::on(Listening heard, Instant now) {
  if (heard == Listening::on) return;
  for (const auto timer : {Timer::ask, Timer::digests, Timer::check}) timers_.set(timer, now);
  if (heard == Listening::woken) trees_.woken();
}

// --- Answers of Redis ---

Puller::Call Puller::answered() { return std::exchange(call_, std::nullopt).value(); }

// The ledger does not know a claim without a pull, so its completion is repeated from here.
void Puller::on(CallFailed) {
  const auto call = std::exchange(call_, std::nullopt);
  if (call && is_without_pull(call->act)) ready_.push_front(call->act);
}

void Puller::note(const View& view) {
  view_ = view;
  offer_.note(view.suspicion);
}

void Puller::on(const ClaimOutcome& outcome, Instant now) {
  auto call = answered();
  const auto* const completed = std::get_if<CompleteClaim>(&call.act);
  if (completed != nullptr && completed->pull) {
    ledger_.forget(*completed->pull);
    offer_.reported(std::move(call.servable), offer_.reported_slots(), call.asked);
  }
  if (const auto* const claimed = std::get_if<Claimed>(&outcome)) {
    note(claimed->view);
    ready_.push_back(claims_.granted(claimed->claim, pieces_, ledger_, manifests_now()));
  } else if (const auto* const wait = std::get_if<Wait>(&outcome)) {
    note(wait->view);
    if (completed == nullptr || completed->next) {
      patience_ = wait->patience;
      claims_.wait(now + 2 * patience_);  // A wake-up, or the end of listening, comes before this.
    }
  } else if (const auto* const refused = std::get_if<Unusable>(&outcome)) {
    failed(PullEnd::refused, Claims::fault_of(*refused), now);
    ready_.emplace_back(claims_.unusable(*refused, now));
  } else {
    is_over_ = true;
  }
  if (completed != nullptr && completed->pull && completed->end != PullEnd::good) {
    failed(completed->end, completed->detail, now);
  }
}

void Puller::failed(PullEnd end, const std::string& detail, Instant now) {
  auto failure = claims_.failed(end, detail, ledger_.size(), now);
  if (failure) {
    ready_.emplace_back(GiveUp{*std::move(failure)});
  } else if (end != PullEnd::busy) {
    ready_.emplace_back(Warn{detail});
  }
}

void Puller::on(const ViewOutcome& outcome, Instant) {
  auto call = answered();
  const auto& report = std::get<Report>(call.act);
  offer_.reported(std::move(call.servable), report.slots, call.asked);
  offer_.cleared(report.clearance);
  timers_.clear(Timer::report);
  if (const auto* const view = std::get_if<View>(&outcome)) {
    note(*view);
  } else {
    is_over_ = true;
  }
}

void Puller::on(const SeatOutcome& outcome, Instant) {
  auto call = answered();
  const auto& report = std::get<ReportFromSeat>(call.act);
  offer_.reported(std::move(call.servable), report.slots, call.asked);
  offer_.cleared(report.clearance);
  trees_.reported();
  patience_ = Trees::patience;
  if (const auto* const seated = std::get_if<Seated>(&outcome)) {
    for (const auto& piece : seated->seat.digests) pieces_.announce(piece);
    trees_.seated(seated->seat);
    note(seated->view);
    if (pieces_.candidates() > 0) ready_.emplace_back(CheckCandidates{});
  } else {
    is_over_ = true;
  }
}

void Puller::on(const RenewOutcome& outcome, Instant now) {
  static_cast<void>(answered());
  timers_.set(Timer::renewal, now + LeaseTerms::renewal);
  // After a loss of data Redis learns the holdings of this host again. A lost token needs nothing,
  // because verified pieces count without it.
  if (!policy().reports_regularly()) timers_.set(Timer::report, now);
  probe();
  if (const auto* const renewed = std::get_if<Renewed>(&outcome)) {
    note(renewed->view);
  } else {
    is_over_ = true;
  }
}

void Puller::on(const Digests& digests, Instant now) {
  const auto call = answered();
  for (const auto& piece : digests.pieces) pieces_.announce(piece);
  if (!offer_.needs_digests()) {
    candidates_.asked(now);
    ready_.emplace_back(CheckCandidates{});
  } else if (digests.pieces.size() == std::get<AskDigests>(call.act).pieces.size()) {
    offer_.begin_reverifying();
    ready_.emplace_back(Warn{"other hosts got wrong bytes from here: hashing the spool again"});
    ready_.emplace_back(Reverify{});
  } else {
    offer_.put_off();
  }
}

void Puller::on(const RunChecked& checked, Instant now) {
  static_cast<void>(answered());
  if (!checked.state) {
    is_over_ = true;
  } else if (*checked.state == RunState::staged) {
    timers_.set(Timer::check, now);
    ready_.emplace_back(Publish{});
  }
}

void Puller::on(FinishOutcome outcome, Instant) {
  auto call = answered();
  offer_.reported(std::move(call.servable), std::get<Finish>(call.act).slots, call.asked);
  if (outcome == FinishOutcome::finished) is_finished_ = true;
  if (outcome == FinishOutcome::other || outcome == FinishOutcome::stale) is_over_ = true;
}

void Puller::on(Doubted, Instant now) {
  static_cast<void>(answered());
  candidates_.doubted(now);
}

// --- Decisions ---

std::optional<Act> Puller::next(Instant now) {
  if (call_ || starting_) return std::nullopt;
  settle_seat_pulls(now);
  if (!ready_.empty()) {
    auto act = std::move(ready_.front());
    ready_.pop_front();
    return issue(std::move(act), now);
  }
  constexpr std::array kDecisions = {&Puller::conclude, &Puller::pull, &Puller::complete,
                                     &Puller::reverify, &Puller::seek, &Puller::report,
                                     &Puller::renew,    &Puller::ask,  &Puller::advance};
  for (const auto decide : kDecisions) {
    if (auto act = (this->*decide)(now)) return issue(*std::move(act), now);
  }
  return std::nullopt;
}

Act Puller::issue(Act act, Instant now) {
  if (is_call(act)) call_ = Call{act, pieces_.servable().bitmap(), now};
  if (const auto* const ask = std::get_if<AskClaim>(&act)) {
    claims_.asked(ask->want, now);
  } else if (const auto* const complete = std::get_if<CompleteClaim>(&act);
             complete != nullptr && complete->next) {
    claims_.asked(*complete->next, now);
  }
  if (const auto* const start = std::get_if<StartPull>(&act)) starting_ = start->assignment;
  return act;
}

Instant Puller::due(Instant now) const {
  const auto here = situation(now);
  const auto due = std::min(timers_.next(now), claims_.due(here));
  return is_seated() ? std::min(due, trees_.due(here)) : due;
}

// A parent's failure costs no call. If all parents fail, the host claims.
void Puller::settle_seat_pulls(Instant now) {
  while (const auto over = ledger_.over_seat()) {
    ledger_.forget(over->id);
    trees_.over(*over, situation(now));
    if (over->end == PullEnd::local) {
      ready_.emplace_back(GiveUp{Failure(ExitStatus::local, Remedy::try_again, over->detail)});
    } else if (over->end != PullEnd::good && over->end != PullEnd::busy) {
      ready_.emplace_back(Warn{over->detail});
    }
  }
}

std::optional<Act> Puller::conclude(Instant now) {
  if (is_finished_) {
    const bool is_settled = ledger_.size() == 0 && !offer_.is_probing() && !situation(now).has_news;
    if (is_settled || is_over_) return Conclude{Conclude::How::finished};
  } else if (is_over_) {
    return Conclude{Conclude::How::run_over};
  }
  return std::nullopt;
}

Manifests Puller::manifests_now() const {
  return disk_.has_manifest || ledger_.awaits_manifest() ? Manifests::none : Manifests::one;
}

std::optional<Act> Puller::pull(Instant now) {
  const auto here = situation(now);
  auto act = claims_.pull(here);
  if (!act && is_seated()) act = trees_.pull(here);
  if (!act) return std::nullopt;
  if (auto* const start = std::get_if<StartPull>(&*act)) {
    start->assignment.manifests = manifests_now();
  }
  return act;
}

std::optional<Want> Puller::want(std::size_t held, Instant now) const {
  if (terms_.delivery != Delivery::pulled || is_finished_) return std::nullopt;
  const auto here = situation(now);
  // Along trees the manifest comes with the first pieces. If no piece is wanted yet, the host
  // claims it, because the manifest says where candidates lie.
  const bool is_carried = is_seated() && pieces_.wanted() > 0;
  const auto manifests = is_carried ? Manifests::none : manifests_now();
  return claims_.want(here, held, policy().slots(), policy().carried(here), manifests);
}

std::optional<Act> Puller::complete(Instant now) {
  const auto over = ledger_.over_claim();
  if (!over) return std::nullopt;
  claims_.over(*over, situation(now));
  // After a failure the next claim waits a moment, so that no loop runs hot.
  auto next = over->end == PullEnd::good ? want(ledger_.claims() - 1, now) : std::nullopt;
  return CompleteClaim{over->id, *over->assignment.token, over->end, over->detail, std::move(next)};
}

std::optional<Act> Puller::reverify(Instant) {
  if (!offer_.needs_digests()) return std::nullopt;
  return AskDigests{pieces_.servable().members()};
}

std::optional<Act> Puller::seek(Instant now) {
  if (is_finished_) return std::nullopt;
  if (auto act = candidates_.seek(now)) return act;
  return candidates_.doubt(disk_.undelivered, now);
}

std::optional<Act> Puller::report(Instant now) { return policy().report(situation(now)); }

std::optional<Act> Puller::renew(Instant now) {
  if (!timers_.is_due(Timer::renewal, now)) return std::nullopt;
  auto tokens = ledger_.tokens();
  if (policy().reports_regularly() && offer_.is_served() && tokens.empty()) {
    timers_.set(Timer::renewal, now + LeaseTerms::renewal);
    return std::nullopt;
  }
  return Renew{std::move(tokens)};
}

std::optional<Act> Puller::ask(Instant now) {
  if (!claims_.may_ask(now)) return std::nullopt;
  auto wanted = want(ledger_.claims(), now);
  if (!wanted) return std::nullopt;
  return AskClaim{*std::move(wanted)};
}

std::optional<Act> Puller::advance(Instant now) {
  using Step = DiskState::Step;
  if (disk_.is_reverifying) return std::nullopt;
  if (disk_.step == Step::gathered) {
    timers_.set(Timer::check, now);
    return CompleteTree{};
  }
  if (!timers_.is_due(Timer::check, now)) return std::nullopt;
  // The host publishes nothing for a run that was cancelled or whose payload has changed.
  if (disk_.step == Step::completed) {
    timers_.set(Timer::check, now + kCheckEvery);
    return CheckRun{};
  }
  if (disk_.step == Step::published && candidates_.is_delivered() && !is_finished_) {
    timers_.set(Timer::check, now + kCheckEvery);
    return Finish{offered()};
  }
  return std::nullopt;
}

void Puller::probe() {
  if (offer_.begin_probe()) ready_.emplace_back(StartProbe{});
}

}  // namespace libsync
