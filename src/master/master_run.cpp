// The moves of the master: a run from its begin to its end.

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "libsync/core/host_ranges.h"
#include "libsync/core/outcome.h"
#include "libsync/core/run_record.h"
#include "libsync/core/shown_number.h"
#include "libsync/core/slots.h"
#include "master/master.h"
#include "master/new_run.h"
#include "store/state_folder.h"

namespace libsync {
namespace {

// Poll interval during staging.
constexpr Duration kWatchEvery{1000};
// Interval between two lines about the progress of staging, or of a listing.
constexpr Duration kProgressEvery{10'000};

// Pause before a payload that changed is staged again: its writer may be about to finish.
constexpr Duration kChangedPause{5000};
// The master refuses the task after this many attempts, since others may wait for it.
constexpr int kChangedAttempts = 3;

// Interval between two lines about the hosts that a run waits for.
constexpr Duration kAwaitedEvery{60'000};

// Hosts that a log line names.
constexpr std::size_t kMostNamed = 50;

double seconds_between(Instant from, Instant to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

void Master::distribute(const TaskPath& task) {
  auto found = records_.find(task);
  if (const auto* const refusal = std::get_if<Refusal>(&found)) {
    return refuse(task.text(), refusal->reason);
  }
  auto& original = std::get<Original>(found);
  const auto made = make_run(original, terms_, [this](const Fingerprint& content) {
    return records_.piece_bytes_of(content);
  });
  if (const auto* const refusal = std::get_if<Refusal>(&made)) {
    return refuse(task.text(), refusal->reason);
  }
  const auto& run = std::get<NewRun>(made);
  spdlog::info("found new task, start rsync and set redis queue");
  const auto lost =
      warning_of_losses(task, original.payload.hard_linked_files,
                        uncarried_of(original.location, original.payload.manifest, stop_.token(),
                                     [this](std::size_t entries) {
                                       at_entry("reading the attributes of the payload", entries);
                                     }));
  if (!lost.empty()) spdlog::warn("{}", lost);
  for (const auto& line : records_.drop_all_but(run.info.fingerprint, clock_.wall())) {
    spdlog::warn("{}", line);
  }
  sweeper_.finish(clock_, stop_);  // The pieces may need that very space.
  records_.prepare(run, original.payload.stamps);
  if (begin(run.info, run.record, TaskKey::leave)) stage_and_log(run.info, std::move(original));
}

bool Master::begin(const RunInfo& run, RunRecord owner, TaskKey task) {
  const auto wanted = config_.host.slots.value_or(default_origin_uploads(run.cut));
  // A minion that is the origin offers its slots itself.
  const unsigned slots = run.origin_kind == OriginKind::minion ? 0 : wanted;
  const auto outcome =
      coordinator_.begin(run, slots, expected_of(terms_, owner), task, config_.spread);
  if (const auto* const busy = std::get_if<Busy>(&outcome)) {
    if (busy->run == run.id) {
      start_over(owner, "it was announced from another host, or with another list of files");
      return false;
    }
    warn_once(fmt::format("'{}' is being distributed by another master: run one only",
                          escaped(busy->task.text())),
              warned_.foreign);
    records_.drop(run.id);
    return false;
  }
  // Redis may lose the names of the expected hosts; the spool keeps them.
  if (const auto* const begun = std::get_if<Begun>(&outcome)) {
    owner.expected_hosts = begun->expected;
    const auto hosts = std::max(config_.minions, begun->expected.size());
    const auto warning = warning_of_claims(config_.spread, run.cut, hosts);
    if (!warning.empty()) spdlog::warn("{}", warning);
  }
  owner.standing = Standing::running;
  records_.write(owner);
  return true;
}

void Master::resume(const RunRecord& owner) {
  const auto run = records_.describe(owner, terms_.origin);
  const auto spool = records_.spool_of(owner.run);
  if (!run || !spool) return start_over(owner, "its spool is damaged");
  const bool is_complete = read_staging_record(*spool).is_complete;
  auto original = records_.unchanged_original(owner, is_complete ? Needed::no : Needed::yes);
  if (!original && !is_complete) return start_over(owner, "the payload has changed");
  spdlog::info("going on with '{}'", escaped(owner.task.text()));
  if (begin(*run, owner, TaskKey::restore)) stage_and_log(*run, std::move(original));
}

void Master::start_over(const RunRecord& owner, const std::string& why) {
  spdlog::warn("cannot resume the run of '{}' ({}): starting over", escaped(owner.task.text()),
               why);
  static_cast<void>(end_run(owner.run, "abandoned", why, TaskAfter::stays));
  records_.drop(owner.run);
}

// Whether the next move would end the run that is being staged. Notes a task that waits.
bool Master::is_to_end(const Watch& watch, const RunInfo& run) {
  const auto move = next_move(watch, records_.own_run(watch), ending_terms(), terms_.master);
  if (const auto* const waiting = std::get_if<NoteWaiting>(&move)) note_waiting(*waiting);
  if (const auto* const refused = std::get_if<Refuse>(&move)) {
    refuse(refused->task, refused->reason);
  }
  const auto* const ending = std::get_if<EndRun>(&move);
  return ending != nullptr && ending->run == run.id;
}

// Nothing if a signal stopped the program, or if the run must end now.
std::optional<StagingEnd> Master::stage(const RunInfo& run, std::optional<Original> original) {
  auto next_watch = clock_.now() + kWatchEvery;
  auto next_progress = clock_.now() + kProgressEvery;
  bool has_offered = false;
  std::optional<StagingEnd> end;
  Staging staging(coordinator_, transfer_, clock_, state_, run, std::move(original));
  while (!stop_.requested()) {
    auto until = std::min(next_watch, next_progress);
    try {
      end = staging.step();
      if (clock_.now() >= next_watch) {
        next_watch = clock_.now() + kWatchEvery;
        if (guard_.is_due(clock_.now()) && has_repaired(records_.own_run({}))) break;
        if (is_to_end(coordinator_.watch(), run)) break;
      }
      until = std::min(until, staging.next_due());
    } catch (const Failure& failure) {
      if (!failure.is_outage()) throw;
      spdlog::warn("{}", failure.what());
      wait(clock_.now() + kOutagePause);
      continue;
    }
    if (staging.announced() > 0 && !has_offered) {
      spdlog::info("start rsync to minion: {}", escaped(run.task.text()));
      has_offered = true;
    }
    if (const auto fault = staging.pop_probe_fault()) {
      spdlog::warn(
          "minions cannot pull from here, since this host's own rsync daemon does not "
          "serve it: {}",
          *fault);
    }
    if (end) break;
    if (clock_.now() >= next_progress) {
      next_progress = clock_.now() + kProgressEvery;
      const auto work = staging.work();
      spdlog::info("staged {} of {} pieces{}{}", staging.announced(), run.cut.pieces(),
                   work.empty() ? "" : ", ", work);
      show_work(work);
    }
    std::vector<int> descriptors;
    staging.append_descriptors(descriptors);
    wait(until, std::move(descriptors));
  }
  transfer_.end_all();
  show_work("");
  return end;
}

// Called for each entry while a payload is read, which keeps the tick from all else.
void Master::at_entry(std::string_view work, std::size_t entries) {
  const auto now = clock_.now();
  if (entries == 1) shown_.work_due = now + kProgressEvery;
  if (now < shown_.work_due) return;
  shown_.work_due = now + kProgressEvery;
  const auto line = fmt::format("{}, {} entries so far", work, shown_count(entries));
  spdlog::info("{}", line);
  show_work(line);
}

// The work is shown to people, so the tick goes on without a right to it, or without Redis.
void Master::show_work(const std::string& work) {
  if (work.empty() && !shown_.is_work_shown) return;
  shown_.is_work_shown = !work.empty();
  try {
    coordinator_.show_work(work);
  } catch (const Failure& failure) {
    spdlog::debug("the work is not shown: {}", failure.what());
  }
}

void Master::stage_and_log(const RunInfo& run, std::optional<Original> original) {
  const auto started = clock_.now();
  const auto end = stage(run, std::move(original));
  if (!end) return;
  if (const auto* const staged = std::get_if<StagedAll>(&*end)) {
    const auto seconds = std::max(0.001, seconds_between(started, clock_.now()));
    changed_attempts_ = 0;
    shown_.awaited_due = clock_.now() + kAwaitedEvery;
    spdlog::info("rsync complete:\n  staged {} pieces, {} bytes in {:.2f} s, {:.2f} bytes/sec\n",
                 run.cut.pieces(), staged->bytes, seconds,
                 static_cast<double>(staged->bytes) / seconds);
  } else if (const auto* const changed = std::get_if<OriginalChanged>(&*end)) {
    give_up_changed(run, *changed);
  }
}

// Ends the run but keeps the task, so the next move distributes the payload as it is then.
void Master::give_up_changed(const RunInfo& run, const OriginalChanged& changed) {
  static_cast<void>(end_run(run.id, "changed", changed.reason, TaskAfter::stays));
  records_.drop(run.id);
  ++changed_attempts_;
  if (changed_attempts_ >= kChangedAttempts) {
    changed_attempts_ = 0;
    refuse(run.task.text(), fmt::format("{}, {} times: set the task when the source is complete",
                                        changed.reason, kChangedAttempts));
    return;
  }
  spdlog::warn("{}: trying again in 5 s", changed.reason);
  wait(clock_.now() + kChangedPause);
}

void Master::end(const EndRun& ending) {
  const bool is_complete = ending.standing == Standing::ended;
  // A task that exists after a cancel was set since.
  const bool is_cancel = ending.outcome == "cancelled";
  auto after = is_cancel || ending.outcome == "spool-lost" ? TaskAfter::stays : TaskAfter::goes;
  if (ending.owner) {
    // The same path with new contents is a new task.
    if (!is_cancel && records_.has_other_contents(*ending.owner)) after = TaskAfter::stays;
    // The record ends durably before Redis drops the run, so no tick begins an ended run again.
    auto ended = *ending.owner;
    ended.standing = ending.standing;
    records_.write(ended);
  }
  if (is_complete) {
    spdlog::info("mission complete, clean task and queue");
    if (status_ == ExitStatus::redis) status_ = ExitStatus::done;  // Hosts of its version are done.
  } else if (ending.outcome == "superseded") {
    spdlog::warn(
        "Redis has fallen back to the run of '{}', which is not the last one: resuming the "
        "later run",
        escaped(ending.task.text()));
  } else {
    status_ = ExitStatus::ended_short;
    spdlog::warn("the run of '{}' ends without every host ({})", escaped(ending.task.text()),
                 ending.outcome);
  }
  const auto outcome = end_run(ending.run, ending.outcome, "", after);
  if (const auto* const ended = std::get_if<Ended>(&outcome)) log_end(ending, *ended);
  if (is_complete) records_.drop(ending.run);
}

EndOutcome Master::end_run(const RunId& run, const std::string& outcome, const std::string& reason,
                           TaskAfter task) {
  auto ended = coordinator_.end(run, outcome, reason, task);
  keeper_.run_ended();
  keep_account();
  return ended;
}

// The account is for people: without it, the run has ended all the same.
void Master::keep_account() {
  const auto why = keeper_.keep();
  if (why) spdlog::warn("sync-master report cannot show the run that ended last: {}", *why);
}

// One line sums the run up. Others name the silent and the missing hosts.
void Master::log_end(const EndRun& ending, const Ended& ended) {
  spdlog::info("run {} of '{}': {}, {} of {} hosts, {} bytes in {:.1f} s", ending.run.text(),
               escaped(ending.task.text()), outcome_text(ending.outcome, ended.hook_failed),
               ended.finished, ended.expected, ended.bytes, in_seconds(ended.took));
  if (ending.standing == Standing::ended && !ended.silent.empty()) {
    spdlog::warn("complete: {} of {} expected; {} known hosts silent: {}", ended.finished,
                 ended.expected, ended.silent.size(), host_ranges(ended.silent, kMostNamed));
  }
  if (!ended.missing.empty()) {
    spdlog::warn("not finished: {}", host_ranges(ended.missing, kMostNamed));
  }
}

// Names the hosts that the run waits for, when the tick begins and then once a minute.
void Master::log_awaited(const RunStanding& run) {
  if (run.state != RunState::staged || run.finished >= run.expected) return;
  if (clock_.now() < shown_.awaited_due) return;
  shown_.awaited_due = clock_.now() + kAwaitedEvery;
  const auto awaited = coordinator_.awaited();
  if (!awaited) return;
  const auto left = awaited->expected - std::min(awaited->expected, awaited->finished);
  auto names = host_ranges(awaited->missing, kMostNamed);
  if (left > awaited->missing.size()) {
    names += fmt::format("{}{} that never came", names.empty() ? "" : " and ",
                         left - awaited->missing.size());
  }
  spdlog::info("waiting for {} of {} hosts: {}", left, awaited->expected, names);
}

void Master::refuse(const std::string& task, const std::string& reason) {
  spdlog::error("refused: {}", reason);
  static_cast<void>(coordinator_.refuse(task, reason));
  status_ = ExitStatus::ended_short;
}

// Hashes or pushes the origin's spool again, and cuts its damaged pieces again.
void Master::reverify(const RunRecord& owner) {
  const auto run = records_.describe(owner, terms_.origin);
  if (!run) return start_over(owner, "its spool is damaged");
  spdlog::warn("other hosts got wrong bytes from here, or none: hashing the spool again");
  // begin() compares the manifest with the announced one: no fingerprint covers owners.
  if (!begin(*run, owner, TaskKey::restore)) return;
  const auto end = stage(*run, records_.unchanged_original(owner, Needed::yes));
  if (!end) return;
  if (std::holds_alternative<StagedAll>(*end)) {
    static_cast<void>(coordinator_.vouch(run->id));
  } else if (const auto* const changed = std::get_if<OriginalChanged>(&*end)) {
    give_up_changed(*run, *changed);
  }
}

}  // namespace libsync
