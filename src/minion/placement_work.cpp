// The work of a Placement's threads, for people.

#include <fmt/format.h>

#include "minion/placement.h"
#include "os/workers.h"

namespace libsync {

std::string Placement::work() const {
  if (assembly_ && assembler_->pending() > 0) return assembly_->work();
  if (search_.is_running() && search_.is_open()) {
    return fmt::format("searching an older version for {} pieces", search_.held());
  }
  const auto jobs = verifier_->pending();
  return jobs == 0 ? std::string() : fmt::format("hashing {} pieces that are here", jobs);
}

}  // namespace libsync
