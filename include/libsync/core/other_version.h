#pragma once

// The refusal of a run that another version of sync-fanout began.

#include <string>

#include "libsync/core/task.h"

namespace libsync {

/// One line for the log and for status. `prefix` is that of the keys, unescaped.
[[nodiscard]] std::string other_version_refusal(const TaskPath& task, const std::string& prefix);

}  // namespace libsync
