#pragma once

// Pulls along trees, in a run with hundreds of hosts: from whom, which pieces, and when.
//
// A call a piece is more than Redis has time for then. So piece n belongs to tree n % T, and a host
// has a seat with a parent in each tree (redis/functions/trees.lua). It keeps one *stream* from
// each parent: one pull after the other of the next pieces of that tree, in their order. Redis is
// not asked whether the parent has them: a pull names the next few, gets those that are there, and
// if there are none, the stream tries again a little later. A piece costs Redis nothing; the host
// reports every few seconds.
//
// A stream whose own tree is done asks its parent for pieces of the tree that is furthest behind.
// So all links make up for a parent that died or is slow, and not only those of its tree.
//
// A pull that brings nothing while other trees advance is given up: the parent may be silent for
// good, and nobody else brings its pieces until the pull has ended.
//
// A host reports a parent that fails or is slow; if others do so too, Redis gives it another one. A
// tree is *adrift* if that does not help: the host then claims its missing pieces, as in a small
// run, and its children get them as if they had come along the tree.
//
// Pure. Nothing is left of it when the process dies: the seat is kept by Redis, and the next tick
// gets the same one. The constants, and why: trees.cpp.

#include <optional>
#include <vector>

#include "libsync/core/grain.h"
#include "minion/policy.h"

namespace libsync {

class Trees final : public PullPolicy {
 public:
  /// How long a host with a seat listens for a wake-up. A lost one costs nothing: the host hears
  /// the same at its next report.
  static constexpr std::chrono::seconds patience{60};

  Trees(PieceNumber pieces, Instant now);

  /// The seat as it is now. A tree without a parent waits for one.
  void seated(const Seat& seat);

  /// A wake-up: the seat may have changed, so that the next report is due at once.
  void woken() { is_woken_ = true; }

  /// Redis has the feedback.
  void reported();

  [[nodiscard]] std::optional<Act> pull(const Situation& situation) override;
  void started(TransferId id, Instant now) override;
  void arrived(TransferId id, Instant now) override;
  void over(const OverPull& pull, const Situation& situation) override;
  [[nodiscard]] std::optional<Act> report(const Situation& situation) override;
  /// All trees but those adrift.
  [[nodiscard]] PieceSet carried(const Situation& situation) const override;
  [[nodiscard]] unsigned slots() const override { return kSlotsBesideTrees; }
  [[nodiscard]] bool reports_regularly() const override { return true; }
  [[nodiscard]] Instant due(const Situation& situation) const override;

  [[nodiscard]] const std::vector<ParentFeedback>& feedback() const { return feedback_; }

 private:
  struct Pull {
    TransferId id;
    Address parent;
    PieceNumber brought;
    Instant began;
    Instant moved;  // When it brought something last, or began.
    bool is_given_up = false;
  };
  struct Stream {
    std::optional<Address> parent;
    std::optional<Pull> pull;
    Instant not_before;     // The next pull.
    Instant moved;          // When a piece came last, or the host came.
    Duration piece{0};      // Time for one, of late; 0: not known.
    unsigned failures = 0;  // Of this parent, in a row.
  };

  /// Whether Redis should be asked soon: for a parent, or for digests, without which a stream
  /// waits.
  [[nodiscard]] bool is_urgent(const PieceTable& pieces) const;
  [[nodiscard]] Instant report_due(const Situation& situation) const;

  [[nodiscard]] PieceNumber most_pieces(const Stream& stream) const;
  [[nodiscard]] std::vector<StagedPiece> next_of(PieceNumber tree, PieceNumber most,
                                                 const PieceTable& pieces) const;
  [[nodiscard]] std::optional<Act> next_pull(const Situation& situation);
  /// A pull to be ended, so that its pieces can come from elsewhere.
  [[nodiscard]] std::optional<Act> give_up(const Situation& situation);
  void note_end(Stream& stream, PieceNumber lag, const OverPull& over, Instant now);

  /// How many pieces of each tree are not in the set.
  [[nodiscard]] std::vector<PieceNumber> missing(const PieceSet& there) const;
  /// How many pieces each tree is behind the one that is furthest.
  [[nodiscard]] std::vector<PieceNumber> lags(const PieceSet& in_place) const;
  /// Time for a piece in the stream in the middle; 0: not known.
  [[nodiscard]] Duration usual_piece() const;
  /// Before this moment no parent is called slow.
  [[nodiscard]] Instant judges_from() const;
  [[nodiscard]] Instant hopeless_at(const Pull& pull) const;
  /// Whether waiting is no use: the pull has brought nothing for long, while others did, or there
  /// are none.
  [[nodiscard]] bool is_hopeless(const Pull& pull, Instant now) const;
  [[nodiscard]] bool is_slow(const Stream& stream, PieceNumber lag) const;
  [[nodiscard]] bool is_adrift(const Stream& stream, PieceNumber lag, Instant now) const;

  PieceNumber pieces_;
  Instant came_;
  Instant arrived_;  // A piece, last.
  bool has_seat_ = false;
  bool is_woken_ = false;
  Duration poll_short_{0};
  Duration poll_long_{0};
  std::vector<Stream> streams_;  // One a tree.
  std::vector<Pull> left_;       // No stream waits for them: given up, or from a former parent.
  std::optional<std::size_t> starting_;
  std::vector<ParentFeedback> feedback_;
};

}  // namespace libsync
