#pragma once

// A checked task from the text of a test.

#include <string_view>
#include <variant>

#include "libsync/core/task.h"

namespace libsync::test {

/// Throws if `text` is no task.
[[nodiscard]] inline TaskPath task_path(std::string_view text) {
  return std::get<TaskPath>(TaskPath::parse(text));
}

}  // namespace libsync::test
