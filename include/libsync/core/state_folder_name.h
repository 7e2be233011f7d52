#pragma once

// The name of the state folder. Each repo has one, and no payload may have the name.

#include <string>
#include <string_view>

namespace libsync {

inline constexpr std::string_view kStateFolderName = ".libsync";

/// The path of a name in it, below the repo.
[[nodiscard]] inline std::string in_state_folder(std::string_view name) {
  return std::string(kStateFolderName).append("/").append(name);
}

}  // namespace libsync
