#pragma once

// One tick of a role at a time on one host.

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "libsync/clock.h"

namespace libsync {

class Descriptor;

/// The lock that keeps two ticks of one role on one host apart: flock(2) on a file, so that it goes
/// with the last process that holds it. Our rsync children inherit it on purpose: while one of them
/// lives on after we died, no other tick writes beside it.
class TickLock {
 public:
  /// Somebody else has it: the process, as that one wrote it into the file, and since when.
  struct Held {
    std::string by;
    std::optional<std::chrono::system_clock::duration> age;
  };

  /// Waits up to `patience`, since ticks that linger end just before the next one begins.
  [[nodiscard]] static std::variant<TickLock, Held> acquire(const std::filesystem::path& path,
                                                            Duration patience, Clock& clock);

  /// For children to inherit.
  [[nodiscard]] int descriptor() const;

 private:
  explicit TickLock(std::shared_ptr<const Descriptor> file) : file_(std::move(file)) {}

  std::shared_ptr<const Descriptor> file_;
};

}  // namespace libsync
