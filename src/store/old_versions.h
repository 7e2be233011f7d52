#pragma once

// The payloads on this host that a new one may have bytes of.
//
// They are what this host has published and what is still there, by its receipts, and the replaced
// versions that it keeps. Any payload under the name of the new one counts, whoever put it there.

#include <filesystem>
#include <string>
#include <vector>

#include "libsync/core/basis.h"

namespace libsync {

struct OldVersion {
  OldName known;
  std::filesystem::path folder;  ///< The payload is `file` in it.
  std::string file;
};

/// All of them for a payload of this name; without BasisRule::automatic those of the same name
/// alone. It opens no file. Throws Failure (local) if the disk fails.
[[nodiscard]] std::vector<OldVersion> old_versions(const std::filesystem::path& repo,
                                                   const std::string& name, BasisRule rule);

}  // namespace libsync
