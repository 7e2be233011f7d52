#include "minion/progress_lines.h"

#include <algorithm>

#include "libsync/minion_coordinator.h"

namespace libsync {
namespace {

constexpr Duration kPiecesEvery{30'000};
constexpr Duration kWorkEvery{10'000};

}  // namespace

ProgressLines::ProgressLines(Instant now)
    : pieces_due_(now + kPiecesEvery), work_due_(now + kWorkEvery), shown_due_(now + kWorkEvery) {}

ProgressLines::Due ProgressLines::due(Instant now, PieceNumber in_place, const std::string& work) {
  Due due;
  if (now >= pieces_due_) {
    due.pieces = true;
    pieces_due_ = now + kPiecesEvery;
  }
  if (work.empty() || in_place != in_place_) {
    in_place_ = in_place;
    work_due_ = now + kWorkEvery;
    shown_due_ = std::max(shown_due_, work_due_);
    if (is_shown_) due.shown = "";
    is_shown_ = false;
    return due;
  }
  if (now < work_due_) return due;
  due.work = true;
  work_due_ = now + kWorkEvery;
  if (now < shown_due_) return due;
  due.shown = work;
  is_shown_ = true;
  shown_due_ = now + LeaseTerms::renewal;
  return due;
}

Instant ProgressLines::next() const { return std::min(pieces_due_, work_due_); }

}  // namespace libsync
