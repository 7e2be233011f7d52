#pragma once

// The name of the state folder. Each repo has one, and no payload may have the name.

#include <string_view>

namespace libsync {

inline constexpr std::string_view kStateFolderName = ".libsync";

}  // namespace libsync
