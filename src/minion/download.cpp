#include "minion/download.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

#include "libsync/core/failure.h"
#include "libsync/core/grain.h"
#include "os/random.h"
#include "store/state_folder.h"

namespace libsync {
namespace {

// What has come in is reported at most this often: later, and the next host waits for a source that
// there is; more often, and Redis is asked more than it gains anybody.
constexpr Duration kReportEvery{100};
// How the run stands, and what nobody wakes this host for. A wake-up that was lost costs as much as
// the answer to a claim said (Wait).
constexpr std::chrono::seconds kLookEvery{1};
constexpr Duration kProgressEvery{30'000};
// The master hashes or pushes again what it is told to be missing, which takes it a while.
constexpr Duration kDoubtEvery{5'000};

// Failures in a row, without a piece between them, after which this host gives up for this tick:
// one dead source is met once, since its accuser is kept away from it; four in a row are no
// accident.
constexpr std::size_t kFailuresAtMost = 4;
// Of these one less: what refuses does so at once, and to everybody.
constexpr std::size_t kRefusalsAtMost = 3;
constexpr Duration kFirstBackOff{200};

}  // namespace

Download::Download(MinionCoordinator& coordinator, Transfer& transfer, Clock& clock,
                   DownloadOptions options, const StateFolder& state, const RunInfo& run,
                   const std::optional<Seat>& place)
    : coordinator_(coordinator),
      transfer_(transfer),
      clock_(clock),
      options_(std::move(options)),
      state_(state),
      run_(run),
      spool_(state.spool(run.fingerprint)),
      feed_(run.origin != options_.self             ? Delivery::pulled
            : run.origin_kind == OriginKind::minion ? Delivery::pushed
                                                    : Delivery::shared),
      room_(room_for(spool_)),
      placement_(spool_, run, options_.repo, options_.ownership, feed_),
      ledger_(run.cut.pieces()),
      streams_(run.cut.pieces(), clock.now()),
      probe_(transfer, state, options_.self),
      claim_again_(clock.now()),
      claim_in_peace_(clock.now()),
      reported_(PieceSet(run.cut.pieces()).bitmap()),
      renewal_due_(clock.now() + LeaseTerms::renewal),
      digests_due_(clock.now()),
      doubt_due_(clock.now()),
      check_due_(clock.now()),
      started_(clock.now()),
      progress_due_(clock.now() + kProgressEvery) {
  if (place) {
    streams_.follow(*place);
    reported_at_ = clock.now();
    patience_ = Streams::patience;
  }
  offer_if_served();
}

std::optional<DownloadEnd> Download::step() {
  for (const auto& event : transfer_.collect()) take(event);
  placement_.collect();
  for (const auto& judgement : placement_.judgements()) take(judgement);
  // A wake-up that was lost costs no more than a listening that lapses.
  if (const auto heard = coordinator_.heard(); heard != Listening::on) {
    claim_again_ = digests_due_ = check_due_ = clock_.now();
    is_called_ = is_called_ || heard == Listening::woken;
  }
  complete_pulls();
  seek_digests();
  report();
  stream();
  renew();
  claim();
  advance();
  log_progress();
  const bool is_told = ledger_.size() == 0 && !probe_.is_running() && !has_news();
  if (is_finished_ && (is_told || is_gone_)) {
    transfer_.end_all();
    return Published{fed_by_, wire_bytes_,
                     std::chrono::duration_cast<Duration>(clock_.now() - started_), view_.sources,
                     view_.finished};
  }
  if (is_gone_) {
    transfer_.end_all();
    return RunOver{};
  }
  coordinator_.listen(options_.self, patience_);
  return std::nullopt;
}

void Download::append_descriptors(std::vector<int>& descriptors) const {
  transfer_.append_descriptors(descriptors);
  placement_.append_descriptors(descriptors);
  if (coordinator_.wake_descriptor() >= 0) descriptors.push_back(coordinator_.wake_descriptor());
}

Instant Download::next_due() const {
  auto due = std::min({transfer_.next_check(), renewal_due_, progress_due_});
  if (report_due_) due = std::min(due, *report_due_);
  // A claim that was put off by a failure; a wake-up ends any other wait.
  const auto claim_due = std::max(claim_again_, claim_in_peace_);
  if (claim_due > clock_.now()) due = std::min(due, claim_due);
  if (digests_due_ > clock_.now()) due = std::min(due, digests_due_);
  if (check_due_ > clock_.now()) due = std::min(due, check_due_);
  if (is_in_trees()) due = std::min({due, follow_due(), streams_.next_due(clock_.now())});
  return due;
}

void Download::give_up(const std::string& reason) {
  transfer_.end_all();
  ledger_.forget_all();
  coordinator_.leave(run_.id, options_.self, Retreat::claims_only, reason);
}

void Download::take(const TransferEvent& event) {
  if (const auto* const file = std::get_if<FileArrived>(&event)) {
    take(*file);
    return;
  }
  const auto& ended = std::get<TransferEnded>(event);
  pace_.ended(ended.id);
  if (!probe_.owns(ended.id)) {
    ledger_.ended(ended);
  } else if (const auto fault = probe_.fault(ended)) {
    if (*fault != fault_told_) {
      spdlog::warn(
          "this host offers nothing to others, since its own rsync daemon does not serve it: {}",
          *fault);
    }
    fault_told_ = *fault;
  } else {
    is_served_ = true;
  }
}

void Download::take(const FileArrived& file) {
  const auto arrived = ledger_.arrived(file);
  if (std::holds_alternative<NotAwaited>(arrived)) return;
  wire_bytes_ += file.wire_bytes;
  if (const auto* const piece = std::get_if<PieceArrived>(&arrived)) {
    pace_.arrived(file.id, clock_.now());
    streams_.arrived(file.id, clock_.now());
    placement_.judge(piece->piece);
  } else {
    placement_.judge_manifest();
  }
}

void Download::take(const Judgement& judgement) {
  const auto source = ledger_.judged(judgement);
  if (!source) return;
  failures_in_a_row_ = 0;
  if (judgement.piece) ++fed_by_[*source];
}

void Download::complete_pulls() {
  while (const auto over = ledger_.completed()) {
    if (streams_.owns(over->id)) {
      take(*over);
      continue;
    }
    // After a failure the next claim waits a moment: no hot loop around what is broken.
    const auto next = over->end == PullEnd::good
                          ? want(ledger_.claims() - 1, ledger_.in_flight(over->id))
                          : std::nullopt;
    const auto asked = clock_.now();
    const auto outcome = coordinator_.complete(run_.id, options_.self, over->claim.token, over->end,
                                               over->detail, holdings(), next);
    ledger_.forget(over->id);
    note_told(reported_slots_);
    take(outcome, asked);
    if (over->end != PullEnd::good) back_off(over->end, over->detail);
  }
}

void Download::tell_failed(PullEnd end, const std::string& detail) {
  if (end == PullEnd::good || end == PullEnd::busy) return;
  spdlog::warn("{}", detail);
  if (end == PullEnd::local) throw Failure(ExitStatus::local, Remedy::try_again, detail);
}

void Download::back_off(PullEnd end, const std::string& detail) {
  claim_in_peace_ = clock_.now() + kFirstBackOff;
  tell_failed(end, detail);
  if (end == PullEnd::busy) return;
  ++failures_in_a_row_;
  claim_in_peace_ =
      clock_.now() + kFirstBackOff * (1U << std::min(failures_in_a_row_, kFailuresAtMost));
  const bool is_refused = end == PullEnd::refused;
  if (failures_in_a_row_ < (is_refused ? kRefusalsAtMost : kFailuresAtMost) || ledger_.size() > 0) {
    return;
  }
  throw Failure(ExitStatus::no_source, is_refused ? Remedy::operator_acts : Remedy::try_again,
                fmt::format("no usable source, after {} failures in a row; the last: {}",
                            failures_in_a_row_, detail));
}

void Download::seek_digests() {
  if (clock_.now() < digests_due_ || is_finished_) return;
  const auto wanted = placement_.wanted_digests();
  if (!wanted.empty()) placement_.decide(coordinator_.digests(run_.id, wanted));
  placement_.decide({});
  if (const auto undelivered = placement_.undelivered();
      !undelivered.empty() && clock_.now() >= doubt_due_) {
    doubt_due_ = clock_.now() + kDoubtEvery;
    spdlog::warn("{}", undelivered);
    coordinator_.doubt(run_.id, options_.self, undelivered);
  }
  // What has not been announced or delivered yet: soon at first, since a small payload is staged in
  // a moment.
  if (placement_.wanted_digests().empty() && (feed_ == Delivery::pulled || is_delivered())) return;
  digests_due_ = clock_.now() + digests_pause_;
  digests_pause_ = std::min<Duration>(digests_pause_ * 2, kLookEvery);
}

void Download::report() {
  const auto now = clock_.now();
  const bool is_cleared = is_suspect_ && !placement_.is_rechecking();
  if (is_in_trees()) {
    report_due_.reset();  // Of before, when this host was not served yet.
    if (is_cleared || now >= follow_due())
      follow(is_cleared ? Clearance::cleared : Clearance::none);
    return;
  }
  if (is_cleared) report_due_ = now;
  if (!report_due_ && has_news()) report_due_ = std::max(now, reported_at_ + kReportEvery);
  if (!report_due_ || now < *report_due_) return;
  const auto offered = slots_to_offer();
  const auto outcome = coordinator_.report(run_.id, options_.self, holdings(), offered,
                                           is_cleared ? Clearance::cleared : Clearance::none);
  note_told(offered);
  report_due_.reset();
  if (is_cleared) is_suspect_ = false;
  if (const auto* const view = std::get_if<View>(&outcome)) {
    take(*view);
  } else {
    is_gone_ = true;
  }
}

// What is pushed here the others live on: it all has to be here, and not only what this host needs.
bool Download::is_delivered() const {
  return feed_ == Delivery::pushed ? placement_.servable().is_complete()
                                   : placement_.in_place().is_complete();
}

void Download::note_told(unsigned offered) {
  reported_ = placement_.servable().bitmap();
  reported_slots_ = offered;
  reported_at_ = clock_.now();
}

bool Download::has_news() const {
  return placement_.servable().bitmap() != reported_ || slots_to_offer() != reported_slots_;
}

// Whoever pulls pieces from here may need the manifest as well.
unsigned Download::slots_to_offer() const {
  return is_served_ && placement_.has_manifest() ? slots() : 0;
}

void Download::renew() {
  if (clock_.now() < renewal_due_ || is_gone_) return;
  if (is_in_trees() && is_served_ && ledger_.tokens().empty()) {
    renewal_due_ = clock_.now() + LeaseTerms::renewal;  // What is said while following is enough.
    return;
  }
  const auto outcome = coordinator_.renew(run_.id, options_.self, ledger_.tokens());
  renewal_due_ = clock_.now() + LeaseTerms::renewal;
  // A Redis that lost its data learns again what is here. A token that was lost needs nothing: what
  // is verified counts without it.
  if (!is_in_trees()) report_due_ = clock_.now();
  offer_if_served();
  if (const auto* const renewed = std::get_if<Renewed>(&outcome)) {
    take(renewed->view);
  } else {
    is_gone_ = true;
  }
}

void Download::claim() {
  while (!is_gone_ && clock_.now() >= std::max(claim_again_, claim_in_peace_)) {
    const auto wanted = want(ledger_.claims(), ledger_.in_flight());
    if (!wanted) return;
    log_search();
    const auto asked = clock_.now();
    take(coordinator_.claim(run_.id, options_.self, holdings(), *wanted), asked);
  }
}

// If the first answer to a claim was lost, a stream may have begun to pull what it names: two of
// them must not write into one file.
Claim Download::without_what_is_here(Claim claim) const {
  auto here = placement_.verified();
  here |= ledger_.in_flight();
  std::erase_if(claim.pieces,
                [&](const StagedPiece& staged) { return here.contains(staged.piece); });
  return claim;
}

void Download::take(const ClaimOutcome& outcome, Instant asked) {
  if (const auto* const claimed = std::get_if<Claimed>(&outcome)) {
    take(claimed->view);
    next_token_ = random_name<Token>();
    const auto claim = without_what_is_here(claimed->claim);
    if (claim.pieces.empty() && !claimed->claim.pieces.empty()) {
      static_cast<void>(coordinator_.complete(run_.id, options_.self, claim.token, PullEnd::good,
                                              "", holdings(), std::nullopt));
    } else {
      start_pull(claim, asked);
    }
  } else if (const auto* const wait = std::get_if<Wait>(&outcome)) {
    take(wait->view);
    patience_ = wait->patience;
    // A wake-up, or the end of listening, comes before this.
    claim_again_ = clock_.now() + 2 * patience_;
  } else if (const auto* const unusable = std::get_if<Unusable>(&outcome)) {
    const auto detail = fmt::format(
        "the source '{}' is no address within --peers: correct --peers, "
        "or find out who wrote it into Redis",
        unusable->source);
    spdlog::warn("{}", detail);
    next_token_ = random_name<Token>();
    claim_in_peace_ = clock_.now() + kLookEvery;
    static_cast<void>(coordinator_.complete(run_.id, options_.self, unusable->token,
                                            PullEnd::refused, detail, holdings(), std::nullopt));
  } else {
    is_gone_ = true;
  }
}

void Download::take(const View& view) {
  view_ = view;
  if (view.suspicion == Suspicion::none || is_suspect_) return;
  const auto digests = coordinator_.digests(run_.id, placement_.servable().members());
  if (digests.size() != placement_.servable().size()) return;  // The run is over, or not restored.
  is_suspect_ = true;
  spdlog::warn("other hosts got wrong bytes from here: hashing the spool again");
  placement_.recheck(digests);
}

void Download::advance() {
  if (is_gone_ || placement_.is_rechecking()) return;
  if (placement_.is_gathered()) {
    placement_.complete();
    check_due_ = clock_.now();
  }
  const bool is_due = clock_.now() >= check_due_;
  if (placement_.is_completed() && is_due) {
    // Nothing is published for a run that has been cancelled, or whose source has changed.
    check_due_ = clock_.now() + kLookEvery;
    const auto state = coordinator_.state_of(run_.id);
    if (!state) {
      is_gone_ = true;
    } else if (*state == RunState::staged) {
      check_due_ = clock_.now();
      if (options_.hook == Hook::configured) state_.receipts().owe_hook(run_.name, run_.manifest);
      // Even if the run is over before anybody looks: the command that is owed depends on it.
      placement_.publish([state = state_, path = options_.repo / run_.name, run = run_] {
        state.receipts().write(path, run.manifest);
      });
      has_receipt_ = true;
    }
  } else if (placement_.is_published() && is_delivered() && !is_finished_ && is_due) {
    check_due_ = clock_.now() + kLookEvery;
    if (!has_receipt_) state_.receipts().write(options_.repo / run_.name, run_.manifest);
    has_receipt_ = true;
    const auto offered = slots_to_offer();
    const auto outcome =
        coordinator_.finish(run_.id, options_.self, run_.manifest, holdings(), offered);
    note_told(offered);
    switch (outcome) {
      case FinishOutcome::finished:
        is_finished_ = true;
        break;
      case FinishOutcome::early:
        break;
      case FinishOutcome::other:
      case FinishOutcome::stale:
        is_gone_ = true;
        break;
    }
  }
}

// Asks this host's own daemon before anything is offered; the answer comes as an event.
void Download::offer_if_served() {
  // Where the master fills this very spool, the master offers it.
  if (feed_ == Delivery::shared) return;
  if (!is_served_ && !probe_.is_running()) probe_.start(spool_.incoming_folder());
}

Holdings Download::holdings() const {
  return {placement_.servable(), placement_.in_place().size()};
}

std::optional<Want> Download::want(std::size_t held, const PieceSet& in_flight) const {
  if (feed_ != Delivery::pulled) return std::nullopt;
  auto unwanted = placement_.not_to_claim();
  unwanted |= in_flight;
  if (is_in_trees()) unwanted |= streams_.carried(placement_.in_place(), clock_.now());
  const auto most = pieces_to_claim({.verified = placement_.verified().size(),
                                     .claimable = run_.cut.pieces() - unwanted.size(),
                                     .claims = held,
                                     .slots = slots(),
                                     .start_in_pieces = pace_.start_in_pieces(),
                                     .grain = grain_of(run_.cut)});
  // A stream brings it along, unless there is nothing else that it may bring: what may be here
  // already is not pulled before the manifest says where to look.
  const bool is_brought = is_in_trees() && placement_.not_to_claim().size() < run_.cut.pieces();
  const bool needs_manifest =
      !placement_.has_manifest() && !ledger_.is_manifest_on_the_way() && !is_brought;
  if (most == 0 && !needs_manifest) return std::nullopt;
  return Want{next_token_, most, std::move(unwanted)};
}

unsigned Download::slots() const {
  if (is_in_trees()) return kSlotsBesideTrees;
  return options_.slots.value_or(default_slots(grain_of(run_.cut)));
}

void Download::log_progress() {
  if (clock_.now() < progress_due_) return;
  progress_due_ = clock_.now() + kProgressEvery;
  if (is_finished_) return;
  const auto seconds = std::chrono::duration<double>(clock_.now() - started_).count();
  spdlog::info("received {} of {} pieces, {:.2f} bytes/sec", placement_.in_place().size(),
               run_.cut.pieces(), static_cast<double>(wire_bytes_) / seconds);
}

}  // namespace libsync
