#include "minion/download.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "os/random.h"

namespace libsync {
namespace {

Delivery delivery_of(const RunInfo& run, const Address& self) {
  if (run.origin != self) return Delivery::pulled;
  return run.origin_kind == OriginKind::minion ? Delivery::pushed : Delivery::shared;
}

}  // namespace

Download::Download(MinionCoordinator& coordinator, Transfer& transfer, Clock& clock,
                   DownloadOptions options, const StateFolder& state, const RunInfo& run,
                   const std::optional<Seat>& seat)
    : coordinator_(coordinator),
      transfer_(transfer),
      clock_(clock),
      options_(std::move(options)),
      state_(state),
      run_(run),
      spool_(state.spool(run.fingerprint)),
      pieces_(run.cut.pieces(), PieceState::unknown),
      placement_(pieces_, spool_, run, options_.repo, options_.ownership,
                 delivery_of(run, options_.self), options_.basis, options_.stop),
      pulls_(transfer, spool_, run),
      puller_(pieces_,
              {.cut = run.cut,
               .has_trees = run.has_trees,
               .delivery = delivery_of(run, options_.self),
               .slots = options_.slots,
               .make_token = random_name<Token>},
              seat, clock.now()),
      probe_(transfer, state, options_.self),
      tally_(clock.now()),
      progress_(clock.now()) {}

std::optional<DownloadEnd> Download::step() {
  collect_events();
  probe_.step(clock_.now());
  while (!end_) {
    const auto act = puller_.next(clock_.now());
    if (!act) break;
    try {
      std::visit([this](const auto& known) { perform(known); }, *act);
    } catch (const Failure& failure) {
      if (failure.status() == ExitStatus::redis) puller_.on(CallFailed{});
      throw;
    }
    puller_.on(disk());
  }
  if (fault_ != reported_fault_) {
    coordinator_.report_fault(run_.id, options_.self, Fault::feed, fault_);
    reported_fault_ = fault_;
  }
  show_progress();
  if (end_) {
    transfer_.end_all();
    return end_;
  }
  coordinator_.listen(options_.self, puller_.patience());
  return std::nullopt;
}

void Download::collect_events() {
  for (const auto& event : pulls_.collect()) {
    if (const auto* const file = std::get_if<FileArrived>(&event)) {
      if (!probe_.owns(file->id)) tally_.arrived(*file, clock_.now());
      puller_.on(*file, clock_.now());
    } else if (const auto* const moved = std::get_if<BytesMoved>(&event)) {
      if (!probe_.owns(moved->id)) tally_.moved(clock_.now());
      puller_.on(*moved, clock_.now());
    } else if (const auto& ended = std::get<TransferEnded>(event); probe_.owns(ended.id)) {
      note_probe(ended);
    } else {
      if (!puller_.ledger().is_superseded(ended.id)) tally_.ended(ended);
      puller_.on(ended);
    }
  }
  placement_.collect();
  for (const auto& judgement : placement_.judgements()) {
    const auto source = puller_.on(judgement);
    if (source && judgement.piece) tally_.brought(*source);
    if (judgement.verdict == Verdict::bad) tally_.found_bad(judgement.piece);
  }
  puller_.on(coordinator_.heard(), clock_.now());
  puller_.on(disk());
}

void Download::note_probe(const TransferEnded& ended) {
  const auto verdict = probe_.on(ended, clock_.now());
  if (!verdict) return;
  const auto& fault = verdict->fault;
  if (fault && *fault != fault_) {
    spdlog::warn(
        "this host offers nothing to others, since its own rsync daemon does not serve it: {}",
        *fault);
  }
  if (fault) fault_ = *fault;
  if (fault) {
    state_.notes().keep(NotedFault::feed, *fault);
  } else {
    state_.notes().clear(NotedFault::feed);
  }
  puller_.on(Probed{fault});
}

DiskState Download::disk() const {
  return {.step = placement_.step(),
          .has_manifest = placement_.has_manifest(),
          .is_reverifying = placement_.is_reverifying(),
          .has_spare_room = placement_.has_spare_room(),
          .undelivered = placement_.undelivered()};
}

void Download::append_descriptors(std::vector<int>& descriptors) const {
  pulls_.append_descriptors(descriptors);
  placement_.append_descriptors(descriptors);
  if (coordinator_.wake_descriptor() >= 0) descriptors.push_back(coordinator_.wake_descriptor());
}

Instant Download::next_due() const {
  return std::min(
      {transfer_.next_check(), probe_.due(), progress_.next(), puller_.due(clock_.now())});
}

void Download::give_up(const std::string& reason) {
  transfer_.end_all();
  coordinator_.leave(run_.id, options_.self, Retreat::claims_only, reason);
  give_last_account();
}

// The account is for people, so a host without a right to it goes on. An outage of Redis is thrown:
// the next call would wait for it as well.
void Download::give_account() {
  try {
    coordinator_.give_account(run_.id, options_.self,
                              tally_.account(puller_.ledger().superseded(), clock_.now()));
  } catch (const Failure& failure) {
    if (failure.is_outage()) throw;
    spdlog::debug("gave no account of this run: {}", failure.what());
  }
}

void Download::give_last_account() {
  try {
    give_account();
  } catch (const Failure& failure) {
    spdlog::debug("gave no account of this run: {}", failure.what());
  }
}

Holdings Download::holdings() const { return {pieces_.servable(), pieces_.in_place().size()}; }

// --- Calls of the coordinator ---

void Download::perform(const AskClaim& act) {
  log_search();
  puller_.on(coordinator_.claim(run_.id, options_.self, holdings(), act.want), clock_.now());
}

void Download::perform(const CompleteClaim& act) {
  puller_.on(coordinator_.complete(run_.id, options_.self, act.token, act.end, act.detail,
                                   holdings(), act.next),
             clock_.now());
}

void Download::perform(const Report& act) {
  puller_.on(coordinator_.report(run_.id, options_.self, holdings(), act.slots, act.clearance),
             clock_.now());
}

void Download::perform(const ReportFromSeat& act) {
  log_search();
  puller_.on(coordinator_.report_from_seat(run_.id, options_.self, holdings(), act.slots,
                                           act.clearance, pieces_.announced(), act.feedback),
             clock_.now());
}

void Download::perform(const Renew& act) {
  puller_.on(coordinator_.renew(run_.id, options_.self, act.tokens), clock_.now());
}

void Download::perform(const AskDigests& act) {
  puller_.on(Digests{coordinator_.digests(run_.id, act.pieces)}, clock_.now());
}

void Download::perform(const CheckRun&) {
  puller_.on(RunChecked{coordinator_.state_of(run_.id)}, clock_.now());
}

// The receipt comes first: a host that dies between the two finishes in its next tick.
void Download::perform(const Finish& act) {
  const auto path = options_.repo / run_.task.name();
  if (!state_.receipts().has(path, run_.manifest)) state_.receipts().write(path, run_.manifest);
  give_account();  // The run may end as soon as this host has finished.
  puller_.on(coordinator_.finish(run_.id, options_.self, run_.manifest, holdings(), act.slots),
             clock_.now());
}

void Download::perform(const Doubt& act) {
  coordinator_.doubt(run_.id, options_.self, act.reason);
  spdlog::warn("{}", act.reason);  // Once, however often the call fails.
  puller_.on(Doubted{}, clock_.now());
}

// --- Pulls ---

void Download::perform(const StartPull& act) {
  if (!act.assignment.pieces.empty()) placement_.require_room();
  log_search();
  log_start(act.assignment.source);
  const auto id = pulls_.start(act.assignment, placement_.basis());
  puller_.on(PullStarted{id}, clock_.now());
}

void Download::perform(const EndPull& act) { pulls_.end(act.id, act.reason); }

// --- The disk ---

void Download::perform(const JudgePiece& act) { placement_.judge(act.piece, act.attempt); }

void Download::perform(const JudgeManifest&) { placement_.judge_manifest(); }

void Download::perform(const CheckCandidates&) { placement_.decide(); }

void Download::perform(const Reverify&) { placement_.reverify(); }

void Download::perform(const CompleteTree&) {
  tally_.gathered(clock_.now());
  placement_.complete();
}

// The thread that swaps also writes the receipt. The owed command depends on it even if the run is
// over before this thread hears of the swap.
void Download::perform(const Publish&) {
  const auto receipts = state_.receipts();
  if (options_.hook == Hook::configured) receipts.owe_hook(run_.task.name(), run_.manifest);
  placement_.publish([receipts, path = options_.repo / run_.task.name(), manifest = run_.manifest,
                      kinship = placement_.kinship(tally_.wire_bytes())](const OnlyHere& lost) {
    receipts.write(path, manifest, kinship);
    const auto warning = warning_of(lost, path.filename());
    if (!warning.empty()) spdlog::warn("{}", warning);
  });
}

// --- The rest ---

void Download::perform(const StartProbe&) { probe_.start(spool_.incoming_folder()); }

void Download::perform(const Warn& act) { spdlog::warn("{}", act.line); }

void Download::perform(const GiveUp& act) { throw Failure(act.failure); }

void Download::perform(const Conclude& act) {
  if (act.how == Conclude::How::run_over) {
    end_ = RunOver{};
    return;
  }
  end_ = Published{tally_.fed_by(), tally_.wire_bytes(),
                   std::chrono::duration_cast<Duration>(clock_.now() - tally_.joined()),
                   puller_.view().sources, puller_.view().finished + 1};
}

void Download::log_search() {
  if (!has_searched_) spdlog::info("try to get a available rsync source");
  has_searched_ = true;
}

void Download::log_start(const Address& source) {
  if (!has_started_) spdlog::info("add lock to running_queue");
  const bool is_new = tally_.started(source, clock_.now());
  spdlog::log(is_new ? spdlog::level::info : spdlog::level::debug, "start rsync from {}",
              source.text());
  if (!has_started_) {
    spdlog::info("START rsync:\n  syn_queue:{}\n  fin_queue:{}\n", puller_.view().sources,
                 puller_.view().finished);
  }
  has_started_ = true;
}

void Download::show_progress() {
  const bool is_finished = puller_.is_finished();
  auto work = is_finished ? std::string() : placement_.work();
  if (work.empty() && !is_finished) work = pulls_.work();
  const auto due = progress_.due(clock_.now(), pieces_.in_place().size(), work);
  if (due.work) spdlog::info("'{}': {}", escaped(run_.task.name()), work);
  if (due.pieces && !is_finished) {
    const auto seconds = std::chrono::duration<double>(clock_.now() - tally_.joined()).count();
    spdlog::info("received {} of {} pieces, {:.2f} bytes/sec", pieces_.in_place().size(),
                 run_.cut.pieces(), static_cast<double>(tally_.wire_bytes()) / seconds);
  }
  if (due.shown) coordinator_.show_work(run_.id, options_.self, *due.shown);
}

}  // namespace libsync
