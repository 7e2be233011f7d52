#include "programs/reason_lines.h"

#include <fmt/format.h>

#include <algorithm>

#include "libsync/core/escaped_text.h"
#include "libsync/core/host_ranges.h"

namespace libsync {
namespace {

// With the table of a report they fit a screen.
constexpr std::size_t kMostReasons = 8;

}  // namespace

std::string reason_lines(std::string_view label, const HostsByReason& hosts_by_reason) {
  std::vector<const HostsByReason::value_type*> rows;
  for (const auto& row : hosts_by_reason) rows.push_back(&row);
  std::stable_sort(rows.begin(), rows.end(), [](const auto* one, const auto* other) {
    return one->second.size() > other->second.size();
  });
  std::string lines;
  std::size_t left = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& [reason, hosts] = *rows[i];
    if (i >= kMostReasons) {
      left += hosts.size();
      continue;
    }
    lines += fmt::format("{:<8} {}: {}\n", label, host_ranges(hosts, kHostsShown), escaped(reason));
  }
  if (left > 0) {
    lines += fmt::format("{:<8} {} more hosts, for {} more reasons: --json has them\n", label, left,
                         rows.size() - kMostReasons);
  }
  return lines;
}

}  // namespace libsync
