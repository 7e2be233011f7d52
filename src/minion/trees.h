#pragma once

// Pulls along trees, in a run with hundreds of hosts.
//
// Redis has no time for a call a piece then. So piece n belongs to tree n % T, and a host has a
// seat with a parent in each tree (redis/functions/trees.lua). It keeps one *stream* from each
// parent: one pull after the other of the next pieces of that tree, in their order. It does not ask
// Redis whether the parent has them. A pull names the next few and gets those that are there. If
// there are none, the stream tries again a little later. So a piece costs Redis nothing, and the
// host reports every few seconds.
//
// A stream whose own tree is complete pulls pieces of the tree that is furthest behind. So all
// links make up for a parent that died or is slow, and not only those of its tree.
//
// The host gives up a pull that moves no byte, or brings no piece, while others do. The parent may
// be silent for good, and its pieces come from no other source before the pull has ended.
//
// A host reports a parent that fails, is slow or is silent. If others report it too, Redis gives
// the host another one. A tree is *adrift* if that does not help. The host then claims its missing
// pieces, as in a small run, and serves them to its children along the tree.
//
// Pure. If the process dies, nothing is left: Redis keeps the seat, and the next tick gets it
// again.

#include <optional>
#include <vector>

#include "libsync/core/slots.h"
#include "minion/policy.h"
#include "minion/silence.h"

namespace libsync {

class Trees final : public PullPolicy {
 public:
  /// How long a host with a seat listens for a wake-up. A lost one costs nothing, because the next
  /// report brings the same news.
  static constexpr std::chrono::seconds patience{60};

  Trees(PieceNumber pieces, Instant now);

  /// The present seat. A tree without a parent waits for one.
  void seated(const Seat& seat);

  /// A wake-up: the seat may have changed, so the next report is due at once.
  void woken() { is_woken_ = true; }

  /// Redis has the feedback.
  void reported();

  [[nodiscard]] std::optional<Act> pull(const Situation& situation) override;
  void started(TransferId id, Instant now) override;
  void arrived(TransferId id, Instant now) override;
  /// The pull has moved bytes.
  void moved(TransferId id, Instant now);
  void over(const OverPull& pull, const Situation& situation) override;
  [[nodiscard]] std::optional<Act> report(const Situation& situation) override;
  /// The pieces of all trees that are not adrift.
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
    Instant brought_at;  // When it brought its last piece, or began.
    Instant moved;       // When it moved its last byte, or began.
    unsigned doublings;  // The patience with it has doubled so often.
    bool is_given_up = false;
  };
  struct Stream {
    std::optional<Address> parent;
    std::optional<Pull> pull;
    Instant not_before;     // The next pull.
    Instant moved;          // When its last piece came, or the host joined.
    Duration piece{0};      // Moving average of the time for one; 0: not known.
    unsigned failures = 0;  // In a row, of this parent.
    unsigned given_up = 0;  // Pulls in a row that the host gave up.
  };

  /// Whether a stream waits for a parent or for digests, so that the host should report soon.
  [[nodiscard]] bool is_urgent(const PieceTable& pieces) const;
  [[nodiscard]] Instant report_due(const Situation& situation) const;

  [[nodiscard]] PieceNumber most_pieces(const Stream& stream) const;
  [[nodiscard]] std::vector<StagedPiece> next_of(PieceNumber tree, PieceNumber most,
                                                 const PieceTable& pieces) const;
  [[nodiscard]] std::optional<Act> next_pull(const Situation& situation);
  /// A pull to end, so that its pieces can come from another source.
  [[nodiscard]] std::optional<Act> give_up(const Situation& situation);
  void note_end(Stream& stream, PieceNumber lag, const OverPull& over, Instant now);

  /// For each tree, the number of its pieces that are not in the set.
  [[nodiscard]] std::vector<PieceNumber> missing(const PieceSet& there) const;
  /// For each tree, the number of pieces that it is behind the most advanced one.
  [[nodiscard]] std::vector<PieceNumber> lags(const PieceSet& in_place) const;
  /// Median over the streams of the time for a piece; 0: not known.
  [[nodiscard]] Duration usual_piece() const;
  /// All trees. Those whose pulls brought something come first.
  [[nodiscard]] std::vector<PieceNumber> best_first() const;
  /// Before this moment the host reports no parent as slow.
  [[nodiscard]] Instant judges_from() const;
  /// Whether the pull has brought no piece for long, while others did or there are no others.
  [[nodiscard]] bool brings_nothing(const Pull& pull, Instant now) const;
  [[nodiscard]] bool is_hopeless(const Pull& pull, Instant now) const;
  [[nodiscard]] Pull* pull_of(TransferId id);
  [[nodiscard]] bool is_slow(const Stream& stream, PieceNumber lag) const;
  [[nodiscard]] bool is_adrift(const Stream& stream, PieceNumber lag, Instant now) const;

  PieceNumber pieces_;
  Instant came_;           // When the host joined.
  Instant arrived_;        // When the last piece came.
  unsigned given_up_ = 0;  // Pulls that the host gave up since then.
  bool has_seat_ = false;
  bool is_woken_ = false;
  Duration poll_short_{0};
  Duration poll_long_{0};
  std::vector<Stream> streams_;  // One a tree.
  std::vector<Pull> left_;       // Pulls of no stream: given up, or from a former parent.
  Silence silence_;
  std::optional<std::size_t> starting_;
  std::vector<ParentFeedback> feedback_;
};

}  // namespace libsync
