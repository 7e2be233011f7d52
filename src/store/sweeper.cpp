#include "store/sweeper.h"

#include <array>
#include <optional>
#include <utility>

#include "os/removal.h"

namespace libsync {
namespace {

// Longest wait for one of two descriptors: a guard.
constexpr Duration kCheckEvery{1000};

}  // namespace

std::vector<std::string> Sweeper::sweep() {
  begin();
  return std::exchange(reasons_, {});
}

void Sweeper::finish(Clock& clock, const StopSignal& stop) {
  for (begin(); is_working() && !stop.requested(); workers_.collect()) {
    clock.wait(clock.now() + kCheckEvery, std::array{stop.descriptor(), descriptor()});
  }
}

void Sweeper::begin() {
  workers_.collect();
  for (const auto& name : state_.discarded(role_)) {
    if (!begun_.insert(name).second) continue;
    workers_.submit([path = state_.path() / name](
                        const std::stop_token& stop) { return try_remove_tree(path, stop); },
                    [this](const std::optional<std::string>& reason) {
                      if (reason) reasons_.push_back(*reason);
                    });
  }
}

}  // namespace libsync
