#include "master/plan.h"

#include <utility>

namespace libsync {
namespace {

// A run that began with no known host settles once no new host has joined for this long. Else the
// first host to finish would end it before the others, whose ticks have only just begun, have
// joined.
constexpr std::chrono::milliseconds kSettling{10'000};

bool is_settled(const RunStanding& run) {
  return run.known_at_begin > 0 || run.since_last_joined >= kSettling;
}

bool is_complete(const RunStanding& run) {
  if (run.state != RunState::staged || run.expected == 0 || run.finished < run.expected)
    return false;
  return is_settled(run);
}

bool may_end_short(const RunStanding& run, const EndingTerms& terms) {
  if (!terms.quorum_percent && !terms.deadline) return false;
  if (terms.deadline && run.age < *terms.deadline) return false;
  if (!terms.quorum_percent) return true;
  return run.expected > 0 && is_settled(run) &&
         run.finished * 100 >= run.expected * *terms.quorum_percent;
}

// The move that `make` makes for a valid task; Refuse for any other text.
template <typename Make>
Move checked(const std::string& text, Make make) {
  auto task = TaskPath::parse(text);
  if (auto* const refusal = std::get_if<Refusal>(&task)) {
    return Refuse{text, std::move(refusal->reason)};
  }
  return make(std::get<TaskPath>(std::move(task)));
}

bool is_task(const std::string& text, const std::optional<TaskPath>& task) {
  return task && task->text() == text;
}

Move move_in_run(const Watch& watch, const RunStanding& run, const RunRecord& owner,
                 const EndingTerms& terms) {
  const auto end = [&](Standing standing, const char* outcome) {
    return EndRun{run.id, run.task, standing, outcome, owner};
  };
  // An earlier tick died after it had recorded the end and before Redis knew.
  if (owner.standing == Standing::ended) return end(Standing::ended, "complete");
  if (owner.standing == Standing::ended_short) return end(Standing::ended_short, "abandoned");
  if (is_complete(run)) return end(Standing::ended, "complete");
  if (!watch.task) return end(Standing::ended_short, "cancelled");
  if (may_end_short(run, terms)) {
    return end(Standing::ended_short, terms.quorum_percent ? "quorum" : "deadline");
  }
  if (!is_task(*watch.task, run.task)) {
    if (!run.overtaken_for || !is_task(*watch.task, run.waiting)) {
      return checked(*watch.task, [&](TaskPath task) -> Move {
        return NoteWaiting{run.id, std::move(task)};
      });
    }
    if (*run.overtaken_for >= terms.grace) return end(Standing::ended_short, "overtaken");
  } else if (run.overtaken_for) {
    return NoteWaiting{run.id, std::nullopt};
  }
  if (run.format == RunFormat::other) return OtherFormat{run.id, run.task};
  if (run.state == RunState::staging) return Resume{owner};
  if (run.origin_is_suspect) return Reverify{owner};
  return Idle{};
}

}  // namespace

Move next_move(const Watch& watch, const std::optional<RunRecord>& own, const EndingTerms& terms,
               const MasterId& self) {
  if (watch.run) {
    if (own && own->run == watch.run->id) return move_in_run(watch, *watch.run, *own, terms);
    if (watch.run->master == self) {
      // A master drops its other spools before it begins a run, so the run of our spool is later.
      const bool is_earlier = own && own->standing == Standing::running;
      return EndRun{watch.run->id, watch.run->task, Standing::ended_short,
                    is_earlier ? "superseded" : "spool-lost", std::nullopt};
    }
    return Foreign{watch.run->id, watch.run->task};
  }
  const bool is_unended = own && own->standing == Standing::running;
  if (is_unended && (!watch.task || is_task(*watch.task, own->task))) return Resume{*own};
  if (watch.task) {
    return checked(*watch.task, [](TaskPath task) -> Move { return Distribute{std::move(task)}; });
  }
  return Idle{};
}

}  // namespace libsync
