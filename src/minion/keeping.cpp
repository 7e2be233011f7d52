#include "minion/keeping.h"

#include <algorithm>
#include <numeric>

namespace libsync {

bool is_kept(const std::optional<Duration>& keep, const ReplacedFacts& facts) {
  if (facts.is_hook_owed) return true;
  if (!keep && facts.is_run_over) return false;
  const Duration limit = keep.value_or(kKeptAtMost);
  return std::chrono::abs(facts.age) < limit;
}

std::optional<std::vector<std::size_t>> choose_what_goes(std::uint64_t lacking,
                                                         const std::vector<ReplacedBytes>& kept) {
  constexpr auto kNever = std::chrono::system_clock::time_point::max();
  std::vector<std::size_t> order(kept.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t one, std::size_t other) {
    return kept[one].since.value_or(kNever) < kept[other].since.value_or(kNever);
  });
  std::vector<std::size_t> going;
  for (const auto index : order) {
    if (lacking == 0) break;
    lacking -= std::min(lacking, kept[index].bytes);
    going.push_back(index);
  }
  if (lacking > 0) return std::nullopt;
  return going;
}

}  // namespace libsync
