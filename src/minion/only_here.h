#pragma once

// The files that only this host has in a folder which a payload replaces.

#include <cstddef>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "libsync/core/manifest.h"

namespace libsync {

struct OnlyHere {
  std::size_t files = 0;
  std::vector<std::string> first;  ///< The first of their names, sorted, below the folder.
};

/// Counts the files, links and special files below `folder` that the manifest does not list. It
/// passes through no symlink. A part that cannot be read counts for nothing, and so does the rest
/// once `stop` is requested.
[[nodiscard]] OnlyHere only_here(const std::filesystem::path& folder, const Manifest& manifest,
                                 const std::stop_token& stop);

/// The warning of them, with the names escaped; empty if there are none.
[[nodiscard]] std::string warning_of(const OnlyHere& found, const std::string& payload_name);

}  // namespace libsync
