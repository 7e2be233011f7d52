#include "libsync/core/repeats.h"

#include <fmt/format.h>

#include <algorithm>

namespace libsync {
namespace {

constexpr std::chrono::minutes kPeriod{1};
// Most lines that are known at a time. A tick of a host in trouble has a few for each source.
constexpr std::size_t kMostLines = 200;

}  // namespace

std::vector<std::string> Repeats::on(const std::string& line, Time now) {
  std::vector<std::string> lines;
  const auto found = known_.find(line);
  if (found == known_.end()) {
    if (known_.size() == kMostLines) forget_oldest(lines);
    known_[line] = {now, now};
    lines.push_back(line);
    return lines;
  }
  auto& known = found->second;
  const bool is_new = now < known.last || now - known.last >= kPeriod;
  if (is_new) {
    if (auto count = count_of(line, known)) lines.push_back(*std::move(count));
    known = {now, now};
    lines.push_back(line);
    return lines;
  }
  ++known.more;
  known.last = now;
  if (now - known.logged < kPeriod) return lines;
  lines.push_back(*count_of(line, known));
  known = {now, now};
  return lines;
}

std::vector<std::string> Repeats::finish() {
  std::vector<std::string> lines;
  for (const auto& [line, known] : known_) {
    if (auto count = count_of(line, known)) lines.push_back(*std::move(count));
  }
  known_.clear();
  return lines;
}

std::optional<std::string> Repeats::count_of(const std::string& line, const Known& known) {
  if (known.more == 0) return std::nullopt;
  const auto span = std::chrono::round<std::chrono::seconds>(known.last - known.logged);
  return fmt::format("{} … {} times more in {} s", line, known.more, span.count());
}

void Repeats::forget_oldest(std::vector<std::string>& lines) {
  const auto oldest = std::min_element(
      known_.begin(), known_.end(),
      [](const auto& one, const auto& other) { return one.second.last < other.second.last; });
  if (auto count = count_of(oldest->first, oldest->second)) lines.push_back(*std::move(count));
  known_.erase(oldest);
}

}  // namespace libsync
