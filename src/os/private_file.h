#pragma once

// Small files that only their owner may read.

#include <filesystem>
#include <string>
#include <variant>

#include "libsync/core/task.h"

namespace libsync {

/// The first line of a password file. Refuses one that others may read.
[[nodiscard]] std::variant<std::string, Refusal> read_password_file(
    const std::filesystem::path& path);

}  // namespace libsync
