#pragma once

// How much a host asks for: the one place where the pace of a minion is decided.
//
// Pure functions of what the host has and does. The minion and the simulation call the same ones,
// so the simulation speaks for the product. Which pieces, and from whom, is decided by the
// functions in Redis (functions/libsync.lua); this is only about how many claims, and how many
// pieces a claim.

#include <cstddef>

#include "libsync/pieces.h"

namespace libsync {

/// What a host has and does at a moment.
struct PullState {
  PieceNumber pieces = 0;     ///< Of the payload.
  PieceNumber in_place = 0;   ///< Needed no more.
  PieceNumber claimable = 0;  ///< Neither in place, nor being pulled, nor a candidate.
  std::size_t claims = 0;     ///< Held now.
  unsigned slots = 1;         ///< Parallel pulls.
};

/// The most pieces that the next claim should name; 0: no claim now.
[[nodiscard]] PieceNumber pieces_to_claim(const PullState& state);

/// Slots when the configuration names none.
[[nodiscard]] unsigned default_slots(PieceNumber pieces);

}  // namespace libsync
