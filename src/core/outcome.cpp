#include "libsync/core/outcome.h"

#include "libsync/core/escaped_text.h"
#include "libsync/core/host_ranges.h"

namespace libsync {
namespace {

// Hosts or ranges that a line names.
constexpr std::size_t kMostNamed = 50;

}  // namespace

std::string outcome_text(std::string_view word, const std::vector<std::string>& hook_failed) {
  auto text = escaped(word);
  if (!hook_failed.empty()) text += ", hook failed on " + host_ranges(hook_failed, kMostNamed);
  return text;
}

}  // namespace libsync
