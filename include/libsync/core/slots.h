#pragma once

// The number of parallel transfers.

#include "libsync/core/pieces.h"

namespace libsync {

/// Default number of parallel pulls of a host, and of uploads that it offers. A single piece gets
/// one slot, which is the pace of the Python pair.
[[nodiscard]] unsigned default_slots(const Cut& cut);

/// Default number of claims that a host with a seat has beside its pulls along trees. With two, one
/// that hangs does not stop the other. It has one pull a tree: TREES in
/// redis/functions/context.lua.
inline constexpr unsigned kSlotsBesideTrees = 2;

/// Default number of uploads of the origin.
[[nodiscard]] unsigned default_origin_uploads(const Cut& cut);

}  // namespace libsync
