#include "minion/hook.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "libsync/core/escaped_text.h"
#include "os/process.h"

namespace libsync {
namespace {

// A command that hangs must not keep the host from its next run for good. Not tuned; the message
// below and sync-minion(8) name it.
constexpr std::chrono::minutes kLimit{10};
// From TERM to KILL. Our own stop must not last longer than a second.
constexpr Duration kFarewell{500};
// Interval at which the command is checked in that time.
constexpr Duration kCheckEvery{20};

// Sends TERM to the shell and all that it started, and gives them a moment. The shell may end
// before the others, so its end does not count. The destructor of the Child kills what is left.
void end_group(Child& child, Clock& clock) {
  child.terminate();
  const auto until = clock.now() + kFarewell;
  while (!child.is_silent() && clock.now() < until) {
    clock.wait(std::min(until, clock.now() + kCheckEvery), {});
    static_cast<void>(child.lines());
    static_cast<void>(child.errors());
  }
}

}  // namespace

std::optional<std::string> ShellAfterPublish::run(const std::filesystem::path& published) {
  if (command_.empty()) return std::nullopt;
  auto child = Child::start({"/bin/sh",
                             {"-c", command_},
                             {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                              "SYNC_FANOUT_PATH=" + published.string()},
                             "",
                             -1});
  const auto until = clock_.now() + kLimit;
  std::optional<ChildEnd> end;
  while (!end && clock_.now() < until && !stop_.requested()) {
    std::vector<int> descriptors{stop_.descriptor()};
    child.append_descriptors(descriptors);
    clock_.wait(until, descriptors);
    static_cast<void>(child.lines());
    static_cast<void>(child.errors());
    end = child.ended();
  }
  if (!end) end_group(child, clock_);
  const auto said = escaped(child.errors());
  if (!end) {
    return fmt::format(
        "--after-publish was ended, since it took more than 10 minutes or we are to "
        "stop: {}",
        said);
  }
  if (const auto* const exited = std::get_if<Exited>(&*end)) {
    if (exited->code == 0) return std::nullopt;
    return fmt::format("--after-publish ended with status {}: {}", exited->code, said);
  }
  return fmt::format("--after-publish was killed by signal {}: {}",
                     std::get<Signalled>(*end).signal, said);
}

}  // namespace libsync
