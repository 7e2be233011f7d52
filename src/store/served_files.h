#pragma once

// The modes and the group of what rsyncd serves from a spool.
//
// A module may run as another user than cron's: it reads by the group of the repo folder, and
// nobody else can.

#include <filesystem>

namespace libsync {

inline constexpr unsigned kServedFileMode = 0640;
inline constexpr unsigned kServedFolderMode = 0750;

/// Gives a file or folder to the module's group. A user who may not do that keeps the group that
/// the file has, and the probe finds out whether it is served all the same.
void give_to_group(const std::filesystem::path& path, unsigned group);

}  // namespace libsync
