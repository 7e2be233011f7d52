#include "libsync/core/grain.h"

namespace libsync {
namespace {

// A cut into large pieces is coarse below this number of them. `auto` makes such a cut only for a
// handful of hosts. Large pieces need fewer slots: ./tests/simulate --hosts 8 --bytes 4294967296
constexpr PieceNumber kManyPieces = 256;
constexpr unsigned kSlotsForCoarse = 3;

// While one pull starts, the others use its share of the link, at both ends. More slots cost memory
// and processor time and are no faster: ./tests/simulate --hosts 195 --slots 5
constexpr unsigned kSlots = 5;

}  // namespace

Grain grain_of(const Cut& cut) {
  if (cut.pieces() == 1) return Grain::whole;
  const bool is_coarse = cut.piece_bytes >= kLargePiece && cut.pieces() < kManyPieces;
  return is_coarse ? Grain::coarse : Grain::fine;
}

unsigned default_slots(Grain grain) {
  switch (grain) {
    case Grain::whole:
      return 1;
    case Grain::coarse:
      return kSlotsForCoarse;
    case Grain::fine:
      break;
  }
  return kSlots;
}

// The origin has one upload more than a host has pulls, so that its link is never idle.
unsigned default_origin_uploads(Grain grain) {
  return grain == Grain::whole ? 1 : default_slots(grain) + 1;
}

}  // namespace libsync
