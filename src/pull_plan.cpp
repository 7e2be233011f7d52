#include "libsync/pull_plan.h"

#include <algorithm>

namespace libsync {
namespace {

// The figures are those of ./tests/simulate, 1.747 GB in pieces of 4 MiB to 195 hosts at 1 Gbit/s,
// starts of 30 ms, as multiples of the bound. They differ by 0.01 from run to run.

// Several pieces a claim save starts and calls, and let pieces wait behind each other that others
// lack. Up to 1, 2 and 4 pieces give 1.60 (Redis has no more time), 1.10 and 1.15.
constexpr PieceNumber kMostPieces = 2;

// At first one, so that a host can serve soon: until 4, 16 and 64 are in place gives 1.10, 1.11 and
// 1.11, and in the middle of a run the change lets links run empty for a moment.
constexpr PieceNumber kOneEachUntil = 4;

// While one pull shakes hands, the others use its part of the link, at both ends: 3, 4, 5 and 6
// slots give 1.19, 1.13, 1.10 and 1.10. Each costs memory and processor time. (Starting the next
// pull when the last piece of one is on the way, instead of one slot more, took 0.03 longer.)
constexpr unsigned kSlots = 5;

}  // namespace

PieceNumber pieces_to_claim(const PullState& state) {
  if (state.claimable == 0 || state.claims >= state.slots) return 0;
  const PieceNumber most = state.in_place < kOneEachUntil ? 1 : kMostPieces;
  // The last pieces are spread over all slots.
  const PieceNumber share = (state.claimable + state.slots - 1) / state.slots;
  return std::min(share, most);
}

unsigned default_slots(PieceNumber pieces) { return pieces == 1 ? 1 : kSlots; }

unsigned uploads_offered(unsigned slots) { return slots == 1 ? 1 : slots + 1; }

}  // namespace libsync
