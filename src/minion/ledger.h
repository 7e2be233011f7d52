#pragma once

// The pulls in hand, from their start until each is settled.
//
// Bookkeeping only. The ledger learns which files rsync delivered, the verdicts on them, and how
// rsync ended. It finds the pulls that are over, and how they ended. In the piece table it moves
// pieces between wanted, in flight and judging.
//
// Two pulls may have one piece in flight (Attempt in assignment.h). One file is judged at a time,
// and the other one waits for the verdict. The first good file wins. The other pull is superseded:
// it ends, and its source is at no fault.
//
// A pull is over when its last file is judged good, or when its rsync has ended and every delivered
// file is judged. rsync needs tens of milliseconds more to end, and its source is free meanwhile.
// Digests count more than exit statuses: a pull that broke off after its last piece is good. One
// that ended with status 0 and brought no piece is not.
//
// Pure. Belongs to one thread.

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "libsync/core/verdict.h"
#include "libsync/transfer.h"
#include "minion/assignment.h"
#include "minion/piece_table.h"

namespace libsync {

/// The verdict on a file that was pulled.
struct Judgement {
  std::optional<PieceNumber> piece;  ///< Nothing: the manifest.
  Verdict verdict;
};

/// No pull waits for this file.
struct NotAwaited {};
struct ManifestArrived {};
struct PieceArrived {
  StagedPiece piece;
  Attempt attempt;
};
using Arrived = std::variant<NotAwaited, ManifestArrived, PieceArrived>;

/// The effect of a verdict.
struct Judged {
  std::optional<Address> source;       ///< It delivered a good file.
  std::vector<TransferId> superseded;  ///< Pulls to end: another one delivered their piece.
};

/// A pull that is over.
struct OverPull {
  TransferId id;
  Assignment assignment;
  PullEnd end;
  std::string detail;  ///< Empty if good.
};

class Ledger {
 public:
  /// `pieces` must outlive the Ledger.
  explicit Ledger(PieceTable& pieces) : pieces_(pieces) {}

  /// The pull has begun: its pieces are in flight.
  void add(TransferId id, Assignment assignment);

  /// Sorts a delivered file. A piece that a pull awaits is judging until judged().
  [[nodiscard]] Arrived arrived(const FileArrived& file);

  [[nodiscard]] Judged judged(const Judgement& judgement);

  /// A delivered file that waited for a verdict on another one, which was bad. It is judging then.
  [[nodiscard]] std::optional<PieceArrived> next_delivered();

  /// The pieces that the pull has still to deliver.
  [[nodiscard]] std::vector<PieceNumber> awaited(TransferId id) const;
  /// The sources of the pulls that have this piece in flight.
  [[nodiscard]] std::vector<Address> sources_of(PieceNumber piece) const;
  /// Pulls of a second attempt.
  [[nodiscard]] std::size_t second_attempts() const;
  /// Another pull delivered a piece of this one.
  [[nodiscard]] bool is_superseded(TransferId id) const;
  /// Number of pulls so far that were superseded.
  [[nodiscard]] std::size_t superseded() const { return superseded_; }

  void ended(const TransferEnded& end);

  /// A pull by a claim that is over, if there is one; the same one until forget(). The pieces that
  /// it did not bring are wanted again.
  [[nodiscard]] std::optional<OverPull> over_claim();
  /// The same of a pull by the seat.
  [[nodiscard]] std::optional<OverPull> over_seat();
  void forget(TransferId id);

  [[nodiscard]] std::size_t size() const { return pulls_.size(); }
  [[nodiscard]] std::size_t claims() const;
  [[nodiscard]] bool awaits_manifest() const;
  [[nodiscard]] bool is_any_running() const;
  [[nodiscard]] std::vector<Token> tokens() const;

 private:
  struct Pull {
    Assignment assignment;
    bool awaits_manifest = false;
    std::set<PieceNumber> awaited;
    // A source may name a file twice. A file is judged once at a time.
    std::set<std::optional<PieceNumber>> judging;  // Nothing: the manifest.
    std::set<PieceNumber> delivered;  // Another pull's file of the piece is judged first.
    bool was_corrupt = false;
    bool is_superseded = false;
    std::optional<TransferEnded> end;
    std::optional<OverPull> over;
  };

  void settle(TransferId id, Pull& pull);
  [[nodiscard]] std::vector<TransferId> supersede(PieceNumber piece);
  [[nodiscard]] std::optional<OverPull> first_over(bool (*wanted)(const Assignment&));

  PieceTable& pieces_;
  std::size_t superseded_ = 0;
  std::map<TransferId, Pull> pulls_;
};

}  // namespace libsync
