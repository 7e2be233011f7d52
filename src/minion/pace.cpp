#include "minion/pace.h"

#include <algorithm>
#include <cmath>

namespace libsync {
namespace {

// A claim of two pieces saves starts and calls. In a claim of more, pieces that other hosts lack
// wait behind each other: ./tests/simulate --hosts 195 --spread claims
constexpr PieceNumber kMostPieces = 2;

// A start may last as long as several pieces. A claim then names this many for each of them, up to
// the most: ./tests/simulate --hosts 15 --rate 10
constexpr double kPiecesPerStart = 3;
constexpr double kMostOnFastLinks = 16;

// The weight of a new measurement in the average: a few pulls change it, and one that was held up
// does not.
constexpr double kWeight = 0.25;
// The time of a piece that the host reads together with the one before.
constexpr std::chrono::duration<double> kShortest{0.001};

// Before it has verified this many pieces, a host claims one at a time, so that it can serve soon:
// ./tests/simulate --hosts 195 --spread claims
constexpr PieceNumber kOneEachUntil = 4;

PieceNumber most_of_a_claim(const PullState& state) {
  if (state.verified < kOneEachUntil) return 1;
  const auto shared =
      std::min(std::ceil(kPiecesPerStart * state.start_in_pieces), kMostOnFastLinks);
  return std::max(kMostPieces, static_cast<PieceNumber>(shared));
}

}  // namespace

PieceNumber pieces_to_claim(const PullState& state) {
  if (state.claimable == 0 || state.claims >= state.slots) return 0;
  // The last pieces are spread over all slots.
  const PieceNumber share = (state.claimable + state.slots - 1) / state.slots;
  return std::min(share, most_of_a_claim(state));
}

void Pace::started(TransferId id, Instant asked) { pulls_[id] = {asked, std::nullopt, asked}; }

void Pace::arrived(TransferId id, Instant now) {
  const auto found = pulls_.find(id);
  if (found == pulls_.end()) return;
  auto& pull = found->second;
  if (pull.first) {
    const auto piece = std::max<Seconds>(kShortest, now - pull.last);
    const auto start = std::max<Seconds>(Seconds{0}, *pull.first - pull.asked - piece);
    const bool is_known = piece_.count() > 0;
    piece_ = is_known ? piece_ + kWeight * (piece - piece_) : piece;
    start_ = is_known ? start_ + kWeight * (start - start_) : start;
  } else {
    pull.first = now;
  }
  pull.last = now;
}

double Pace::start_in_pieces() const { return piece_.count() > 0 ? start_ / piece_ : 0; }

}  // namespace libsync
