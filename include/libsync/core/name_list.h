#pragma once

// A list of hosts as text for people.

#include <cstddef>
#include <string>
#include <vector>

namespace libsync {

/// The first `most` names, with a blank between two of them. The number of the others ends the
/// text: `10.0.0.1 10.0.0.2 and 7 more`.
[[nodiscard]] std::string name_list(const std::vector<std::string>& names, std::size_t most);

}  // namespace libsync
