#include "minion/room.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "libsync/core/attempt.h"
#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "libsync/core/shown_number.h"
#include "minion/keeping.h"
#include "os/files.h"
#include "store/replaced.h"

namespace libsync {

Room::Room(const PieceTable& pieces, Spool spool, RunInfo run, std::filesystem::path repo,
           std::stop_token stop)
    : pieces_(pieces),
      spool_(std::move(spool)),
      run_(std::move(run)),
      repo_(std::move(repo)),
      stop_(std::move(stop)),
      shares_blocks_(can_share_blocks(spool_.folder())),
      // If files share blocks, a deleted tree frees none.
      room_(free_bytes(spool_.folder()) + bytes_below(spool_.incoming_folder(), stop_) +
            (shares_blocks_ ? 0 : bytes_below(spool_.tree_folder(), stop_))) {}

void Room::require_for_pull() {
  if (has_pulled_) return;
  require();
  has_pulled_ = true;
}

void Room::require() {
  const auto& cut = run_.cut;
  std::uint64_t needed = shares_blocks_ ? 0 : cut.stream_bytes;
  for (PieceNumber piece = 0; piece < cut.pieces(); ++piece) {
    const auto state = pieces_.state(piece);
    if (state == PieceState::wanted || state == PieceState::in_flight) {
      needed += cut.bytes_of(piece);
    }
  }
  const auto free = std::max(room_, free_bytes(repo_));
  const auto spare = free - std::min(free, needed);
  const auto largest = std::max<std::uint64_t>(1, std::min(cut.piece_bytes, cut.stream_bytes));
  spare_pieces_ = static_cast<PieceNumber>(std::min<std::uint64_t>(spare / largest, kMaxPieces));
  if (free >= needed) return;
  make_room(needed - free);
  throw Failure(
      ExitStatus::local, Remedy::try_again,
      fmt::format("{} needs {} on the file system of '{}' while the run lasts, and {} are "
                  "free: free some space there",
                  escaped(run_.task.name()), shown_gigabytes(needed), escaped(repo_.string()),
                  shown_gigabytes(free)));
}

void Room::make_room(std::uint64_t lacking) const {
  if (spool_.discard_former()) {
    throw Failure(
        ExitStatus::local, Remedy::try_again,
        fmt::format("the pieces of an earlier run are deleted first, since {} needs their "
                    "room",
                    escaped(run_.task.name())));
  }
  const ReplacedVersions replaced(spool_.folder().parent_path());
  const auto versions = replaced.all();
  std::vector<ReplacedBytes> kept;
  for (const auto& version : versions) {
    kept.push_back({bytes_below(version.folder, stop_), version.since});
  }
  const auto going = choose_what_goes(lacking, kept);
  if (!going || going->empty()) return;
  std::uint64_t freed = 0;
  for (const auto index : *going) {
    freed += kept[index].bytes;
    replaced.discard(versions[index]);
  }
  throw Failure(ExitStatus::local, Remedy::try_again,
                fmt::format("{} replaced versions of {} are deleted first, since {} needs their "
                            "room",
                            going->size(), shown_gigabytes(freed), escaped(run_.task.name())));
}

}  // namespace libsync
