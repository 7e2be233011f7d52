#include "libsync/pull_plan.h"

#include <algorithm>

namespace libsync {
namespace {

// The figures are those of ./tests/simulate, 1.747 GB in pieces of 8 MiB at 1 Gbit/s, starts of 30
// ms, 195 hosts unless said otherwise, as multiples of the bound. They differ by 0.02 from run to
// run.

// Several pieces a claim save starts, and let pieces wait behind each other that others lack. Hosts
// keep close behind the origin, so a source seldom has much that is of use: up to 1, 2 and 4 pieces
// give 1.16, 1.16 and 1.19 with 209, 184 and 171 starts a host. One in the first half, when pieces
// are rarest: the step to two lets the links run empty for a moment, and least once there are many.
constexpr PieceNumber kMostPieces = 2;

// While one pull shakes hands, the others use its part of the link, at both ends: 2, 3, 4 and 5
// slots give 1.28, 1.18, 1.16 and 1.15. Each costs memory and processor time. (Starting the next
// pull when the last piece of one is on the way, instead of one slot more, saved a seventh of the
// starts and took 0.03 longer: 63 hosts, pieces of 4 MiB.)
constexpr unsigned kSlots = 4;

}  // namespace

PieceNumber pieces_to_claim(const PullState& state) {
  if (state.claimable == 0 || state.claims >= state.slots) return 0;
  const PieceNumber most = std::min(kMostPieces, 1 + state.in_place * kMostPieces / state.pieces);
  // The last pieces are spread over all slots.
  const PieceNumber share = (state.claimable + state.slots - 1) / state.slots;
  return std::min(share, most);
}

unsigned default_slots(PieceNumber pieces) { return pieces == 1 ? 1 : kSlots; }

unsigned uploads_offered(unsigned slots) { return slots == 1 ? 1 : slots + 1; }

}  // namespace libsync
