#pragma once

// The number of parallel transfers.

#include "libsync/core/pieces.h"

namespace libsync {

/// Default number of parallel pulls of a host, and of uploads that it offers. A single piece gets
/// one slot, which is the pace of the Python pair.
[[nodiscard]] unsigned default_slots(const Cut& cut);

/// The same for a host with a seat. Its links belong to the trees. With two slots, one hanging
/// claim does not stop the next.
inline constexpr unsigned kSlotsBesideTrees = 2;

/// Default number of uploads of the origin.
[[nodiscard]] unsigned default_origin_uploads(const Cut& cut);

}  // namespace libsync
