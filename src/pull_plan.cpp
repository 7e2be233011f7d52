#include "libsync/pull_plan.h"

#include <algorithm>

namespace libsync {

PieceNumber pieces_to_claim(const PullState& state) {
  constexpr PieceNumber kMost = 4;
  if (state.claimable == 0 || state.claims >= state.slots) return 0;
  if (state.in_place == 0) return 1;
  const PieceNumber share = (state.claimable + state.slots - 1) / state.slots;
  return std::clamp<PieceNumber>(share, 1, kMost);
}

unsigned default_slots(PieceNumber pieces) { return pieces == 1 ? 1 : 3; }

}  // namespace libsync
