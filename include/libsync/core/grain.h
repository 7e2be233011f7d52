#pragma once

// The number of parallel transfers, which depends on the cut of the payload.

#include "libsync/core/pieces.h"

namespace libsync {

/// How fine a cut is.
enum class Grain {
  whole,   ///< One piece.
  coarse,  ///< Few large pieces.
  fine,    ///< Many or small pieces.
};

[[nodiscard]] Grain grain_of(const Cut& cut);

/// Default number of parallel pulls of a host, and of uploads that it offers. A single piece gets
/// one slot, which is the pace of the Python pair.
[[nodiscard]] unsigned default_slots(Grain grain);

/// The same for a host with a seat. Its links belong to the trees. With two slots, one hanging
/// claim does not stop the next.
inline constexpr unsigned kSlotsBesideTrees = 2;

/// Default number of uploads of the origin.
[[nodiscard]] unsigned default_origin_uploads(Grain grain);

}  // namespace libsync
