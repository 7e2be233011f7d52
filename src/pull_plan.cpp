#include "libsync/pull_plan.h"

#include <algorithm>

namespace libsync {

PieceNumber pieces_to_claim(const PullState& state) {
  // One rsync moves several pieces, so that its start costs less; more than four, and what others
  // wait for comes too late (195 simulated hosts: 2, 4 and 8 pieces within 3 % of each other).
  constexpr PieceNumber kMost = 4;
  if (state.claimable == 0 || state.claims >= state.slots) return 0;
  if (state.in_place == 0) return 1;
  const PieceNumber share = (state.claimable + state.slots - 1) / state.slots;
  return std::clamp<PieceNumber>(share, 1, kMost);
}

// The starts of rsync hide behind the bytes of the other slots: 63 simulated hosts took 1.17
// and 1.14 times the bound with 3 and 4, and no less with more.
unsigned default_slots(PieceNumber pieces) { return pieces == 1 ? 1 : 4; }

}  // namespace libsync
