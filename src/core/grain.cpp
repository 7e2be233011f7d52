#include "libsync/core/grain.h"

namespace libsync {
namespace {

// Pieces as large as kLargePiece are fewer than this only for a handful of hosts, or where the
// operator named their size. They are pulled with fewer slots:
// ./tests/simulate --hosts 8 --bytes 4294967296
constexpr PieceNumber kManyPieces = 256;
constexpr unsigned kSlotsForCoarse = 3;

// While one pull shakes hands, the others use its part of the link, at both ends. More slots cost
// memory and processor time and are no faster: ./tests/simulate --hosts 195 --slots 4
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

// The origin, whose link must never be idle, has one upload more than a host has pulls.
unsigned default_origin_uploads(Grain grain) {
  return grain == Grain::whole ? 1 : default_slots(grain) + 1;
}

}  // namespace libsync
