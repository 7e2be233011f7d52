#pragma once

// How long a replaced version of a payload stays, and which ones go when the disk lacks room. Pure.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "libsync/core/time.h"

namespace libsync {

/// The longest stay without --keep-replaced. A reader that walks a large folder needs minutes.
inline constexpr std::chrono::minutes kKeptAtMost{10};

/// The facts that decide about one replaced version.
struct ReplacedFacts {
  std::chrono::milliseconds age{0};  ///< By the wall clock; negative if that went back.
  bool is_run_over = false;          ///< Redis says so of the run that replaced it.
  bool is_hook_owed = false;         ///< The command for the version in its place has not ended.
};

/// Whether it stays. `keep`: --keep-replaced; nothing: until the run is over, kKeptAtMost at most.
/// A clock that goes back prolongs the stay by no more than its length.
[[nodiscard]] bool is_kept(const std::optional<Duration>& keep, const ReplacedFacts& facts);

/// One replaced version, for choose_what_goes().
struct ReplacedBytes {
  std::uint64_t bytes = 0;  ///< On the disk.
  /// When a tick first saw it. Nothing: none has, so it is the youngest.
  std::optional<std::chrono::system_clock::time_point> since{};
};

/// The indexes of the versions whose deletion frees `lacking` bytes, the oldest first, and no more
/// of them than that needs. Nothing if all together are not enough: then none goes.
[[nodiscard]] std::optional<std::vector<std::size_t>> choose_what_goes(
    std::uint64_t lacking, const std::vector<ReplacedBytes>& kept);

}  // namespace libsync
