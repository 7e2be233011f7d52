#pragma once

// A host with four parents, one in each of four trees, for the tests of Trees.

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "minion/trees.h"

namespace libsync::test {

inline constexpr PieceNumber kPieces = 400;
inline constexpr PieceNumber kTrees = 4;

/// A host calls parents slow only after this time.
inline constexpr std::chrono::seconds kFilled{2};

inline Address parent(unsigned tree, unsigned generation = 0) {
  return Address::parse("10.0." + std::to_string(generation) + "." + std::to_string(tree + 1))
      .value();
}

class TreesFixture : public testing::Test {
 protected:
  using Milliseconds = std::chrono::milliseconds;
  using Seconds = std::chrono::seconds;

  /// The host learns its parents, and the digests of the first `known` pieces.
  void seat(PieceNumber known = kPieces, unsigned generation = 0) {
    Seat seat{.poll_short = Milliseconds(100), .poll_long = Seconds(4), .parents = {}};
    for (unsigned tree = 0; tree < kTrees; ++tree) {
      seat.parents.emplace_back(parent(tree, generation));
    }
    for (PieceNumber piece = 0; piece < known; ++piece) {
      pieces_.announce({piece, digest_of(std::to_string(piece))});
    }
    trees_.seated(seat);
  }

  View view_;

  [[nodiscard]] Situation here() const {
    return {.pieces = pieces_,
            .ledger = ledger_,
            .now = now_,
            .offered = 2,
            .is_served = is_served_,
            .has_news = false,
            .reported_at = reported_at_,
            .view = view_};
  }

  /// The next pull to start. Records the trees whose pull ends before it.
  std::optional<Assignment> next() {
    while (const auto act = trees_.pull(here())) {
      if (const auto* const start = std::get_if<StartPull>(&*act)) return start->assignment;
      const auto id = std::get<EndPull>(*act).id;
      for (const auto& [tree, pull] : pulls_) {
        if (pull.first == id) ended_.push_back(tree);
      }
    }
    return std::nullopt;
  }

  /// Starts all pulls that may start, and returns their number.
  std::size_t start_all() {
    std::size_t count = 0;
    for (; const auto pull = next(); ++count) {
      trees_.started(++last_id_, now_);
      pulls_.insert_or_assign(tree_of(pull->source), std::pair(last_id_, pull->pieces));
      for (const auto& [piece, digest, sum] : pull->pieces) pieces_.move(piece, PieceState::in_flight);
    }
    return count;
  }

  [[nodiscard]] static std::size_t tree_of(const Address& source) {
    const auto& text = source.text();
    return std::stoul(text.substr(text.rfind('.') + 1)) - 1;
  }

  [[nodiscard]] bool pulls(std::size_t tree) const { return pulls_.contains(tree); }
  [[nodiscard]] const std::vector<StagedPiece>& asked(std::size_t tree) const {
    return pulls_.at(tree).second;
  }

  /// The pull in `tree` brings this many of its pieces and ends. Returns the new feedback.
  std::optional<ParentFeedback> end(std::size_t tree, std::size_t brought,
                                    PullEnd how = PullEnd::good) {
    const auto [id, pieces] = pulls_.at(tree);
    pulls_.erase(tree);
    for (const auto& [piece, digest, sum] : pieces) {
      if (brought == 0) {
        pieces_.move(piece, PieceState::wanted);
        continue;
      }
      --brought;
      put_in_place(piece);
      trees_.arrived(id, now_);
    }
    const auto before = trees_.feedback().size();
    const std::string detail = how == PullEnd::good ? "" : "because";
    trees_.over({id, {parent(0), pieces, std::nullopt}, how, detail}, here());
    if (trees_.feedback().size() == before) return std::nullopt;
    return trees_.feedback().back();
  }

  /// The pull in `tree` moves bytes, and no piece.
  void move(std::size_t tree) { trees_.moved(pulls_.at(tree).first, now_); }

  /// Everything but these is in place.
  void lack(const std::vector<PieceNumber>& lacking) {
    for (PieceNumber piece = 0; piece < kPieces; ++piece) {
      if (std::find(lacking.begin(), lacking.end(), piece) != lacking.end()) continue;
      pieces_.move(piece, PieceState::in_flight);
      put_in_place(piece);
    }
  }

  /// Two pieces were missing. One came after this time, and the stream of tree 0 pulls the other.
  void reach_the_last_piece(Milliseconds piece) {
    seat();
    now_ += kFilled;
    lack({0, 4});
    start_all();
    now_ += piece;
    end(1, 1);
  }

  /// All streams but one continue, each with one pull in a step.
  void others_go_on(std::size_t held, PieceNumber steps, Milliseconds step = Milliseconds(100)) {
    for (PieceNumber i = 0; i < steps; ++i) {
      start_all();
      now_ += step;
      for (std::size_t tree = 0; tree < kTrees; ++tree) {
        if (tree != held && pulls(tree)) end(tree, 99);
      }
    }
  }

  /// The trees whose pulls the host has ended since the last call.
  std::vector<std::size_t> ended() {
    static_cast<void>(next());
    return std::exchange(ended_, {});
  }

  /// The feedback that the host has not reported yet.
  std::vector<ParentFeedback> feedback() {
    static_cast<void>(next());
    return trees_.feedback();
  }

  [[nodiscard]] bool is_carried(PieceNumber tree) const {
    return trees_.carried(here()).contains(tree + kPieces - kTrees);
  }

  /// Whether the host reports after the short pause.
  [[nodiscard]] bool is_urgent() {
    auto later = here();
    later.reported_at = now_ - Milliseconds(100);
    return trees_.report(later).has_value();
  }

  Instant now_{Seconds(1000)};
  Instant reported_at_ = now_;
  bool is_served_ = true;
  PieceTable pieces_{kPieces};
  Ledger ledger_{pieces_};
  Trees trees_{kPieces, now_};

 private:
  void put_in_place(PieceNumber piece) {
    using enum PieceState;
    for (const auto state : {judging, verified, placing, in_place}) pieces_.move(piece, state);
  }

  TransferId last_id_ = 0;
  // Id and pieces of the pull in each tree.
  std::map<std::size_t, std::pair<TransferId, std::vector<StagedPiece>>> pulls_;
  std::vector<std::size_t> ended_;
};

}  // namespace libsync::test
