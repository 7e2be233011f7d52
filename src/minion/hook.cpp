#include "minion/hook.h"

#include <fmt/format.h>

#include <chrono>
#include <vector>

#include "libsync/core/escaped_text.h"
#include "os/process.h"

namespace libsync {
namespace {

// A command that hangs must not keep the host from its next run for good. Not tuned; the message
// below and sync-minion(8) name it.
constexpr std::chrono::minutes kLimit{10};

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
