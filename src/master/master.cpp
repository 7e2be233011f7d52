#include "master/master.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "libsync/core/other_version.h"
#include "libsync/core/run_record.h"
#include "store/state_folder.h"

namespace libsync {
namespace {

// Poll interval of a lingering master, and so its longest reaction to a new task. A poll is one
// cheap call. Keyspace notifications would be faster, but Redis has them off by default.
constexpr Duration kVisitEvery{200};
}  // namespace

Master::Master(MasterCoordinator& coordinator, Transfer& transfer, Clock& clock,
               const StopSignal& stop, const StateFolder& state, MasterConfig config,
               const Address& self)
    : coordinator_(coordinator),
      transfer_(transfer),
      clock_(clock),
      stop_(stop),
      state_(state),
      config_(std::move(config)),
      terms_(terms_of(config_, self, state.master_id())),
      records_(state, config_.host.repo, config_.host.prefix, config_.source_roots, stop.token(),
               [this](std::size_t entries) { at_entry("listing the payload", entries); }),
      guard_(coordinator_, records_, terms_),
      keeper_(coordinator_, state_),
      linger_(clock.now(), config_.host.linger),
      sweeper_(state, Role::master) {}

ExitStatus Master::tick() {
  while (!stop_.requested()) {
    auto next = Next::wait;
    try {
      next = visit();
      for (const auto& why : sweeper_.sweep()) spdlog::warn("{}", why);
    } catch (const Stopped&) {
      break;
    } catch (const Failure& failure) {
      if (!failure.is_outage() || linger_.is_over(clock_.now())) throw;
      spdlog::warn("{}", failure.what());
      wait(std::min(linger_.end(), clock_.now() + kOutagePause));
    }
    if (next == Next::again) {
      linger_.work_ended(clock_.now());
      continue;
    }
    if (linger_.is_over(clock_.now()) && !sweeper_.is_working()) break;
    wait(clock_.now() + kVisitEvery, {sweeper_.descriptor()});
  }
  if (has_discovered_ && !has_task_) spdlog::info("no task, exit");
  return stop_.requested() ? ExitStatus::done : status_;
}

Master::Next Master::visit() {
  const bool is_first = !has_discovered_;
  if (is_first) {
    coordinator_.load_functions();
    discover();
  }
  show_work("");
  keep_account();
  // Before the watch, which cannot read every value that others may have written.
  if (guard_.is_due(clock_.now())) static_cast<void>(has_repaired(records_.own_run({})));
  auto watch = coordinator_.watch();
  const auto own = records_.own_run(watch);
  warn_of_type(watch.wrong_type);
  if (own && watch.run && own->run == watch.run->id && watch.run->newcomers > 0) {
    static_cast<void>(coordinator_.admit(own->run));
  }
  if (!has_checked_spools_) check_spools(watch, own);
  const auto move = next_move(watch, own, ending_terms(), terms_.master);
  const bool is_ending = std::holds_alternative<EndRun>(move);
  // Others may have reported what this run never announced, and a silent host may be back.
  if (is_ending) {
    if (has_repaired(own)) return Next::again;
    const auto again = next_move(coordinator_.watch(), own, ending_terms(), terms_.master);
    if (!std::holds_alternative<EndRun>(again)) return Next::again;
  }
  if (is_ending && !is_first) discover();
  if (!watch.run && !count_task(move)) return Next::again;
  if (is_first && watch.task && std::holds_alternative<Idle>(move)) spdlog::info("nothing to do");
  if (own && watch.run && std::holds_alternative<Idle>(move)) log_awaited(*watch.run);
  const auto next = make(move);
  has_checked_spools_ = true;
  counted_task_.reset();
  return next;
}

// Compares our run in Redis with our spool. True if something differed, so the caller has to watch
// again.
bool Master::has_repaired(const std::optional<RunRecord>& own) {
  if (!own) return false;
  const auto keys = guard_.compare(*own, clock_.now());
  for (const auto& key : keys) {
    spdlog::warn(
        "the key {} differed from the spool of '{}' and is repaired: let the master alone "
        "write it (sync-master(8), Users)",
        key, escaped(own->task.text()));
  }
  return !keys.empty();
}

// Counts and logs a task that was set after the last discover(), before the master acts on it.
// False if the operator has set another one meanwhile, which the next visit finds.
bool Master::count_task(const Move& move) {
  std::optional<std::string> task;
  if (const auto* const found = std::get_if<Distribute>(&move)) task = found->task.text();
  if (const auto* const refused = std::get_if<Refuse>(&move)) task = refused->task;
  if (!task || task == counted_task_) return true;
  discover();
  return task == counted_task_;
}

// Checks the spools on the disk, once a tick: the host may have lost power since the last one.
void Master::check_spools(Watch& watch, const std::optional<RunRecord>& own) const {
  if (!watch.run) return records_.drop_ended();
  if (own && own->run == watch.run->id && watch.run->state == RunState::staged &&
      records_.lacks_pieces(*own)) {
    watch.run->origin_is_suspect = true;
  }
}

void Master::discover() {
  spdlog::info("try to find a task");
  const auto found = coordinator_.discover();
  has_discovered_ = true;
  has_task_ = found.task.has_value();
  counted_task_ = found.task;
  if (found.task) {
    spdlog::info("file_name: {}, finished_minion_count: {}", escaped(*found.task), found.finished);
    if (found.has_slash) spdlog::info("the trailing slash of the task is dropped");
  }
}

void Master::warn_of_type(const std::string& type) {
  if (type.empty()) return warned_.type.clear();
  status_ = ExitStatus::redis;
  warn_once(
      fmt::format("the key {0}task holds a {1} and no path: delete it with redis-cli del {0}task, "
                  "which cancels a run in progress, or set a path",
                  escaped(config_.host.prefix), type),
      warned_.type);
}

Master::Next Master::make(const Move& move) {
  if (const auto* const task = std::get_if<Distribute>(&move)) {
    distribute(task->task);
    return Next::again;
  }
  if (const auto* const unfinished = std::get_if<Resume>(&move)) {
    resume(unfinished->owner);
    return Next::again;
  }
  if (const auto* const ending = std::get_if<EndRun>(&move)) {
    end(*ending);
    return Next::again;
  }
  if (const auto* const refused = std::get_if<Refuse>(&move)) {
    refuse(refused->task, refused->reason);
    return Next::again;
  }
  if (const auto* const waiting = std::get_if<NoteWaiting>(&move)) {
    note_waiting(*waiting);
  } else if (const auto* const foreign = std::get_if<Foreign>(&move)) {
    warn_once(
        fmt::format("'{}' is being distributed by a master on another host or with another "
                    "--repo: run one master only, or, if that host never comes back, delete the "
                    "key {}sync:run",
                    escaped(foreign->task.text()), escaped(config_.host.prefix)),
        warned_.foreign);
  } else if (const auto* const other = std::get_if<OtherFormat>(&move)) {
    status_ = ExitStatus::redis;
    warn_once(other_version_refusal(other->task, config_.host.prefix), warned_.foreign);
  } else if (const auto* const doubtful = std::get_if<Reverify>(&move)) {
    reverify(doubtful->owner);
  }
  return Next::wait;
}

void Master::note_waiting(const NoteWaiting& waiting) {
  if (waiting.task) {
    const auto found = records_.find_if_reachable(*waiting.task);
    if (const auto* const refusal = std::get_if<Refusal>(&found)) {
      return refuse(waiting.task->text(), refusal->reason);
    }
    spdlog::info("another task waits: the run in progress may go on for {} s",
                 std::chrono::duration_cast<std::chrono::seconds>(config_.grace).count());
  }
  coordinator_.overtake(waiting.run, waiting.task);
}

EndingTerms Master::ending_terms() const {
  return {config_.quorum_percent, config_.deadline, config_.grace};
}

void Master::wait(Instant until, std::vector<int> descriptors) {
  descriptors.push_back(stop_.descriptor());
  if (!stop_.requested()) clock_.wait(until, descriptors);
}

void Master::warn_once(const std::string& line, std::string& last) {
  if (line != last) spdlog::warn("{}", line);
  last = line;
}

}  // namespace libsync
