#include "programs/wait.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "libsync/core/outcome.h"
#include "libsync/core/shown_number.h"
#include "programs/columns.h"
#include "programs/progress.h"
#include "programs/report.h"

namespace libsync {
namespace {

// An end of the path counts for this long if the path is in no run.
constexpr std::chrono::seconds kRecent{60};
constexpr Duration kAskEvery{1000};
// Pieces that came in less have no rate yet.
constexpr std::chrono::milliseconds kShortestSpan{100};
// Steps for which Redis may not know a run that was seen: a master that lingers begins it again
// within seconds.
constexpr unsigned kLostSteps = 30;
constexpr std::chrono::seconds kLineEvery{15};
constexpr std::chrono::seconds kLongestOutage{60};
// The master reads the accounts from Redis and writes one file; none if its disk fails.
constexpr std::chrono::seconds kLongestAccount{5};
constexpr Duration kAccountEvery{20};
constexpr std::size_t kBar = 20;  // Columns of the bar.

std::string name_of(const std::string& path) {
  return escaped(std::filesystem::path(path).filename().string());
}

WaitEnd end_of(const LastEnd& last) {
  const bool is_complete = last.outcome == "complete";
  return {is_complete ? ExitStatus::done : ExitStatus::ended_short, line_of(last, {}), last};
}

// The line of an end, which names the hosts whose command had failed by then. A line for each
// reason of a missing host follows.
std::string closing_text(Observer& observer, const WaitEnd& end) {
  if (!end.last || end.last->outcome == "refused") return end.line;
  try {
    const auto status = observer.status();
    const bool is_same = status.last && status.last->path == end.last->path &&
                         status.last->outcome == end.last->outcome;
    if (!is_same) return end.line;
    auto text =
        line_of(*end.last, hook_failed_of(*status.last)) + "\n" + missing_lines(*status.last);
    text.pop_back();
    return text;
  } catch (const Failure&) {
    return end.line;
  }
}

// The end of a run that a refusal hides, with the outcome that Redis has kept of the run.
WaitEnd revealed(Observer& observer, WaitEnd end) {
  const auto status = observer.status();
  const auto& last = status.last;
  if (!last || last->run != end.hidden_run || last->run_outcome.empty()) return end;
  end.status = last->run_outcome == "complete" ? ExitStatus::done : ExitStatus::ended_short;
  end.line = fmt::format("the run ended: {}; then {}", escaped(last->run_outcome), end.line);
  end.last.reset();
  return end;
}

// Waits for the account of the run that has ended.
void wait_for_account(Clock& clock, const WaitEnd& end, const IsAccountDue& is_account_due) {
  auto run = end.hidden_run;
  if (end.last && end.last->outcome != "refused") run = end.last->run;
  if (run.empty()) return;
  const auto until = clock.now() + kLongestAccount;
  while (clock.now() < until && is_account_due(run)) {
    clock.wait(std::min(until, clock.now() + kAccountEvery), {});
  }
}

WaitGoesOn progress_of(const Pulse::Run& run) {
  const auto pieces = static_cast<double>(run.pieces);
  const auto span = std::clamp<std::chrono::milliseconds>(run.age, kShortestSpan, kLately);
  const auto flow =
      flow_of(pieces, static_cast<double>(run.bytes) / pieces, run.expected,
              static_cast<double>(run.placed), run.moves.placed_lately, in_seconds(span));
  const auto filled = static_cast<std::size_t>(flow.done * kBar);
  auto line =
      fmt::format("{} [{}{}] {:.1f} %, {}/s, {} of {} hosts", name_of(run.path),
                  std::string(filled, '#'), std::string(kBar - filled, '-'), flow.done * 100,
                  shown_bytes(flow.bytes_per_second), run.finished, run.expected);
  if (flow.seconds_left) line += fmt::format(", {:.0f} s left", *flow.seconds_left);
  if (!run.work.empty()) line += ", " + escaped(run.work);
  return {line, fmt::format("{} {}", run.id, run.finished)};
}

// The width of the terminal; 80 if it does not say.
std::size_t columns() {
  winsize size{};
  const bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return is_known ? size.ws_col : 80;
}

// Standard output.
class Output {
 public:
  explicit Output(Screen screen) : screen_(screen) {}

  void show(const WaitGoesOn& progress, Instant now) {
    if (screen_ == Screen::repaints) {
      // A full line would wrap. \x1b[K erases the rest of the former one.
      fmt::print("\r{}\x1b[K", cut_to_columns(progress.line, columns() - 1));
    } else if (progress.standing != standing_ || now >= next_line_) {
      fmt::print("{}\n", progress.line);
      next_line_ = now + kLineEvery;
    }
    standing_ = progress.standing;
    std::fflush(stdout);
  }

  void close(const std::string& text) {
    if (screen_ == Screen::repaints) fmt::print("\r\x1b[K");
    fmt::print("{}\n", text);
    std::fflush(stdout);
  }

