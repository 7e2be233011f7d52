#include "libsync/core/exit_status.h"

#include <fmt/format.h>

#include <array>

namespace libsync {
namespace {

constexpr std::array kTable = {
    ExitStatusRow{ExitStatus::done, "done, nothing to do, or another tick holds the lock"},
    ExitStatusRow{ExitStatus::ended_short,
                  "the run ended without every host, or the task was refused"},
    ExitStatusRow{ExitStatus::usage, "wrong usage or configuration"},
    ExitStatusRow{ExitStatus::redis, "Redis is out of reach, or refused us"},
    ExitStatusRow{ExitStatus::local, "local disk or permissions"},
    ExitStatusRow{ExitStatus::no_source, "no usable source, or rsync is missing"},
    ExitStatusRow{ExitStatus::time_up, "sync-master wait: the limit is over, and the run goes on"},
};

}  // namespace

std::span<const ExitStatusRow> exit_status_table() { return kTable; }

std::string exit_status_help() {
  std::string text = "Exit status:\n";
  for (const auto& [status, meaning] : kTable) {
    text += fmt::format("  {:<3}  {}\n", static_cast<int>(status), meaning);
  }
  return text;
}

}  // namespace libsync
