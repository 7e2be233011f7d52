#pragma once

// When a download shows its progress: pure.
//
// A line about pieces comes every 30 s. Long work on the disk keeps pieces from their places. It is
// logged every 10 s, and Redis hears of it every 15 s at most, for status.

#include <optional>
#include <string>

#include "libsync/clock.h"
#include "libsync/core/pieces.h"

namespace libsync {

class ProgressLines {
 public:
  struct Due {
    bool pieces = false;                 ///< Log how many pieces are in place.
    bool work = false;                   ///< Log the work.
    std::optional<std::string> shown{};  ///< The new text for status; empty: no work any more.
  };

  explicit ProgressLines(Instant now);

  /// `work`: that of this moment (local_work.h); empty if there is none.
  [[nodiscard]] Due due(Instant now, PieceNumber in_place, const std::string& work);

  /// Something may be due then.
  [[nodiscard]] Instant next() const;

 private:
  Instant pieces_due_;
  Instant work_due_;
  Instant shown_due_;
  PieceNumber in_place_ = 0;
  bool is_shown_ = false;
};

}  // namespace libsync
