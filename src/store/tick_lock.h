#pragma once

// The lock of a role: at most one tick of it runs on a host.

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "libsync/clock.h"

namespace libsync {

class Descriptor;
class StopSignal;

/// Keeps two ticks of one role on one host apart by flock(2) on a file. The kernel releases it with
/// the last process that holds it. Our rsync children inherit it on purpose: while one of them
/// outlives a dead tick, no other tick writes beside it.
class TickLock {
 public:
  /// Another process holds the lock.
  struct Held {
    std::string by;  ///< "process PID", as that process wrote it; escaped.
    std::optional<std::chrono::system_clock::duration> age;  ///< Since it wrote that.
  };

  /// Waits up to `patience`, because a tick that lingers ends just before the next one begins. A
  /// signal of `stop` (if given) ends the wait.
  /// Throws Failure (local) if the file at `path` cannot be made, locked or written.
  [[nodiscard]] static std::variant<TickLock, Held> acquire(const std::filesystem::path& path,
                                                            Duration patience, Clock& clock,
                                                            const StopSignal* stop = nullptr);

  /// The process that wrote this text into the file of a lock.
  [[nodiscard]] static std::optional<unsigned> holder_in(std::string_view text);

  /// The descriptor that children inherit. Owned by this object.
  [[nodiscard]] int descriptor() const;

 private:
  explicit TickLock(std::shared_ptr<const Descriptor> file) : file_(std::move(file)) {}

  std::shared_ptr<const Descriptor> file_;
};

}  // namespace libsync
