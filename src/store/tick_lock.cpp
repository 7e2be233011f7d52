#include "store/tick_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "libsync/core/escaped_text.h"
#include "libsync/core/number.h"
#include "os/descriptor.h"
#include "os/files.h"
#include "os/stop_signal.h"

namespace libsync {
namespace {

constexpr std::string_view kWord = "process ";

}  // namespace

std::variant<TickLock, TickLock::Held> TickLock::acquire(const std::filesystem::path& path,
                                                         Duration patience, Clock& clock,
                                                         const StopSignal* stop) {
  // Interval at which a waiting tick retries. It adds this much to a start, and costs nothing.
  constexpr Duration kRetryEvery{50};
  auto file = open_file(path, O_RDWR | O_CREAT, 0600);
  const Instant until = clock.now() + patience;
  while (flock(file.number(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) throw_disk_failure("lock", path);
    if (clock.now() >= until || (stop != nullptr && stop->requested())) {
      Held held{escaped(read_file(path, 100).value_or("")), std::nullopt};
      if (const auto status = status_of(path)) {
        const auto since = std::chrono::system_clock::from_time_t(status->st_mtim.tv_sec);
        held.age = clock.wall() - since;
      }
      return held;
    }
    std::vector<int> descriptors;
    if (stop != nullptr) descriptors.push_back(stop->descriptor());
    clock.wait(clock.now() + kRetryEvery, descriptors);
  }
  const auto text = fmt::format("{}{}", kWord, getpid());
  if (ftruncate(file.number(), 0) != 0 ||
      pwrite(file.number(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    throw_disk_failure("write", path);
  }
  return TickLock(std::make_shared<const Descriptor>(std::move(file)));
}

std::optional<unsigned> TickLock::holder_in(std::string_view text) {
  if (!text.starts_with(kWord)) return std::nullopt;
  return parse_number<unsigned>(text.substr(kWord.size()));
}

int TickLock::descriptor() const { return file_->number(); }

}  // namespace libsync
