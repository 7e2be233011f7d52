#include "minion/minion.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "libsync/core/other_version.h"
#include "libsync/core/run_record.h"
#include "libsync/core/slots.h"
#include "libsync/core/verdict.h"
#include "minion/destination.h"
#include "os/workers.h"
#include "store/state_folder.h"

namespace libsync {
namespace {

// A new run wakes a lingering minion. These intervals matter when the wake-up is lost. An idle
// minion costs Redis less than two commands a second. Each listening is one command, and each visit
// six to eight, including those of the functions.
constexpr std::chrono::seconds kListenFor{3};
constexpr Duration kVisitEvery{6000};
// Before the first master a visit costs one command, because Redis has no function yet.
constexpr Duration kEarlyVisitEvery{1000};
// Redis keeps the seat of a lingering host for this long. Two visits in a row may be lost.
constexpr Duration kStays = 4 * kVisitEvery;
// Pause after a full disk, or a source without its daemon: an operator may be at work.
constexpr Duration kFailurePause{10'000};

PublishedNote note_of(const RunInfo& run, const Published& published) {
  PublishedNote note{.run = run.id,
                     .task = run.task,
                     .manifest = run.manifest,
                     .bytes = run.cut.stream_bytes,
                     .pieces = run.cut.pieces(),
                     .wire_bytes = published.wire_bytes,
                     .took = published.took,
                     .fed_by = published.fed_by};
  std::erase_if(note.fed_by, [](const auto& source) { return source.second == 0; });
  return note;
}

}  // namespace

Minion::Minion(MinionCoordinator& coordinator, Transfer& transfer, AfterPublish& after_publish,
               Clock& clock, const StopSignal& stop, const StateFolder& state, MinionConfig config,
               Address self)
    : coordinator_(coordinator),
      transfer_(transfer),
      after_publish_(after_publish),
      clock_(clock),
      stop_(stop),
      state_(state),
      config_(std::move(config)),
      self_(std::move(self)),
      linger_(clock.now(), config_.host.linger),
      sweeper_(state, Role::minion) {}

ExitStatus Minion::tick() {
  delete_discarded();
  run_owed_hook();          // An earlier tick may have died over it.
  bool has_waited = false;  // For the Sweeper, since the last visit that did not fail.
  while (!stop_.requested()) {
    auto seen = Visit::idle;
    auto pause = kVisitEvery;
    try {
      seen = visit();
      delete_discarded();
      if (seen == Visit::early) pause = kEarlyVisitEvery;
      failing_.reset();
      has_waited = false;
    } catch (const Stopped&) {
      break;
    } catch (const Failure& failure) {
      delete_discarded();
      const bool may_pass = failure.remedy() == Remedy::try_again;
      // The disk may have lacked the very space that is being freed.
      if (may_pass && failure.status() == ExitStatus::local && !has_waited && wait_for_sweeper()) {
        has_waited = true;
        continue;
      }
      state_.notes().renew(NotedFault::tick, failure.what());
      if (!may_pass || linger_.is_over(clock_.now())) throw;
      spdlog::warn("{}", failure.what());
      failing_ = failure.status();
      // A wake-up does not end this pause: a source that is free again does not help.
      const auto rest = failure.is_outage() ? kOutagePause : kFailurePause;
      wait(std::min(linger_.end(), clock_.now() + rest));
      continue;
    }
    if (seen == Visit::worked) {
      linger_.work_ended(clock_.now());
      continue;
    }
    if (linger_.is_over(clock_.now())) {
      if (!sweeper_.is_working()) break;
      // Without it a tick of one pass would never delete a large folder.
      wait(clock_.now() + kEarlyVisitEvery, {sweeper_.descriptor()});
      delete_discarded();
      continue;
    }
    wait_for_wake(std::min(linger_.end(), clock_.now() + pause));
  }
  return stop_.requested() ? ExitStatus::done : failing_.value_or(status_);
}

// False if no deletion was running.
bool Minion::wait_for_sweeper() {
  if (!sweeper_.is_working()) return false;
  sweeper_.finish(clock_, stop_);
  delete_discarded();
  return true;
}

// Listening lapses every now and then. Only a wake-up ends the wait.
void Minion::wait_for_wake(Instant until) {
  while (!stop_.requested() && clock_.now() < until) {
    try {
      coordinator_.listen(self_, kListenFor);
      std::vector<int> descriptors;
      if (coordinator_.wake_descriptor() >= 0) {
        descriptors.push_back(coordinator_.wake_descriptor());
      }
      wait(until, std::move(descriptors));
      if (coordinator_.heard() == Listening::woken) return;
    } catch (const Failure& failure) {
      spdlog::warn("{}", failure.what());
      return wait(until);
    }
  }
}

JoinOutcome Minion::join(SeatWish seat) {
  if (!id_) {
    const auto kept = state_.host_id();
    if (!kept.warning.empty()) spdlog::warn("{}", kept.warning);
    id_ = kept.id;
  }
  const auto ask = [&] {
    const auto left = std::chrono::duration_cast<Duration>(linger_.end() - clock_.now());
    return coordinator_.join(self_, *id_, arrival_, seat, std::min(left, kStays));
  };
  auto outcome = ask();
  if (const auto* const used = std::get_if<IdInUse>(&outcome)) {
    id_ = state_.new_host_id();
    spdlog::warn(
        "the live host {} has the id of this one, so one '{}' is a copy: this host has a new id "
        "now",
        used->where, escaped(state_.path().string()));
    outcome = ask();
  }
  if (const auto* const used = std::get_if<AddressInUse>(&outcome)) {
    throw Failure(
        ExitStatus::usage, Remedy::operator_acts,
        fmt::format("another live host uses the address {} (seen {:.0f} s ago): give each host "
                    "its own by --address; a host that has lost its .libsync joins 150 s after "
                    "its last tick",
                    self_.text(), in_seconds(used->seen_ago)));
  }
  arrival_ = Arrival::again;
  return outcome;
}

Minion::Visit Minion::visit() {
  // A host with a configured number of slots uses no more. Trees need as many pulls as there are
  // trees.
  const auto outcome = join(config_.host.slots ? SeatWish::none : SeatWish::wanted);
  report_hook_fault();
  if (const auto* const none = std::get_if<NoRun>(&outcome)) {
    if (none->ended) {
      evidence_.going_on.reset();
      evidence_.over_until_ms = std::max(evidence_.over_until_ms, none->ended_begun_ms);
      sweep_ended(*none->ended, none->ended_begun_ms);
    }
    return Visit::idle;
  }
  if (const auto* const other = std::get_if<OtherVersion>(&outcome)) refuse(*other);
  const auto* const joined = std::get_if<Joined>(&outcome);
  if (joined == nullptr) return Visit::early;
  const RunInfo& run = joined->run;
  evidence_ = {run.id, run.begun_ms};
  sweep(run, joined->is_finished ? std::nullopt : former_spool(run));
  if (joined->is_finished) {
    if (!state_.receipts().has(config_.host.repo / run.task.name(), run.manifest)) {
      spdlog::warn("the published '{}' is missing: fetching it again", escaped(run.task.name()));
    } else if (joined->suspicion == Suspicion::none || clears_suspicion(run)) {
      return Visit::idle;
    } else {
      spdlog::warn("pieces of '{}' have rotted: verifying the published payload",
                   escaped(run.task.name()));
    }
    coordinator_.leave(run.id, self_, Retreat::altogether, "");
  }
  download(run, joined->seat);
  return Visit::worked;
}

// The reason shows in status. Without the retreat this host would keep its seat.
void Minion::refuse(const OtherVersion& other) {
  const auto reason = other_version_refusal(other.task, config_.host.prefix);
  coordinator_.leave(other.run, self_, Retreat::claims_only, reason);
  throw Failure(ExitStatus::redis, Remedy::operator_acts, reason);
}

void Minion::download(const RunInfo& run, const std::optional<Seat>& seat) {
  const auto spool = state_.spool(run.fingerprint);
  const auto refusal = refuse_destination(config_.host.repo, run.task.name(), std::nullopt);
  try {
    if (refusal) throw Failure(ExitStatus::local, Remedy::operator_acts, refusal->reason);
    spool.assign({.role = Role::minion,
                  .prefix = config_.host.prefix,
                  .run = run.id,
                  .task = run.task,
                  .content = run.fingerprint,
                  .piece_bytes = run.cut.piece_bytes,
                  .begun_ms = run.begun_ms});
    if (config_.basis == BasisRule::none) static_cast<void>(spool.discard_former());
    if (const auto former = former_spool(run); former && !spool.inherit(*former)) {
      former->leave(Role::minion);
    }
    // The manifest will say whether the payload is a folder.
    if (const auto unfit =
            refuse_file_system(config_.host.repo, run.task.name(), spool, std::nullopt)) {
      throw Failure(ExitStatus::local, Remedy::operator_acts, unfit->reason);
    }
    if (const auto done = pull(run, seat)) {
      published(run, *done);
      static_cast<void>(spool.discard_tree());  // The rest of an earlier attempt.
      static_cast<void>(spool.discard_former());
      // A second pull of a piece may have begun while the first one was judged.
      spool.clear_incoming();
    }
  } catch (const Failure& failure) {
    // The next attempt begins the tree anew. Until then a full disk gets its space back.
    static_cast<void>(spool.discard_tree());
    if (failure.status() != ExitStatus::redis) {
      coordinator_.leave(run.id, self_, Retreat::claims_only, failure.what());
    }
    throw;
  }
  run_owed_hook();  // The run may have ended while it was being published.
}

std::optional<Published> Minion::pull(const RunInfo& run, const std::optional<Seat>& seat) {
  Download download(coordinator_, transfer_, clock_,
                    {self_, config_.host.repo, config_.host.slots, config_.ownership,
                     after_publish_.hook(), config_.basis, stop_.token()},
                    state_, run, seat);
  try {
    const auto end = run_to_end(download);
    if (!end) {
      download.give_up("");
    } else if (const auto* const done = std::get_if<Published>(&*end)) {
      transfer_.end_all();
      return *done;
    } else {
      spdlog::warn("run {}: the run of '{}' is over, or another has begun: stopping", run.id.text(),
                   escaped(run.task.text()));
      download.give_last_account();
    }
    return std::nullopt;
  } catch (const Failure& failure) {
    transfer_.end_all();
    if (failure.status() != ExitStatus::redis) download.give_account();
    throw;
  }
}

std::optional<DownloadEnd> Minion::run_to_end(Download& download) {
  while (!stop_.requested()) {
    try {
      if (auto end = download.step()) return end;
    } catch (const Stopped&) {
      break;
    } catch (const Failure& failure) {
      // Running pulls need no Redis. After them a tick whose time is up ends.
      const bool may_pass =
          failure.is_outage() && (download.is_pulling() || !linger_.is_over(clock_.now()));
      if (!may_pass) throw;
      spdlog::warn("{}", failure.what());
      wait(clock_.now() + kOutagePause);
      continue;
    }
    std::vector<int> descriptors;
    download.append_descriptors(descriptors);
    wait(download.next_due(), std::move(descriptors));
  }
  return std::nullopt;
}

void Minion::published(const RunInfo& run, const Published& published) {
  const auto seconds = std::max(0.001, in_seconds(published.took));
  std::string sources;
  for (const auto& [address, pieces] : published.fed_by) {
    if (pieces > 0) sources += fmt::format("  from {}: {} pieces\n", address.text(), pieces);
  }
  spdlog::info(
      "rsync complete:\n  received {} bytes in {:.2f} s, {:.2f} bytes/sec\n"
      "  total size is {}\n{}",
      published.wire_bytes, seconds, static_cast<double>(published.wire_bytes) / seconds,
      run.cut.stream_bytes, sources);
  spdlog::info("run {}: published '{}', {} bytes in {:.1f} s from {} hosts", run.id.text(),
               escaped(run.task.text()), run.cut.stream_bytes, seconds,
               std::count_if(published.fed_by.begin(), published.fed_by.end(),
                             [](const auto& source) { return source.second > 0; }));
  state_.notes().publish(note_of(run, published));
  spdlog::info("END rsync:\n  syn_queue:{}\n  fin_queue:{}\n", published.sources,
               published.finished);
  status_ = ExitStatus::done;
  run_owed_hook();
  report_hook_fault();
}

void Minion::run_owed_hook() {
  const auto name = state_.receipts().hook_owed();
  if (!name || stop_.requested()) return;
  bool is_shown = false;
  const auto failed = after_publish_.run(config_.host.repo / *name, [&] {
    show_hook(fmt::format("running --after-publish for '{}'", *name));
    is_shown = true;
  });
  if (is_shown && !stop_.requested()) show_hook("");
  // A command that the stop signal ended is still owed.
  if (!failed || !stop_.requested()) state_.receipts().hook_has_run();
  if (!failed) return state_.notes().clear(NotedFault::hook);
  state_.notes().keep(NotedFault::hook, *failed);
  spdlog::error("{}", *failed);
  status_ = ExitStatus::local;
  for (const auto& [spool, owner] : state_.spools_of(Role::minion, config_.host.prefix)) {
    if (owner.task.name() == *name) hook_fault_ = HookFault{owner.run, *failed};
  }
}

// Without it status would have this host under `never came` in a run that has begun meanwhile. The
// command needs no Redis, and the next visit reports what fails here.
void Minion::show_hook(const std::string& text) {
  try {
    const auto outcome = join(SeatWish::none);
    const auto* const joined = std::get_if<Joined>(&outcome);
    if (joined == nullptr || joined->is_finished) return;
    coordinator_.show_work(joined->run.id, self_, text);
  } catch (const Failure& failure) {
    spdlog::debug("the command is not shown: {}", failure.what());
  }
}

// Redis accepts it for the run in progress and for the last one.
void Minion::report_hook_fault() {
  if (!hook_fault_) return;
  coordinator_.report_fault(hook_fault_->run, self_, Fault::hook, hook_fault_->reason);
  hook_fault_.reset();
}

// A bad piece stays as the evidence until the next download deletes it.
bool Minion::clears_suspicion(const RunInfo& run) {
  spdlog::warn("other hosts got wrong bytes from here: hashing the spool again");
  const auto spool = state_.spool(run.fingerprint);
  PieceSet good(run.cut.pieces());
  bool is_any_bad = false;
  // On a thread, because a piece may be as long as the payload, and the stop signal must not wait.
  Workers verifier(1);
  for (const auto& staged : coordinator_.digests(run.id, spool.pieces_found(run.cut).members())) {
    verifier.submit(
        [spool, staged, bytes = run.cut.bytes_of(staged.piece)](const std::stop_token& stop) {
          return spool.reverify(staged.piece, bytes, staged.digest, stop);
        },
        [&, number = staged.piece](Verdict verdict) {
          if (verdict == Verdict::good) good.insert(number);
          if (verdict == Verdict::bad) is_any_bad = true;
        });
  }
  while (verifier.pending() > 0 && !is_any_bad) {
    if (stop_.requested()) return true;
    wait(Instant::max(), {verifier.descriptor()});
    verifier.collect();
  }
  if (is_any_bad) return false;
  if (run.origin == self_ && !good.is_complete()) return false;
  // The origin has no seat in the trees that grow from it.
  const bool is_in_trees = run.has_trees && run.origin != self_;
  const auto usual = is_in_trees ? kSlotsBesideTrees : default_slots(run.cut);
  const auto slots = config_.host.slots.value_or(usual);
  static_cast<void>(
      coordinator_.report(run.id, self_, {good, run.cut.pieces()}, slots, Clearance::cleared));
  return true;
}

void Minion::wait(Instant until, std::vector<int> descriptors) {
  descriptors.push_back(stop_.descriptor());
  if (!stop_.requested()) clock_.wait(until, descriptors);
}

}  // namespace libsync
