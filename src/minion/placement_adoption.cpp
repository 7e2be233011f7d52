// A Placement adopts what the old payload has of the new one.

#include <utility>

#include "minion/placement.h"
#include "os/workers.h"

namespace libsync {
namespace {

// If so many old ranges differ and none is equal, the host compares no more of them. In a payload
// of which half has changed, that is one run of 65,000: ./tests/bench/delta
constexpr unsigned kUnequalInARow = 16;

}  // namespace

// The choice needs the manifest, which tells files from folders.
std::optional<std::size_t> Placement::basis_for(EntryKind kind) const {
  std::vector<OldName> names;
  for (const auto& version : versions_) names.push_back(version.known);
  return choose_basis(run_.task.name(), kind, names);
}

void Placement::survey() {
  old_ = Old::surveyed;
  const auto chosen = basis_for(assembly_->manifest().top().kind);
  if (!chosen) return surveyed(nullptr, PieceSet(run_.cut.pieces()), false);
  survey(versions_[*chosen]);
}

void Placement::survey(const OldVersion& version) {
  struct Survey {
    std::shared_ptr<const OldCopy> old;
    PieceSet candidates;
    bool has_equal_entries;
  };
  const bool is_published = version.folder == repo_ && version.file == run_.task.name();
  assembler_->submit(
      [assembly = assembly_, location = locate(version.folder, version.file), is_published,
       piece_bytes = run_.cut.piece_bytes](const std::stop_token& stop) {
        const bool is_equal = is_published && assembly->has_equal_entries(stop);
        auto old =
            std::make_shared<const OldCopy>(location, assembly->manifest(), piece_bytes, stop);
        auto candidates = old->candidates();
        return Survey{std::move(old), std::move(candidates), is_equal};
      },
      [this](Survey survey) {
        surveyed(std::move(survey.old), std::move(survey.candidates), survey.has_equal_entries);
      });
}

void Placement::surveyed(std::shared_ptr<const OldCopy> old, PieceSet candidates,
                         bool has_equal_entries) {
  old_copy_ = std::move(old);
  published_ = std::move(candidates);
  for (const auto piece : pieces_.in(PieceState::unknown)) {
    pieces_.move(piece, published_.contains(piece) ? PieceState::candidate : PieceState::wanted);
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

// Pulls move little of a piece that the old payload has nearly, and each comparison costs a copy.
void Placement::give_up_adopting() {
  published_ = PieceSet(run_.cut.pieces());
  if (delivery_ != Delivery::pulled) return;
  for (const auto piece : pieces_.in(PieceState::candidate)) {
    if (!found_at(piece)) pieces_.move(piece, PieceState::wanted);
  }
}

// No file of the spool has the piece. A pushed piece has to come even if this host needs no file of
// it, because the other hosts pull it from here.
void Placement::decide_published(PieceNumber piece) {
  if (old_ == Old::unknown || old_ == Old::surveyed) return;  // The survey calls decide() again.
  if (!published_.contains(piece) || delivery_ == Delivery::pushed) {
    if (delivery_ == Delivery::pulled) pieces_.move(piece, PieceState::wanted);
    return;
  }
  pieces_.move(piece, PieceState::adopting);
  const auto digest = *pieces_.digest(piece);
  if (old_ == Old::compared) {
    assembler_->submit([old = old_copy_, piece, digest](
                           const std::stop_token& stop) { return old->has(piece, digest, stop); },
                       [this, piece](bool equal) { on_compared(piece, equal); });
  } else {
    assembler_->submit(
        [assembly = assembly_, old = old_copy_, piece, digest](const std::stop_token& stop) {
          return assembly->adopt(piece, digest, *old, stop);
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
  if (equal) {
    has_adopted_ = true;
    return pieces_.move(piece, PieceState::adopted);
  }
  await(piece);
  if (!has_adopted_ && ++unequal_ >= kUnequalInARow) give_up_adopting();
}

}  // namespace libsync
