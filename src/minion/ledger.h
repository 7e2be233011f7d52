#pragma once

// The pulls in hand, from their start until each is settled.
//
// Bookkeeping only. The ledger learns which files rsync delivered, the verdicts on them, and how
// rsync ended. It finds the pulls that are over, and how they ended. In the piece table it moves
// pieces between wanted, in flight and judging.
//
// A pull is over when its rsync has ended and every delivered file is judged. Digests count more
// than exit statuses: a pull that broke off after its last piece is good. One that ended with
// status 0 and brought no piece is not.
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
};
using Arrived = std::variant<NotAwaited, ManifestArrived, PieceArrived>;

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

  /// Returns the source if the file is good and a pull waited for it.
  std::optional<Address> judged(const Judgement& judgement);

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
    bool was_corrupt = false;
    std::optional<TransferEnded> end;
    std::optional<OverPull> over;
  };

  void settle(TransferId id, Pull& pull);
  [[nodiscard]] std::optional<OverPull> first_over(bool (*wanted)(const Assignment&));

  PieceTable& pieces_;
  std::map<TransferId, Pull> pulls_;
};

}  // namespace libsync
