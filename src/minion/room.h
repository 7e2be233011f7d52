#pragma once

// Whether the disk has room for a run: for the pieces that have to come and for the tree.
//
// The room is measured when the attempt begins. It includes what an earlier attempt left in
// incoming/ and tree/: this attempt uses or deletes that. Later the missing bytes shrink as
// fast as the free ones. So the room is compared once before the first byte of the tree, and once
// before the first piece is pulled. The pieces of an earlier run (spool.h, former/) and replaced
// versions (store/replaced.h) count as free. If the run needs their room, they go, and the attempt
// begins again.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>

#include "libsync/run.h"
#include "minion/piece_table.h"
#include "store/spool.h"

namespace libsync {

class Room {
 public:
  /// Measures. `pieces` must outlive it. Throws Stopped once `stop` is requested, as require()
  /// does.
  Room(const PieceTable& pieces, Spool spool, RunInfo run, std::filesystem::path repo,
       std::stop_token stop = {});

  /// Throws Failure (local, try again) unless the tree fits, and the pieces that are wanted. A
  /// candidate counts as here, so that no host is kept from a run by pieces that it has.
  void require_for_tree() { require(); }

  /// The same for the first pull. Later calls do nothing.
  void require_for_pull();

  /// How many pieces the last comparison found room for beside those of the run. The first ones are
  /// for second attempts (core/attempt.h).
  [[nodiscard]] PieceNumber spare_pieces() const { return spare_pieces_; }

 private:
  void require();
  /// Discards replaced versions if those free the room that is lacking, and throws Failure (local,
  /// try again): the next attempt finds it free.
  void make_room(std::uint64_t lacking) const;

  const PieceTable& pieces_;
  Spool spool_;
  RunInfo run_;
  std::filesystem::path repo_;
  std::stop_token stop_;
  bool shares_blocks_;
  std::uint64_t room_;
  bool has_pulled_ = false;
  PieceNumber spare_pieces_ = 0;
};

}  // namespace libsync
