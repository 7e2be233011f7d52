#pragma once

// How a payload is cut, as far as the number of parallel transfers goes.

#include "libsync/core/pieces.h"

namespace libsync {

enum class Grain {
  whole,   ///< One piece.
  coarse,  ///< Few pieces, and large.
  fine,    ///< Many, or small.
};

[[nodiscard]] Grain grain_of(const Cut& cut);

/// Parallel pulls of a host when the configuration names no number, and uploads that it offers. One
/// for a single piece: the pace of the Python pair.
[[nodiscard]] unsigned default_slots(Grain grain);

/// The same of a host with a seat in the trees: the links belong to the trees, and one claim that
/// hangs must not stop the next.
inline constexpr unsigned kSlotsBesideTrees = 2;

/// Uploads of the origin when the configuration names no number.
[[nodiscard]] unsigned default_origin_uploads(Grain grain);

}  // namespace libsync
