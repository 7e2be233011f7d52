#include "minion/piece_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace libsync {
namespace {

using enum PieceState;

struct Transition {
  PieceState from;
  PieceState to;
};

// Every transition, and its reason.
constexpr std::array kTransitions = {
    Transition{unknown, candidate},   // The survey found a range of its size.
    Transition{unknown, wanted},      // The survey found nothing.
    Transition{candidate, checking},  // There is a file of its size, and the digest is known.
    Transition{candidate, adopting},  // There is no file, and a published range of its size.
    Transition{candidate, wanted},    // There is neither.
    Transition{checking, verified},   // The file is right.
    Transition{checking, candidate},  // It is wrong. The published range comes next.
    Transition{adopting, adopted},    // The published range is right.
    Transition{adopting, candidate},  // It is wrong, or must be copied after all.
    Transition{adopting, wanted},     // It is wrong, and there is no other candidate.
    Transition{adopted, candidate},   // The published payload differs elsewhere: copy it.
    Transition{wanted, in_flight},    // An assignment names it.
    Transition{in_flight, wanted},    // The pull ended without it.
    Transition{in_flight, judging},   // rsync delivered a file.
    Transition{judging, in_flight},   // Wrong bytes, or cut short: as if it had not come.
    Transition{judging, verified},    // The file is right.
    Transition{verified, comparing},  // The published payload may be equal: compare this range.
    Transition{verified, placing},    // Copy it into the tree.
    Transition{verified, wanted},     // Its file was lost: rotten, or deleted.
    Transition{verified, candidate},  // The same where a master delivers the files.
    Transition{comparing, in_place},  // The published range is right.
    Transition{comparing, verified},  // It is wrong: the piece goes into a tree.
    Transition{comparing, adopting},  // Its file was lost meanwhile.
    Transition{placing, in_place},    // It is in the tree.
    Transition{placing, wanted},      // Its bytes changed since the verdict.
    Transition{placing, candidate},   // The same where a master delivers the files.
    Transition{placing, adopting},    // Its file was lost meanwhile.
    Transition{in_place, verified},   // The published payload differs elsewhere: copy it.
    Transition{in_place, adopted},    // Its file was lost.
};

constexpr auto kStates = static_cast<std::size_t>(adopted) + 1;

constexpr auto kAllowed = [] {
  std::array<std::array<bool, kStates>, kStates> allowed{};
  for (const auto& [from, to] : kTransitions) {
    allowed.at(static_cast<std::size_t>(from)).at(static_cast<std::size_t>(to)) = true;
  }
  return allowed;
}();

bool is_servable(PieceState state) {
  return state == verified || state == comparing || state == placing || state == in_place;
}

bool is_in_place(PieceState state) { return state == in_place || state == adopted; }

void put(PieceSet& set, PieceNumber piece, bool is_member) {
  if (is_member) {
    set.insert(piece);
  } else {
    set.erase(piece);
  }
}

}  // namespace

std::string_view name_of(PieceState state) {
  constexpr std::array<std::string_view, kStates> kNames = {
      "unknown", "candidate", "checking",  "adopting", "wanted",   "in flight",
      "judging", "verified",  "comparing", "placing",  "in place", "adopted"};
  return kNames.at(static_cast<std::size_t>(state));
}

PieceTable::PieceTable(PieceNumber pieces, PieceState initial)
    : states_(pieces, initial),
      sums_(pieces, 0),
      announced_(pieces),
      servable_(pieces),
      in_place_(pieces),
      unwanted_(pieces) {
  for (PieceNumber piece = 0; piece < pieces; ++piece) count(piece, initial, 1);
}

void PieceTable::move(PieceNumber piece, PieceState to) {
  const auto from = state(piece);
  if (!kAllowed.at(static_cast<std::size_t>(from)).at(static_cast<std::size_t>(to))) {
    throw std::logic_error(
        fmt::format("piece {} cannot go from '{}' to '{}'", piece, name_of(from), name_of(to)));
  }
  count(piece, from, -1);
  states_[piece] = to;
  count(piece, to, 1);
}

void PieceTable::count(PieceNumber piece, PieceState state, int by) {
  put(servable_, piece, is_servable(state));
  put(in_place_, piece, is_in_place(state));
  put(unwanted_, piece, state != PieceState::wanted);
  const auto add = [by](PieceNumber& number) { number = by > 0 ? number + 1 : number - 1; };
  if (is_servable(state) || is_in_place(state)) add(verified_);
  if (state == PieceState::wanted) add(wanted_);
  if (state == PieceState::candidate) add(candidates_);
}

std::vector<PieceNumber> PieceTable::in(PieceState state) const {
  std::vector<PieceNumber> all;
  for (PieceNumber piece = 0; piece < size(); ++piece) {
    if (states_[piece] == state) all.push_back(piece);
  }
  return all;
}

void PieceTable::announce(const StagedPiece& piece) {
  if (piece.piece >= size()) return;
  if (digests_.empty()) digests_.resize(size(), piece.digest);
  digests_[piece.piece] = piece.digest;
  sums_[piece.piece] = piece.sum;
  announced_.insert(piece.piece);
}

std::optional<Digest> PieceTable::digest(PieceNumber piece) const {
  if (!announced_.contains(piece)) return std::nullopt;
  return digests_[piece];
}

std::vector<PieceNumber> PieceTable::without_digest() const {
  if (candidates_ == 0) return {};
  auto waiting = in(PieceState::candidate);
  std::erase_if(waiting, [this](PieceNumber piece) { return announced_.contains(piece); });
  return waiting;
}

}  // namespace libsync
