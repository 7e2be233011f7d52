#pragma once

// The search for whole pieces in old payloads, at any offset.
//
// While the search is open, the host holds the pieces that it has not found at their own offsets,
// and pulls none of them. It begins once the master has announced all pieces, because their sums
// are needed. If the master needs several seconds for that, the host searches nothing and pulls.
// How long it waits depends on how much the release before this one had in common with its own
// predecessor (core/basis.h, Kinship).
//
// A piece that is found becomes a piece file of the spool, so this host serves it as if it had been
// pulled. The search also tells where the old bytes around it lie (old_copy.h).
//
// Sums are hints, and a hostile master may announce equal ones for all pieces. The host checks each
// piece twice at most, so it hashes at most twice the bytes of the payload.
//
// A thread of its own reads the old payloads. Belongs to one thread. Death in the middle leaves
// verified pieces in the spool.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "libsync/core/basis.h"
#include "libsync/core/pieces.h"
#include "minion/old_stream.h"
#include "minion/savings.h"
#include "os/byte_count.h"
#include "store/payload.h"
#include "store/spool.h"

namespace libsync {

class Workers;

class OldSearch {
 public:
  struct Found {
    std::shared_ptr<const OldStream> stream;
    FoundPieces pieces;               ///< Verified, and in the spool.
    std::size_t checks = 0;           ///< Ranges that were compared with the digest of a piece.
    std::uint64_t checked_bytes = 0;  ///< Their bytes.
  };

  OldSearch(Spool spool, Cut cut);
  ~OldSearch();

  // --- At their own offsets ---

  /// The host has compared a piece with the old range at its own offset. True if it should compare
  /// no more, because none was equal.
  [[nodiscard]] bool compared(PieceNumber piece, bool is_equal);

  /// Becomes true when compared() does, for comparisons that wait for a thread.
  [[nodiscard]] std::shared_ptr<const std::atomic<bool>> is_enough() const { return is_enough_; }

  /// Whether a piece was equal there, or was found.
  [[nodiscard]] Likeness likeness() const { return likeness_; }

  /// The same, or the former release was alike. For pulls, which are cheap to try.
  [[nodiscard]] Likeness expected() const {
    return kinship_ == Kinship::alike ? Likeness::shown : likeness_;
  }

  // --- Anywhere ---

  /// Holds pieces from now on. `locations`: the old payloads, and `kinship` that of the first one.
  void open(std::vector<Location> locations, Kinship kinship);
  [[nodiscard]] bool is_open() const { return is_open_; }

  /// The bytes of the old payload that the search has read.
  [[nodiscard]] std::uint64_t read_bytes() const { return *read_; }

  void hold(PieceNumber piece) { held_.insert(piece); }
  [[nodiscard]] bool holds(PieceNumber piece) const { return held_.contains(piece); }
  [[nodiscard]] PieceNumber held() const { return held_.size(); }

  /// The master has not announced all pieces yet. False if the host has asked often enough.
  [[nodiscard]] bool is_worth_waiting();

  /// Searches for the pieces; collect() calls `then` with those that are found. It is over then.
  void begin(std::vector<StagedPiece> pieces, std::function<void(Found)> then);
  [[nodiscard]] bool is_running() const { return searcher_ != nullptr; }

  /// Holds no piece any more. Returns those that it held.
  [[nodiscard]] std::vector<PieceNumber> close();

  /// Appends the descriptor that is readable when collect() has work.
  void append_descriptors(std::vector<int>& descriptors) const;
  void collect();

 private:
  Spool spool_;
  Cut cut_;
  std::vector<Location> locations_;
  Kinship kinship_ = Kinship::unknown;
  bool is_open_ = false;
  PieceSet compared_;  // At their own offsets.
  PieceSet held_;
  unsigned waits_ = 0;  // Calls of is_worth_waiting().
  Likeness likeness_ = Likeness::unknown;
  unsigned unequal_ = 0;
  std::shared_ptr<std::atomic<bool>> is_enough_ = std::make_shared<std::atomic<bool>>(false);

  std::shared_ptr<ByteCount> read_ = std::make_shared<ByteCount>(0);

  // The last member, so that its thread ends before anything that it uses. Nothing before begin().
  std::unique_ptr<Workers> searcher_;
};

}  // namespace libsync
