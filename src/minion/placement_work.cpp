// The work of a Placement's threads, for people.

#include <fmt/format.h>

#include <algorithm>

#include "libsync/core/shown_number.h"
#include "minion/placement.h"
#include "os/workers.h"

namespace libsync {

std::shared_ptr<ByteCount> Placement::count_hashing(PieceNumber piece) {
  if (verifier_->pending() == 0) hashing_ = {};
  hashing_.all += run_.cut.bytes_of(piece);
  return hashing_.done;
}

std::string Placement::work() const {
  if (assembly_ && assembler_->pending() > 0) return assembly_->work();
  if (search_.is_running() && search_.is_open()) {
    return fmt::format("searching an older version for {} pieces, {} read so far", search_.held(),
                       shown_bytes(search_.read_bytes()));
  }
  const auto jobs = verifier_->pending();
  if (jobs == 0) return {};
  return fmt::format("hashing {} pieces that are here, {} of {}", jobs,
                     shown_bytes(std::min(hashing_.done->load(), hashing_.all)),
                     shown_bytes(hashing_.all));
}

}  // namespace libsync
