#include "minion/puller.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace libsync {
namespace {

// How often the run is checked before publishing, when no wake-up comes.
constexpr std::chrono::seconds kCheckEvery{1};
// Digests and deliveries are awaited soon at first, since a small payload is staged in a moment.
constexpr Duration kFirstDigestsPause{20};
constexpr Duration kLongestDigestsPause{1'000};
// The master needs a while to hash or push again what is missing.
constexpr Duration kDoubtEvery{5'000};

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
      claims_(grain_of(terms_.cut), terms_.slots, timers_, terms_.make_token),
      trees_(pieces.size(), now),
      reported_{PieceSet(pieces.size()).bitmap(), 0, {}},
      digests_pause_(kFirstDigestsPause) {
  for (const auto timer :
       {Timer::ask, Timer::back_off, Timer::digests, Timer::doubt, Timer::check}) {
    timers_.set(timer, now);
  }
  timers_.set(Timer::renewal, now + LeaseTerms::renewal);
  if (seat) {
    for (const auto& piece : seat->digests) pieces_.announce(piece);
    trees_.seated(*seat);
    reported_.at = now;
    patience_ = Trees::patience;
  }
  start_probe();
}

// --- The policy ---

// A host that nobody can pull from has no seat: its children would wait for it.
bool Puller::is_seated() const {
  return terms_.has_trees && terms_.delivery == Delivery::pulled && !terms_.slots &&
         served_ != Served::no;
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
  return served_ == Served::yes && disk_.has_manifest ? policy().slots() : 0;
}

Situation Puller::situation(Instant now) const {
  const auto offers = offered();
  const bool is_cleared = suspect_ == Suspect::reverifying && !disk_.is_reverifying;
  return {
      .pieces = pieces_,
      .ledger = ledger_,
      .now = now,
      .offered = offers,
      .is_served = served_ == Served::yes,
      .has_news = pieces_.servable().bitmap() != reported_.servable || offers != reported_.slots,
      .reported_at = reported_.at,
      .clearance = is_cleared ? Clearance::cleared : Clearance::none};
}

// --- What happened ---

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
  ready_.emplace_back(JudgePiece{piece->piece});
}

std::optional<Address> Puller::on(const Judgement& judgement) {
  auto source = ledger_.judged(judgement);
  if (source) claims_.succeeded();
  return source;
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

void Puller::on(const Probed& probed) {
  is_probing_ = false;
  served_ = probed.fault ? Served::no : Served::yes;
}

// A lost wake-up costs no more than a listening that lapses.
void Puller::on(Listening heard, Instant now) {
  if (heard == Listening::on) return;
  for (const auto timer : {Timer::ask, Timer::digests, Timer::check}) timers_.set(timer, now);
  if (heard == Listening::woken) trees_.woken();
}

// --- What Redis answered ---

Puller::Call Puller::answered() { return std::exchange(call_, std::nullopt).value(); }

// A claim that has no pull is in no ledger: its completion is repeated from here.
void Puller::on(CallFailed) {
  const auto call = std::exchange(call_, std::nullopt);
  if (call && is_without_pull(call->act)) ready_.push_front(call->act);
}

void Puller::note_reported(const Call& call, unsigned slots) {
  reported_ = {call.servable, slots, call.asked};
}

void Puller::note(const View& view) {
  view_ = view;
  if (view.suspicion == Suspicion::verify && suspect_ == Suspect::no) suspect_ = Suspect::yes;
}

void Puller::on(const ClaimOutcome& outcome, Instant now) {
  const auto call = answered();
  const auto* const completed = std::get_if<CompleteClaim>(&call.act);
  if (completed != nullptr && completed->pull) {
    ledger_.forget(*completed->pull);
    note_reported(call, reported_.slots);
  }
  if (const auto* const claimed = std::get_if<Claimed>(&outcome)) {
    note(claimed->view);
    granted(claimed->claim);
  } else if (const auto* const wait = std::get_if<Wait>(&outcome)) {
    note(wait->view);
    if (is_without_pull(call.act)) return;
    patience_ = wait->patience;
    claims_.wait(now + 2 * patience_);  // A wake-up, or the end of listening, comes before this.
  } else if (const auto* const refused = std::get_if<Unusable>(&outcome)) {
    unusable(*refused, now);
  } else {
    is_over_ = true;
  }
  if (completed != nullptr && completed->pull && completed->end != PullEnd::good) {
    failed(completed->end, completed->detail, now);
  }
}

// If the first answer to a claim was lost, a stream may have begun to pull its pieces since: two
// pulls must not write into one file.
void Puller::granted(const Claim& claim) {
  claims_.granted();
  Assignment assignment{claim.source, {}, claim.token, manifests_now()};
  PieceSet named(pieces_.size());
  for (const auto& staged : claim.pieces) {
    if (staged.piece >= pieces_.size()) {
      ready_.emplace_back(GiveUp{
          Failure(ExitStatus::redis, Remedy::operator_acts,
                  fmt::format("Redis grants piece {}, and the run has {}: run the same version of "
                              "sync-fanout everywhere",
                              staged.piece, pieces_.size()))});
      return;
    }
    pieces_.announce(staged);
    const bool is_named = named.contains(staged.piece);
    if (is_named || pieces_.state(staged.piece) != PieceState::wanted) continue;
    named.insert(staged.piece);
    assignment.pieces.push_back(staged);
  }
  if (assignment.pieces.empty() && !claim.pieces.empty()) {
    ready_.emplace_back(CompleteClaim{std::nullopt, claim.token, PullEnd::good, "", std::nullopt});
    return;
  }
  // A claim without pieces is for the manifest, even if that has come from elsewhere meanwhile.
  if (claim.pieces.empty()) assignment.manifests = Manifests::one;
  ready_.emplace_back(StartPull{std::move(assignment)});
}

void Puller::unusable(const Unusable& claim, Instant now) {
  const auto detail = fmt::format(
      "the source '{}' is no address within --peers: correct --peers, or find out what wrote it "
      "into "
      "Redis",
      claim.source);
  claims_.unusable(now);
  ready_.emplace_back(Warn{detail});
  ready_.emplace_back(
      CompleteClaim{std::nullopt, claim.token, PullEnd::refused, detail, std::nullopt});
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
  const auto call = answered();
  const auto& report = std::get<Report>(call.act);
  note_reported(call, report.slots);
  timers_.clear(Timer::report);
  if (report.clearance == Clearance::cleared) suspect_ = Suspect::no;
  if (const auto* const view = std::get_if<View>(&outcome)) {
    note(*view);
  } else {
    is_over_ = true;
  }
}

void Puller::on(const SeatOutcome& outcome, Instant) {
  const auto call = answered();
  const auto& report = std::get<ReportFromSeat>(call.act);
  note_reported(call, report.slots);
  trees_.reported();
  if (report.clearance == Clearance::cleared) suspect_ = Suspect::no;
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
  // A Redis that lost its data learns again what is here. A lost token needs nothing: what is
  // verified counts without it.
  if (!policy().reports_regularly()) timers_.set(Timer::report, now);
  start_probe();
  if (const auto* const renewed = std::get_if<Renewed>(&outcome)) {
    note(renewed->view);
  } else {
    is_over_ = true;
  }
}

void Puller::on(const Digests& digests, Instant now) {
  const auto call = answered();
  for (const auto& piece : digests.pieces) pieces_.announce(piece);
  if (suspect_ == Suspect::yes) {
    // Fewer digests than pieces: the run is over, or Redis has lost it.
    const bool are_all = digests.pieces.size() == std::get<AskDigests>(call.act).pieces.size();
    suspect_ = are_all ? Suspect::reverifying : Suspect::no;
    if (!are_all) return;
    ready_.emplace_back(Warn{"other hosts got wrong bytes from here: hashing the spool again"});
    ready_.emplace_back(Reverify{});
    return;
  }
  timers_.set(Timer::digests, now + digests_pause_);
  digests_pause_ = std::min(digests_pause_ * 2, kLongestDigestsPause);
  ready_.emplace_back(CheckCandidates{});
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
  const auto call = answered();
  note_reported(call, std::get<Finish>(call.act).slots);
  if (outcome == FinishOutcome::finished) is_finished_ = true;
  if (outcome == FinishOutcome::other || outcome == FinishOutcome::stale) is_over_ = true;
}

void Puller::on(Doubted, Instant now) {
  static_cast<void>(answered());
  timers_.set(Timer::doubt, now + kDoubtEvery);
}

// --- What to do ---

std::optional<Act> Puller::next(Instant now) {
  if (call_ || starting_) return std::nullopt;
  settle_seat_pulls(now);
  if (!ready_.empty()) {
    auto act = std::move(ready_.front());
    ready_.pop_front();
    return issue(std::move(act), now);
  }
  constexpr std::array kDecisions = {&Puller::conclude, &Puller::pull,         &Puller::complete,
                                     &Puller::reverify, &Puller::seek_digests, &Puller::doubt,
                                     &Puller::report,   &Puller::renew,        &Puller::ask,
                                     &Puller::advance};
  for (const auto decide : kDecisions) {
    if (auto act = (this->*decide)(now)) return issue(*std::move(act), now);
  }
  return std::nullopt;
}

Act Puller::issue(Act act, Instant now) {
  if (is_call(act)) call_ = Call{act, pieces_.servable().bitmap(), now};
  if (is_one_of<AskClaim, CompleteClaim>(act)) claims_.asked(now);
  if (const auto* const start = std::get_if<StartPull>(&act)) starting_ = start->assignment;
  return act;
}

Instant Puller::due(Instant now) const {
  if (is_seated()) return std::min(timers_.next(now), trees_.due(situation(now)));
  return timers_.next(now);
}

// A parent's failure costs no call. If all parents fail there are still sources to claim from.
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
    const bool is_settled = ledger_.size() == 0 && !is_probing_ && !situation(now).has_news;
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
  auto act = policy().pull(situation(now));
  if (!act) return std::nullopt;
  if (auto* const start = std::get_if<StartPull>(&*act)) {
    start->assignment.manifests = manifests_now();
  }
  return act;
}

std::optional<Want> Puller::want(std::size_t held, Instant now) const {
  if (terms_.delivery != Delivery::pulled || is_finished_) return std::nullopt;
  const auto here = situation(now);
  // Along trees the manifest comes with the first pieces, unless there is nothing else to bring:
  // what may be here already is not pulled before the manifest says where it would be.
  const bool is_carried = is_seated() && pieces_.wanted() > 0;
  const auto manifests = is_carried ? Manifests::none : manifests_now();
  return claims_.want(here, held, policy().slots(), policy().carried(here), manifests);
}

std::optional<Act> Puller::complete(Instant now) {
  const auto over = ledger_.over_claim();
  if (!over) return std::nullopt;
  claims_.over(*over, situation(now));
  // After a failure the next claim waits a moment: no hot loop around something broken.
  auto next = over->end == PullEnd::good ? want(ledger_.claims() - 1, now) : std::nullopt;
  return CompleteClaim{over->id, *over->assignment.token, over->end, over->detail, std::move(next)};
}

std::optional<Act> Puller::reverify(Instant) {
  if (suspect_ != Suspect::yes) return std::nullopt;
  return AskDigests{pieces_.servable().members()};
}

// What is pushed here the others live on: all of it has to come, and not only what this host needs.
bool Puller::is_delivered() const {
  return terms_.delivery == Delivery::pushed ? pieces_.servable().is_complete()
                                             : pieces_.in_place().is_complete();
}

std::optional<Act> Puller::seek_digests(Instant now) {
  if (is_finished_) return std::nullopt;
  const bool is_set = timers_.is_set(Timer::digests);
  if (is_set && !timers_.is_due(Timer::digests, now)) return std::nullopt;
  if (auto pieces = pieces_.without_digest(); !pieces.empty()) return AskDigests{std::move(pieces)};
  // A master may still deliver; else nothing is awaited until a wake-up, or another candidate.
  const bool awaits_files = terms_.delivery != Delivery::pulled && !is_delivered();
  if (awaits_files) {
    timers_.set(Timer::digests, now + digests_pause_);
    digests_pause_ = std::min(digests_pause_ * 2, kLongestDigestsPause);
  } else {
    timers_.clear(Timer::digests);
  }
  if (!is_set && !awaits_files) return std::nullopt;
  return CheckCandidates{};
}

std::optional<Act> Puller::doubt(Instant now) {
  if (is_finished_ || disk_.undelivered.empty() || !timers_.is_due(Timer::doubt, now)) {
    return std::nullopt;
  }
  return Doubt{disk_.undelivered};
}

std::optional<Act> Puller::report(Instant now) { return policy().report(situation(now)); }

std::optional<Act> Puller::renew(Instant now) {
  if (!timers_.is_due(Timer::renewal, now)) return std::nullopt;
  auto tokens = ledger_.tokens();
  if (policy().reports_regularly() && served_ == Served::yes && tokens.empty()) {
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
  // Nothing is published for a run that has been cancelled, or whose payload has changed.
  if (disk_.step == Step::completed) {
    timers_.set(Timer::check, now + kCheckEvery);
    return CheckRun{};
  }
  if (disk_.step == Step::published && is_delivered() && !is_finished_) {
    timers_.set(Timer::check, now + kCheckEvery);
    return Finish{offered()};
  }
  return std::nullopt;
}

// The host asks its own daemon before it offers anything. Where the master cuts into this very
// spool, the master offers it.
void Puller::start_probe() {
  if (terms_.delivery == Delivery::shared || served_ == Served::yes || is_probing_) return;
  is_probing_ = true;
  ready_.emplace_back(StartProbe{});
}

}  // namespace libsync
