#pragma once

// What a host pulls: the claims that it holds, from being granted to being completed, and the pulls
// of its streams.
//
// Bookkeeping only: it is told what rsync delivered, what the digests said, and how rsync ended,
// and says which claims are over and how. It moves nothing, hashes nothing, and asks nobody.
//
// A claim is over when its rsync has ended and everything that it delivered has been judged. How it
// ended is decided by digests before exit statuses: a pull that broke off after its last piece is
// good, and one that ended well without a piece is not.

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "libsync/core/pieces.h"
#include "libsync/minion_coordinator.h"
#include "libsync/transfer.h"
#include "minion/placement.h"

namespace libsync {

/// A file that no claim waits for.
struct NotAwaited {};
struct ManifestArrived {};
struct PieceArrived {
  StagedPiece piece;
};
using Arrived = std::variant<NotAwaited, ManifestArrived, PieceArrived>;

/// Whether the source is known to have what it is asked for: by a claim it is, by a stream
/// (streams.h) it is not, and what does not come is not missed.
enum class Promise { given, none };

struct CompletedPull {
  TransferId id;
  Claim claim;
  PullEnd end;
  std::string detail;  ///< Empty if good.
};

enum class PullsManifest { no, yes };

class PullLedger {
 public:
  explicit PullLedger(PieceNumber pieces) : in_flight_(pieces) {}

  void add(TransferId id, Claim claim, PullsManifest manifest, Promise promise = Promise::given);

  /// What it is that arrived. It counts as being judged until judged() says how it was.
  [[nodiscard]] Arrived arrived(const FileArrived& file);

  /// The source that it came from, if it was good and is counted now.
  std::optional<Address> judged(const Judgement& judgement);

  void ended(const TransferEnded& end);

  /// A claim that is over, if there is one. It stays until forget().
  [[nodiscard]] std::optional<CompletedPull> completed() const;
  void forget(TransferId id);
  void forget_all();

  /// Pieces that are claimed and not verified yet, without those of `completed`, if given.
  [[nodiscard]] PieceSet in_flight(const std::optional<TransferId>& without = {}) const;

  /// Pulls in hand, and those of them that are claims.
  [[nodiscard]] std::size_t size() const { return pulls_.size(); }
  [[nodiscard]] std::size_t claims() const;
  [[nodiscard]] bool is_manifest_on_the_way() const;
  [[nodiscard]] bool is_any_running() const;
  [[nodiscard]] std::vector<Token> tokens() const;  ///< Of the claims.

 private:
  struct Pull {
    Claim claim;
    Promise promise = Promise::given;
    bool awaits_manifest = false;
    std::set<PieceNumber> awaited;
    // A source may name a file twice: it is judged once at a time.
    std::set<std::optional<PieceNumber>> being_judged;  // Nothing: the manifest.
    bool was_corrupt = false;
    std::optional<TransferEnded> end;
  };

  std::map<TransferId, Pull> pulls_;
  PieceSet in_flight_;
};

}  // namespace libsync
