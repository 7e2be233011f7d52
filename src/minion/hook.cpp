#include "minion/hook.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <vector>

#include "libsync/core/escaped_text.h"
#include "libsync/core/lines.h"
#include "os/descriptor.h"

namespace libsync {
namespace {

// A command that hangs must not keep the host from its next run for good. Not tuned; the message
// below and sync-minion(8) name it.
constexpr std::chrono::minutes kLimit{10};
// A new run finds this host at work within this time. Not tuned.
constexpr std::chrono::seconds kAtWorkEvery{5};
// From TERM to KILL. Our own stop must not last longer than a second.
constexpr Duration kFarewell{500};
// Interval at which the command is checked in that time.
constexpr Duration kCheckEvery{20};
// The output of a command that has ended arrives within this time. A process that it left in the
// background may hold the pipe for years. Not tuned.
constexpr Duration kMoment{200};

constexpr auto kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Sends TERM to the shell and all that it started, and gives them a moment. The shell may end
// before the others, so its end does not count. The destructor of the Child kills what is left.
void end_group(Child& child, Clock& clock) {
  child.terminate();
  const auto until = clock.now() + kFarewell;
  while (!child.is_silent() && clock.now() < until) {
    clock.wait(std::min(until, clock.now() + kCheckEvery), {});
    static_cast<void>(child.errors());
  }
}

// Waits for the rest of the output.
void hear_out(Child& child, Clock& clock) {
  const auto until = clock.now() + kMoment;
  while (!child.is_silent() && clock.now() < until) {
    std::vector<int> descriptors;
    child.append_descriptors(descriptors);
    clock.wait(until, descriptors);
    static_cast<void>(child.errors());
  }
}

// A process in the background that wrote to a closed pipe would die of SIGPIPE. So a cat, which
// outlives this program, reads the pipe until its end.
void leave_to_reader(Child& child, Clock& clock) {
  const auto pipe = child.release_errors();
  if (!pipe) return;
  auto reader = Child::start({.program = "/bin/sh",
                              .arguments = {"-c", "cat <&3 3<&- >/dev/null 2>&1 &"},
                              .environment = {kPath},
                              .inherited = pipe.number(),
                              .leftovers = Leftovers::live_on});
  const auto until = clock.now() + kMoment;
  while (!reader.ended() && clock.now() < until) {
    std::vector<int> descriptors;
    reader.append_descriptors(descriptors);
    clock.wait(until, descriptors);
    static_cast<void>(reader.lines());
    static_cast<void>(reader.errors());
  }
}

std::vector<std::string> shown_lines_of(std::string_view output) {
  std::vector<std::string> lines;
  for (const auto line : lines_of(output)) lines.push_back(escaped(line));
  return lines;
}

}  // namespace

std::optional<ChildEnd> ShellAfterPublish::wait_for(Child& child,
                                                    const std::function<void()>& at_work) {
  const auto until = clock_.now() + kLimit;
  auto due = clock_.now() + kAtWorkEvery;
  while (clock_.now() < until && !stop_.requested()) {
    if (clock_.now() >= due) {
      at_work();
      due = clock_.now() + kAtWorkEvery;
    }
    std::vector<int> descriptors{stop_.descriptor()};
    child.append_descriptors(descriptors);
    clock_.wait(std::min(until, due), descriptors);
    static_cast<void>(child.errors());
    if (const auto end = child.ended()) return end;
  }
  return std::nullopt;
}

std::optional<std::string> ShellAfterPublish::run(const std::filesystem::path& published,
                                                  const std::function<void()>& at_work) {
  if (command_.empty()) return std::nullopt;
  auto child = Child::start({.program = "/bin/sh",
                             .arguments = {"-c", command_},
                             .environment = {kPath, "SYNC_FANOUT_PATH=" + published.string()},
                             .umask = std::nullopt,
                             .streams = Streams::one,
                             .leftovers = Leftovers::live_on});
  const auto end = wait_for(child, at_work);
  if (end) {
    hear_out(child, clock_);
  } else {
    end_group(child, clock_);
  }
  const auto lines = shown_lines_of(child.errors());
  if (!lines.empty()) {
    spdlog::info("output of --after-publish for '{}':\n  {}",
                 escaped(published.filename().string()), fmt::join(lines, "\n  "));
  }
  const auto last = lines.empty() ? std::string() : ": " + lines.back();
  if (!end) {
    return fmt::format(
        "--after-publish was ended, since it took more than 10 minutes or we are to stop{}", last);
  }
  leave_to_reader(child, clock_);
  if (const auto* const exited = std::get_if<Exited>(&*end)) {
    if (exited->code == 0) return std::nullopt;
    return fmt::format("--after-publish ended with status {}{}", exited->code, last);
  }
  return fmt::format("--after-publish was killed by signal {}{}", std::get<Signalled>(*end).signal,
                     last);
}

}  // namespace libsync
