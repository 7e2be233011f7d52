#pragma once

// The group of the files that rsyncd serves from a spool. Their modes are in served_modes.h.

#include <filesystem>

#include "libsync/core/served_modes.h"

namespace libsync {

class Descriptor;

/// Gives a file or folder to the module's group; a symlink is changed itself. If this user may not
/// do that, the file keeps its group, and the probe finds out whether the module can serve it. Any
/// other error throws Failure (local).
void give_to_group(const std::filesystem::path& path, unsigned group);
void give_to_group(const Descriptor& file, unsigned group);

}  // namespace libsync