 private:
  Screen screen_;
  std::string standing_;
  Instant next_line_{};
};

}  // namespace

std::string line_of(const LastEnd& last, const std::vector<std::string>& hook_failed) {
  auto line = fmt::format("{}: {}", escaped(last.path), outcome_text(last.outcome, hook_failed));
  if (last.outcome != "refused") {
    line += fmt::format(", {} of {} hosts", last.finished, last.expected);
  }
  if (!last.reason.empty()) line += ": " + escaped(last.reason);
  return line;
}

// The end of the run that was seen, or a refusal since the wait began.
bool Waiting::has_ended(const Pulse& pulse) const {
  if (!pulse.last || pulse.last->path != *path_) return false;
  if (pulse.last->outcome == "refused" || run_.empty()) {
    return pulse.last->ended_ms != ended_before_ms_;
  }
  return pulse.last->run == run_;
}

WaitStep Waiting::begin(const Pulse& pulse) {
  if (pulse.last) ended_before_ms_ = pulse.last->ended_ms;
  if (!path_) {
    if (pulse.run) {
      path_ = pulse.run->path;
    } else if (!pulse.task.empty()) {
      path_ = pulse.task;
    } else {
      return WaitEnd{ExitStatus::done, "no run and no task: nothing to wait for"};
    }
  }
  has_begun_ = true;
  const bool is_there = pulse.task == *path_ || (pulse.run && pulse.run->path == *path_);
  if (is_there) return step(pulse);
  if (pulse.last && pulse.last->path == *path_ && pulse.last->ended_ago < kRecent) {
    return end_of(*pulse.last);
  }
  if (!pulse.task.empty()) {
    return WaitEnd{ExitStatus::ended_short, fmt::format("no run of '{}': the task is '{}'",
                                                        escaped(*path_), escaped(pulse.task))};
  }
  return WaitEnd{
      ExitStatus::usage,
      fmt::format("no run of '{}', and it is not the task: set it first", escaped(*path_))};
}

// No run and no task has the path, and its end is not the last one. Redis may have lost its keys,
// and the master begins the run again; or another end hides that of the path.
WaitStep Waiting::lost(const Pulse& pulse) {
  if (!run_.empty() && ++lost_steps_ <= kLostSteps) {
    return WaitGoesOn{fmt::format("Redis does not know '{}' now", escaped(*path_)), "lost"};
  }
  if (!run_.empty()) {
    return WaitEnd{ExitStatus::ended_short,
                   fmt::format("the outcome of '{}' is not known: see the log of the master",
                               escaped(*path_))};
  }
  return WaitEnd{
      ExitStatus::ended_short,
      fmt::format("'{}' is no task any more: {}", escaped(*path_),
                  pulse.task.empty() ? "it was deleted"
                                     : fmt::format("the task is '{}' now", escaped(pulse.task)))};
}

// The run that was seen has ended, and a refusal since then is the last end.
bool Waiting::is_end_hidden(const Pulse& pulse) const {
  return !run_.empty() && pulse.last && pulse.last->outcome == "refused" &&
         pulse.last->run == run_ && !(pulse.run && pulse.run->id == run_);
}

WaitStep Waiting::step(const Pulse& pulse) {
  if (!has_begun_) return begin(pulse);
  if (is_end_hidden(pulse)) {
    auto end = end_of(*pulse.last);
    end.hidden_run = run_;
    return end;
  }
  const bool is_pending = pulse.task == *path_;
  if (has_ended(pulse)) {
    const bool is_final = pulse.last->outcome == "complete" || !is_pending;
    if (is_final) return end_of(*pulse.last);
  }
  if (pulse.run && pulse.run->path == *path_) {
    run_ = pulse.run->id;
    lost_steps_ = 0;
    return progress_of(*pulse.run);
  }
  if (!is_pending) return lost(pulse);
  lost_steps_ = 0;
  if (!pulse.run) {
    const auto work = pulse.work.empty() ? "" : ", which is " + escaped(pulse.work);
    return WaitGoesOn{fmt::format("'{}' waits for the master{}", escaped(*path_), work), "task"};
  }
  return WaitGoesOn{
      fmt::format("'{}' waits for the run of '{}'", escaped(*path_), escaped(pulse.run->path)),
      pulse.run->id};
}

Screen screen_of_standard_output() {
  const char* const terminal = std::getenv("TERM");
  const bool can_repaint =
      isatty(STDOUT_FILENO) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
  return can_repaint ? Screen::repaints : Screen::appends;
}

ExitStatus wait_for_run(Observer& observer, Clock& clock, Waiting waiting,
                        std::optional<Duration> limit, Screen screen,
                        const IsAccountDue& is_account_due) {
  Output output(screen);
  const auto begun = clock.now();
  std::optional<Instant> outage;
  bool has_asked = false;
  while (true) {
    try {
      const auto step = waiting.step(observer.pulse());
      has_asked = true;
      outage.reset();
      if (const auto* const ended = std::get_if<WaitEnd>(&step)) {
        const auto end = ended->hidden_run.empty() ? *ended : revealed(observer, *ended);
        output.close(closing_text(observer, end));
        wait_for_account(clock, end, is_account_due);
        return end.status;
      }
      output.show(std::get<WaitGoesOn>(step), clock.now());
    } catch (const Failure& failure) {
      if (!outage) outage = clock.now();
      const bool is_over = clock.now() >= *outage + kLongestOutage;
      if (!failure.is_outage() || !has_asked || is_over) throw;
    }
    auto until = clock.now() + kAskEvery;
    if (limit) {
      if (clock.now() >= begun + *limit) {
        output.close("time is up: the run goes on");
        return ExitStatus::time_up;
      }
      until = std::min(until, begun + *limit);
    }
    clock.wait(until, {});
  }
}

}  // namespace libsync
