// A Placement adopts what the old payload has of the new one.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "libsync/core/failure.h"
#include "libsync/core/state_folder_name.h"
#include "minion/placement.h"
#include "os/files.h"
#include "os/workers.h"
#include "store/receipts.h"

namespace libsync {
namespace {

// A bad part of the disk under the old payload costs a pull. Any other failure ends the tick.
bool adopt(Assembly& assembly, PieceNumber piece, const Digest& digest, const OldCopy& old,
           const std::stop_token& stop) {
  try {
    return assembly.adopt(piece, digest, old, stop);
  } catch (const Failure&) {
    if (old.has(piece, digest, stop)) throw;
    return false;
  }
}

}  // namespace

// The choice needs the manifest, which tells files from folders.
std::optional<std::size_t> Placement::basis_for(EntryKind kind) const {
  std::vector<OldName> names;
  for (const auto& version : versions_) names.push_back(version.known);
  return choose_basis(run_.task.name(), kind, names);
}

Basis Placement::basis() const {
  const auto spare = room_.spare_pieces();
  return {old_copy_, search_.expected(), spare - std::min(spare, kSecondAttempts)};
}

Kinship Placement::kinship(std::uint64_t pulled_bytes) const {
  const bool is_known = old_copy_ && delivery_ == Delivery::pulled;
  return is_known ? kinship_of(pulled_bytes, run_.cut.stream_bytes) : Kinship::unknown;
}

void Placement::survey() {
  old_ = Old::surveyed;
  const auto chosen = basis_for(assembly_->manifest().top().kind);
  const auto nothing = [this] {
    open_search({}, Kinship::unknown);
    surveyed(nullptr, PieceSet(run_.cut.pieces()), false);
  };
  if (!chosen) return nothing();
  const auto& version = versions_[*chosen];
  try {
    survey(version, locate(version.folder, version.file));
  } catch (const Failure&) {
    nothing();  // A sweep has deleted the replaced version.
  }
}

void Placement::survey(const OldVersion& version, const Location& location) {
  struct Survey {
    std::shared_ptr<const OldCopy> old;
    PieceSet candidates;
    bool has_equal_entries;
  };
  const bool is_published = version.folder == repo_ && version.file == run_.task.name();
  const auto kinship = Receipts(repo_ / kStateFolderName).kinship(version.known.name);
  assembler_->submit(
      [assembly = assembly_, location, is_published, pieces = run_.cut.pieces(),
       piece_bytes = run_.cut.piece_bytes](const std::stop_token& stop) {
        try {
          const bool is_equal = is_published && assembly->has_equal_entries(stop);
          auto old = std::make_shared<const OldCopy>(
              location, assembly->manifest(), piece_bytes, stop,
              [&](std::size_t entries) { assembly->note_listing(entries); });
          auto candidates = old->candidates();
          return Survey{std::move(old), std::move(candidates), is_equal};
        } catch (const Failure& failure) {
          // The run can do without the old payload, which may lie on a bad part of the disk.
          spdlog::debug("an older version cannot be used: {}", failure.what());
          return Survey{nullptr, PieceSet(pieces), false};
        }
      },
      [this, location, kinship](Survey survey) {
        if (!survey.old) {
          open_search({}, Kinship::unknown);
        } else if (!survey.has_equal_entries) {
          open_search({location}, kinship);
        }
        surveyed(std::move(survey.old), std::move(survey.candidates), survey.has_equal_entries);
      });
}

// The pieces of an earlier run count like a payload whose kinship is unknown.
void Placement::open_search(std::vector<Location> locations, Kinship kinship) {
  if (has_former()) {
    locations.push_back(locate(spool_.folder(), spool_.former_folder().filename().string()));
    if (kinship == Kinship::unlike) kinship = Kinship::unknown;
  }
  if (delivery_ == Delivery::pulled && !locations.empty()) {
    search_.open(std::move(locations), kinship);
  }
}

bool Placement::has_former() const { return status_of(spool_.former_folder()).has_value(); }

void Placement::surveyed(std::shared_ptr<const OldCopy> old, PieceSet candidates,
                         bool has_equal_entries) {
  old_copy_ = std::move(old);
  published_ = std::move(candidates);
  for (const auto piece : pieces_.in(PieceState::unknown)) {
    const bool may_be_there = published_.contains(piece) || search_.is_open();
    pieces_.move(piece, may_be_there ? PieceState::candidate : PieceState::wanted);
  }
  // The payload may have changed between the two readings.
  if (has_equal_entries && published_.is_complete()) {
    old_ = Old::compared;
    for (const auto piece : pieces_.in(PieceState::verified)) place(piece);
  } else {
    begin_tree();
  }
  decide();
}

// The old payload has the piece nowhere, or not at its own offset.
void Placement::miss(PieceNumber piece) {
  if (!search_.is_open()) return await(piece);
  if (pieces_.state(piece) != PieceState::candidate) pieces_.move(piece, PieceState::candidate);
  search_.hold(piece);
}

// Pulls move little of a piece that the old payload has nearly, and each comparison costs a copy.
void Placement::give_up_adopting() {
  published_ = PieceSet(run_.cut.pieces());
  if (delivery_ != Delivery::pulled) return;
  for (const auto piece : pieces_.in(PieceState::candidate)) {
    if (!found_at(piece)) miss(piece);
  }
}

// Begins to search, once all pieces are announced and compared at their own offsets.
void Placement::search() {
  if (!search_.is_open() || search_.is_running()) return;
  const bool is_early =
      !pieces_.announced().is_complete() || pieces_.candidates() > search_.held() ||
      !pieces_.in(PieceState::adopting).empty() || !pieces_.in(PieceState::checking).empty();
  if (is_early) return;
  std::vector<StagedPiece> pieces;
  for (const auto piece : pieces_.in(PieceState::candidate)) {
    pieces.push_back({piece, *pieces_.digest(piece), pieces_.sum(piece)});
  }
  if (pieces.empty()) return searched({});
  search_.begin(std::move(pieces), [this](const OldSearch::Found& found) { searched(found); });
}

void Placement::searched(const OldSearch::Found& found) {
  spdlog::debug("found {} of {} pieces elsewhere in an older version; {} of {} were announced",
                found.pieces.size(), search_.held(), pieces_.announced().size(), pieces_.size());
  if (!found.pieces.empty() && old_copy_) {
    old_copy_ = std::make_shared<const OldCopy>(*old_copy_, found.stream, found.pieces);
  }
  for (const auto piece : search_.close()) {
    if (!found.pieces.contains(piece)) {
      await(piece);
      continue;
    }
    pieces_.move(piece, PieceState::checking);
    pieces_.move(piece, PieceState::verified);
    place(piece);
  }
}

// No file of the spool has the piece. A pushed piece has to come even if this host needs no file of
// it, because the other hosts pull it from here.
void Placement::decide_published(PieceNumber piece) {
  if (old_ == Old::unknown || old_ == Old::surveyed) return;  // The survey calls decide() again.
  if (!published_.contains(piece) || delivery_ == Delivery::pushed) {
    if (delivery_ == Delivery::pulled) miss(piece);
    return;
  }
  pieces_.move(piece, PieceState::adopting);
  const auto digest = *pieces_.digest(piece);
  if (old_ == Old::compared) {
    assembler_->submit(
        [assembly = assembly_, old = old_copy_, piece, digest](const std::stop_token& stop) {
          return assembly->is_equal(piece, digest, *old, stop);
        },
        [this, piece](bool equal) { on_compared(piece, equal); });
  } else {
    assembler_->submit(
        [assembly = assembly_, old = old_copy_, piece, digest, likeness = search_.likeness(),
         is_enough = search_.is_enough()](const std::stop_token& stop) {
          if (*is_enough) return false;
          // Without a copy, an unequal range costs little.
          if (likeness == Likeness::unknown && !assembly->is_equal(piece, digest, *old, stop)) {
            return false;
          }
          return adopt(*assembly, piece, digest, *old, stop);
        },
        [this, piece](bool equal) { on_adopted(piece, equal); });
  }
}

// The assembler has compared a piece with the published payload, in place.
void Placement::on_compared(PieceNumber piece, bool equal) {
  const bool has_file = pieces_.state(piece) == PieceState::comparing;
  if (old_ != Old::compared) {
    // Another piece differed meanwhile, so this one has to be copied.
    pieces_.move(piece, has_file ? PieceState::verified : PieceState::candidate);
    if (has_file) {
      place(piece);
    } else {
      decide_one(piece);
    }
    return;
  }
  if (equal) {
    pieces_.move(piece, has_file ? PieceState::in_place : PieceState::adopted);
    if (pieces_.in_place().is_complete()) restore_time();
    return;
  }
  published_.erase(piece);
  pieces_.move(piece, has_file ? PieceState::verified : PieceState::candidate);
  // The payload differs: the assembler builds a tree, and copies all equal ranges.
  for (const auto other : pieces_.in(PieceState::adopted)) {
    pieces_.move(other, PieceState::candidate);
  }
  for (const auto other : pieces_.in(PieceState::in_place)) {
    pieces_.move(other, PieceState::verified);
  }
  begin_tree();
  decide();
}

// The published payload is right, except perhaps the time of its top folder.
void Placement::restore_time() {
  assembler_->submit(
      [assembly = assembly_](const std::stop_token&) {
        assembly->restore_time();
        return true;
      },
      [this](bool) { step_ = Step::published; });
}

void Placement::on_adopted(PieceNumber piece, bool equal) {
  published_.erase(piece);
  const bool is_enough = search_.compared(piece, equal);
  if (equal) {
    pieces_.move(piece, PieceState::adopted);
  } else {
    miss(piece);
    if (is_enough) give_up_adopting();
  }
}

}  // namespace libsync
