#pragma once

// What a host pulls along the trees, in a run with hundreds of hosts: from whom, what, and when.
//
// A call a piece is more than the shared state has time for then. So piece n belongs to tree n % T,
// a host has a parent in each tree (functions/trees.lua says which), and a *stream* from it: one
// pull after the other of the next pieces of that tree, in their order. Nobody is asked whether the
// parent has them: a pull names the next few, gets those that are there, and if that is none, the
// stream tries again a little later. A piece costs the shared state nothing; a host says every few
// seconds what it has; how often, the shared state tells it.
//
// Links are free when the first trees are done: a stream with nothing left in its own tree then
// asks its parent for what is missing of the tree that is furthest behind. Like this, what was lost
// to a parent that died or was slow is made up for, by all links and not only by those of that
// tree.
//
// A pull that brings nothing while other trees go ahead is given up: the parent may be gone without
// a word, and what it was to bring is nobody else's until its pull has ended.
//
// A parent that fails or is slow is reported; if others say so too, the host gets another one. A
// tree is *adrift* if that does not help: what is missing of it is claimed then, as in a small run
// (pull_plan.h), and goes on to the children of this host as if it had come along the tree.
//
// Decisions only: it starts and moves nothing, and PullLedger keeps what is on the way. The minion
// and the simulation use the same one. How long it waits for what, and why: streams.cpp. Not
// thread-safe. Nothing is left of it when the process dies: the place in the trees is the shared
// state's, and is the same for the next tick.

#include <map>
#include <optional>
#include <vector>

#include "libsync/core/pieces.h"
#include "libsync/core/time.h"
#include "libsync/minion_coordinator.h"
#include "libsync/transfer.h"

namespace libsync {

/// A pull to start: of these pieces, as far as the parent has them.
struct StreamPull {
  std::size_t tree;
  Address parent;
  std::vector<StagedPiece> pieces;
};

class Streams {
 public:
  /// How long a host in the trees listens for a wake-up: if one is lost, it hears the same when it
  /// says next what it has.
  static constexpr std::chrono::seconds patience{60};

  Streams(PieceNumber pieces, Instant now);

  /// The parents as they are now, and more digests. A tree without a parent waits for one.
  void follow(const Seat& place);

  /// Whether the coordinator had better be asked soon: for a parent, or for digests, without which
  /// a stream stands still.
  [[nodiscard]] bool is_urgent(const PieceSet& unwanted) const;
  /// How long after the last time it is to be asked again. Reports that nobody has been told are
  /// urgent, too.
  [[nodiscard]] Duration pause(const PieceSet& unwanted,
                               const std::vector<ParentFeedback>& untold) const;

  /// The pieces whose digests are known: nothing else can be proven, so nothing else is pulled.
  [[nodiscard]] const PieceSet& known() const { return known_; }

  /// A pull to start now, if there is one. `unwanted`: in place, or on the way.
  [[nodiscard]] std::optional<StreamPull> next(const PieceSet& unwanted, Instant now) const;
  void started(const StreamPull& pull, TransferId id, Instant now);
  void arrived(TransferId id, Instant now);
  /// What is worth reporting about the parent, if anything.
  [[nodiscard]] std::optional<ParentFeedback> ended(TransferId id, PullEnd end,
                                                    const std::string& detail,
                                                    const PieceSet& in_place, Instant now);
  /// Parents whose pull has brought nothing for several times as long as usual, each once a pull:
  /// they are slow, or gone without a word.
  [[nodiscard]] std::vector<ParentFeedback> overdue(const PieceSet& in_place, Instant now);
  /// Pulls to be ended, each once, so that what they were to bring can come from elsewhere.
  [[nodiscard]] std::vector<TransferId> give_up(Instant now);
  [[nodiscard]] bool owns(TransferId id) const;

  /// What the streams will bring, so that nobody has to claim it: all trees but those adrift.
  [[nodiscard]] PieceSet carried(const PieceSet& in_place, Instant now) const;

  /// When next() or overdue() may have another answer although nothing has happened.
  [[nodiscard]] Instant next_due(Instant now) const;

 private:
  struct Pull {
    TransferId id;
    Address parent;
    PieceNumber brought;
    Instant began;
    Instant moved;  // When it brought something last, or began.
    bool is_overdue = false;
    bool is_given_up = false;
  };
  struct Stream {
    std::optional<Address> parent;
    std::optional<Pull> pull;
    Instant not_before;     // The next pull.
    Instant moved;          // When a piece came last, or the host came.
    Duration piece{0};      // What one takes, of late; 0: not known.
    unsigned failures = 0;  // Of this parent, in a row.
  };

  [[nodiscard]] PieceNumber most_pieces(const Stream& stream) const;
  /// The next few pieces of a tree.
  [[nodiscard]] std::vector<StagedPiece> next_of(PieceNumber tree, PieceNumber most,
                                                 const PieceSet& unwanted) const;
  /// How many pieces of each tree are not there.
  [[nodiscard]] std::vector<PieceNumber> missing(const PieceSet& there) const;
  /// How many pieces each tree is behind the one that is furthest.
  [[nodiscard]] std::vector<PieceNumber> lags(const PieceSet& in_place) const;
  /// What a piece takes in the stream in the middle; 0: not known.
  [[nodiscard]] Duration usual_piece() const;
  /// Since when it calls parents slow.
  [[nodiscard]] Instant judges_from() const;
  [[nodiscard]] Instant overdue_at(const Pull& pull) const;
  /// Whether it has brought nothing for so long that it is no use waiting, while others did, or
  /// there are none.
  [[nodiscard]] bool is_hopeless(const Pull& pull, Instant now) const;
  [[nodiscard]] bool is_slow(const Stream& stream, PieceNumber lag) const;
  [[nodiscard]] bool is_adrift(const Stream& stream, PieceNumber lag, Instant now) const;

  PieceNumber pieces_;
  Instant came_;
  Instant arrived_;  // A piece, last.
  bool has_place_ = false;
  Duration pause_{0};
  Duration report_every_{0};
  std::vector<Stream> streams_;  // One a tree.
  std::vector<Pull> left_;       // No stream waits for them: given up, or from a parent of before.
  PieceSet known_;
  std::map<PieceNumber, Digest> digests_;
};

}  // namespace libsync
