#include "minion/pace.h"

#include <algorithm>
#include <cmath>

#include "libsync/core/grain.h"

namespace libsync {
namespace {

// The figures are those of ./tests/simulate, 1.747 GB in pieces of 4 MiB to 195 hosts at 1 Gbit/s,
// starts of 30 ms, as multiples of the bound. They differ by 0.01 from run to run.

// Several pieces a claim save starts and calls, and let pieces wait behind each other that others
// lack. Up to 1, 2 and 4 pieces give 1.60 (Redis has no more time), 1.10 and 1.15.
constexpr PieceNumber kMostPieces = 2;

// Pieces this large are this few only for a handful of hosts, or where somebody named their size.
// 4 GiB to 8 hosts at 1 Gbit/s in pieces of 32 MiB, means of two or three runs: up to two a claim
// by 3 slots 1.065, with 97 rsyncs a host; one a claim by 3 and 4 slots 1.08 and 1.07 with 128, up
// to two by 4 and 5 slots 1.085 and 1.11, up to four by 3 and 2 slots 1.10 and 1.31. 2 GB in pieces
// of 16 MiB: up to two by 3 slots, and one by 4, 1.09. 3.8 GB in pieces of 32 MiB to 15 and 60
// hosts: up to two by 3 slots 1.12 and 1.16, one by 4 slots 1.11 and 1.145, up to two by 5 slots
// 1.17 and 1.20. What it costs: at 2.5 Gbit/s 4 GiB to 8 hosts take 1.085, where pieces half as
// large, claimed as fine ones, take 1.05, and at 0.1 Gbit/s 1.075, where one by 4 slots takes 1.05;
// at 10 Gbit/s all wait for the staging at 0.8 GB/s.

// Where a start takes longer than a piece, so many for each that it could have brought; not more
// than the most, since the pieces of a claim wait behind each other. 15 hosts at 10 Gbit/s
// take 1.39 where two a claim take 1.67, with half the starts.
constexpr double kPiecesPerStart = 3;
constexpr double kMostOnFastLinks = 16;

// Of coarse pieces fewer, and more than two as soon as a start takes a quarter of one: 4 GiB to 8
// hosts, staged at 6 GB/s, take 1.19 at 10 Gbit/s and 1.39 at 25, by 63 and 56 rsyncs a host, where
// never more than two a claim take 1.23 and 1.46 by 82 and 74; up to six or eight are no better. At
// 1 Gbit/s a start is too little for it to matter. Where the processor is what is short, as on one
// machine, an rsync less saves it 11 ms.
constexpr double kCoarsePerStart = 8;
constexpr double kMostOfCoarse = 4;

// Of a new measurement in the average: a few pulls tell, and a single one that was held up does
// not.
constexpr double kWeight = 0.25;
// Two pieces that are read in one go came in less than this.
constexpr std::chrono::duration<double> kShortest{0.001};

// At first one, so that a host can serve soon: until 4, 16 and 64 are verified gives 1.10, 1.11 and
// 1.11, and in the middle of a run the change lets links run empty for a moment.
constexpr PieceNumber kOneEachUntil = 4;

PieceNumber most_of_a_claim(const PullState& state) {
  if (state.verified < kOneEachUntil) return 1;
  const bool is_coarse = state.grain == Grain::coarse;
  const auto wanted =
      std::ceil((is_coarse ? kCoarsePerStart : kPiecesPerStart) * state.start_in_pieces);
  const auto shared = std::min(wanted, is_coarse ? kMostOfCoarse : kMostOnFastLinks);
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
