#pragma once

// Whether a payload can be published under a name, tried before anything of it is pulled.

#include <filesystem>
#include <optional>
#include <string>

#include "libsync/core/manifest.h"
#include "libsync/core/task.h"
#include "store/spool.h"

namespace libsync {

/// Refuses a destination that is, or holds, a mount point, is a symlink, or is of another kind than
/// `kind` (if given).
[[nodiscard]] std::optional<Refusal> refuse_destination(const std::filesystem::path& repo,
                                                        const std::string& name,
                                                        const std::optional<EntryKind>& kind);

/// Refuses a file system on which Assembly::publish() would fail. It tries the steps on two empty
/// folders, one in the spool's tree/ and one in the repo. The swap is tried for a folder alone. A
/// former folder that no call can move is refused, too. REQUIRES: the spool is assigned, and its
/// tree/ is not in use. Throws Failure (local) for any other error.
[[nodiscard]] std::optional<Refusal> refuse_file_system(const std::filesystem::path& repo,
                                                        const std::string& name, const Spool& spool,
                                                        const std::optional<EntryKind>& kind);

}  // namespace libsync
