#pragma once

// The outcome of a run, for people.

#include <string>
#include <string_view>
#include <vector>

namespace libsync {

/// The word, escaped, and behind it the hosts whose --after-publish failed: `complete, hook failed
/// on 10.0.1.[3-5]`. Fifty hosts or ranges are named, and the rest is counted. REQUIRES: the hosts
/// are addresses, or escaped.
[[nodiscard]] std::string outcome_text(std::string_view word,
                                       const std::vector<std::string>& hook_failed);

}  // namespace libsync
