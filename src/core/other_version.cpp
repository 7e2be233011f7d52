#include "libsync/core/other_version.h"

#include <fmt/format.h>

#include "libsync/core/escaped_text.h"

namespace libsync {

std::string other_version_refusal(const TaskPath& task, const std::string& prefix) {
  return fmt::format(
      "another version of sync-fanout began the run of '{}': install one version everywhere; "
      "`redis-cli del {}task` ends that run",
      escaped(task.text()), escaped(prefix));
}

}  // namespace libsync
