#pragma once

// How much a host asks for: the one place where the pace of a minion is decided.
//
// Pure functions of what the host has and does, and of what its pulls took so far. The minion and
// the simulation call the same ones, so the simulation speaks for the product. Which pieces, and
// from whom, is decided by the functions in Redis (functions/claims.lua); this is only about how
// many claims, and how many pieces a claim. The constants, and the figures that chose them, are in
// pull_plan.cpp.

#include <cstddef>
#include <map>
#include <optional>

#include "libsync/core/grain.h"
#include "libsync/core/pieces.h"
#include "libsync/core/time.h"
#include "libsync/transfer.h"

namespace libsync {

/// What a host has and does at a moment.
struct PullState {
  PieceNumber verified = 0;    ///< Proven to be here, in its place already or not.
  PieceNumber claimable = 0;   ///< Neither verified, nor being pulled, nor a candidate.
  std::size_t claims = 0;      ///< Held now.
  unsigned slots = 1;          ///< Parallel pulls.
  double start_in_pieces = 0;  ///< As Pace has it.
  Grain grain = Grain::fine;
};

/// What a start costs here, as a number of pieces: how many could have come in the time between
/// asking for a claim and its first piece, less the time of that piece itself. Where links are fast
/// that is many, and they had better share a start; where links are slow it is a part of one.
/// Redis's answer is in it as much as rsync's handshake: one that cannot keep up is asked less
/// often. An average of late; forgets a pull when it has ended.
class Pace {
 public:
  /// `asked`: when the claim was asked for that it carries out.
  void started(TransferId id, Instant asked);
  /// Another piece is in. Only what a pull of several pieces brings tells anything.
  void arrived(TransferId id, Instant now);
  void ended(TransferId id) { pulls_.erase(id); }

  /// 0 as long as it is not known.
  [[nodiscard]] double start_in_pieces() const;

 private:
  using Seconds = std::chrono::duration<double>;
  struct Pull {
    Instant asked;
    std::optional<Instant> first;
    Instant last;
  };

  std::map<TransferId, Pull> pulls_;
  Seconds start_{0};
  Seconds piece_{0};
};

/// The most pieces that the next claim should name; 0: no claim now. One at first, so that a
/// host can serve soon; two once it has some, and many, of coarse ones four, where starts are what
/// takes the time.
[[nodiscard]] PieceNumber pieces_to_claim(const PullState& state);

}  // namespace libsync
