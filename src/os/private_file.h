#pragma once

// Small files that only their owner can read.

#include <filesystem>
#include <string>
#include <variant>

#include "libsync/core/task.h"

namespace libsync {

/// The first line of a password file, which a symlink may lead to. Refuses a file that others can
/// read, that is empty, or that is longer than 4 kB. The refusal never shows its content.
[[nodiscard]] std::variant<std::string, Refusal> read_password_file(
    const std::filesystem::path& path);

}  // namespace libsync
