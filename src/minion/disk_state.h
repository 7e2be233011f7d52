#pragma once

#include <string>

namespace libsync {

/// The state of the payload on the disk.
struct DiskState {
  enum class Step {
    gathering,  ///< Pieces are missing.
    gathered,   ///< All pieces are in place.
    completing,
    completed,  ///< The tree is on the disk with its modes and times.
    publishing,
    published,
  };
  Step step = Step::gathering;
  bool has_manifest = false;
  bool is_reverifying = false;
  bool has_spare_room = true;  ///< Room for second attempts (assignment.h).
  /// Announced pieces that a master did not deliver, or delivered wrong, for a person. May be
  /// empty.
  std::string undelivered;
};

}  // namespace libsync
