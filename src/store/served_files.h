#pragma once

// The group of what rsyncd serves from a spool; its modes are in served_modes.h.

#include <filesystem>

#include "libsync/core/served_modes.h"

namespace libsync {

/// Gives a file or folder to the module's group. A user who may not do that keeps the group that
/// the file has, and the probe finds out whether it is served all the same.
void give_to_group(const std::filesystem::path& path, unsigned group);

}  // namespace libsync
