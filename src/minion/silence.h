#pragma once

// Which pulls are silent: those that have moved no byte for long, while others moved. The host
// gives them up. rsync itself waits a minute.
//
// If no pull moves, the network of this host is at fault, or its last pulls wait for one source. It
// may come back. Pure.

#include "libsync/core/time.h"

namespace libsync {

class Silence {
 public:
  /// A pull moves bytes. `last`: when it moved its last byte before, or began.
  void moved(Instant last, Instant now);

  /// A pull that does not move is silent for this time at least.
  [[nodiscard]] Duration patience() const;

  /// Whether a pull is silent. `last` as in moved().
  [[nodiscard]] bool is_silent(Instant last, Instant now) const;

 private:
  Instant moved_;    // When any pull moved its last byte.
  Duration gap_{0};  // Mean time between two moves of a pull.
};

}  // namespace libsync
