#include "os/limits.h"

#include <signal.h>

#include <optional>

namespace libsync {
namespace {

// A value that every system allows (POSIX), if the kernel does not say.
constexpr std::size_t kLeastOpenFiles = 20;

std::optional<rlimit> former;

// Returns the limit as it was.
std::optional<rlimit> raise_limit(int resource) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return std::nullopt;
  const rlimit raised{limit.rlim_max, limit.rlim_max};
  return setrlimit(resource, &raised) == 0 ? std::optional<rlimit>(limit) : std::nullopt;
}

}  // namespace

void raise_limits() {
  static_cast<void>(signal(SIGXFSZ, SIG_IGN));
  static_cast<void>(raise_limit(RLIMIT_FSIZE));
  if (const auto was = raise_limit(RLIMIT_NOFILE)) former = was;
}

std::size_t open_file_limit() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : kLeastOpenFiles;
}

const rlimit* former_open_files() { return former ? &*former : nullptr; }

}  // namespace libsync
