#pragma once

#include <string>

namespace libsync {

/// How the payload stands on the disk.
struct DiskState {
  enum class Step {
    gathering,  ///< Pieces are missing.
    gathered,   ///< All are in place.
    completing,
    completed,  ///< The tree is on the disk with its modes and times.
    publishing,
    published,
  };
  Step step = Step::gathering;
  bool has_manifest = false;
  bool is_reverifying = false;
  std::string
      undelivered;  ///< Announced, and not delivered, or wrong: for a person. Empty: nothing.
};

}  // namespace libsync
