#pragma once

// The processes of this host, as /proc shows them.

#include <string>
#include <vector>

namespace libsync {

/// The program and arguments of each process that this user may see.
[[nodiscard]] std::vector<std::vector<std::string>> command_lines();

}  // namespace libsync
