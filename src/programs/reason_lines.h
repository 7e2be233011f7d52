#pragma once

// Lines about reasons, each with the hosts that gave it.

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace libsync {

/// Most numbers and ranges of hosts in a line of text; some 200 columns. JSON has them all.
inline constexpr std::size_t kHostsShown = 40;

/// The addresses of hosts, by the reason that they gave.
using HostsByReason = std::map<std::string, std::vector<std::string>>;

/// A line for each reason, those of most hosts first, with its hosts in ranges. At most eight, and
/// one that counts the rest. Reasons are escaped.
[[nodiscard]] std::string reason_lines(std::string_view label, const HostsByReason& hosts);

}  // namespace libsync
