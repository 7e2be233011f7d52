#pragma once

// The number of claims that a host holds, and the number of pieces that it claims at once.
//
// Pure functions of the host's state, and of the time that its pulls needed so far. Redis decides
// which pieces they are, and from which source (redis/functions/claims.lua). The number of parallel
// pulls is in core/slots.h.

#include <cstddef>
#include <map>
#include <optional>

#include "libsync/core/pieces.h"
#include "libsync/core/time.h"
#include "libsync/transfer.h"

namespace libsync {

/// The state of a host at a moment.
struct PullState {
  PieceNumber verified = 0;    ///< Verified pieces, placed or not.
  PieceNumber claimable = 0;   ///< Neither verified, nor being pulled, nor a candidate.
  std::size_t claims = 0;      ///< Held now.
  unsigned slots = 1;          ///< Parallel pulls.
  double start_in_pieces = 0;  ///< Pace::start_in_pieces().
};

/// Measures the start of a pull: the time between the request for the claim and the first piece,
/// less the time of that piece. The unit is the time of a piece.
///
/// On fast links that is many, and several pieces had better share a start. On slow links it is a
/// part of a piece. The time that Redis needs to answer is in it, so a slow Redis gets fewer
/// requests. The result is a moving average.
class Pace {
 public:
  /// `asked`: when the host asked for the claim of this pull.
  void started(TransferId id, Instant asked);
  /// Another piece has come. Only pulls of several pieces are measured.
  void arrived(TransferId id, Instant now);
  void ended(TransferId id) { pulls_.erase(id); }

  /// 0 before the first measurement.
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

/// The most pieces that the next claim should name; 0: no claim now. It is one at first, so that
/// the host can serve soon, then two, and more where starts need most of the time.
[[nodiscard]] PieceNumber pieces_to_claim(const PullState& state);

}  // namespace libsync
