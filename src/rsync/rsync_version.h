#pragma once

// The age of this host's rsync, checked once at the start of a tick.
//
// A host whose rsync is older than 3.2 could pull, but its daemon serves nobody
// (RSYNC_CHECKSUM_LIST in rsync_transfer.h). The host itself says so here, before its peers do.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "libsync/clock.h"

namespace libsync {

class StopSignal;

/// The version in the first line of `rsync --version`, if it is older than 3.2. Nothing if it is
/// newer, or if the line is of another form: the pulls then show what that program is.
[[nodiscard]] std::optional<std::string> old_version(std::string_view line);

/// Throws Failure (no_source) if the rsync at `program` is older than 3.2. Runs it once, for at
/// most five seconds. A signal of `stop` (if given) ends the wait.
void require_new_rsync(const std::filesystem::path& program, Clock& clock,
                       const StopSignal* stop = nullptr);

}  // namespace libsync
