#pragma once

// The search for whole pieces in an old payload, at any offset.
//
// While the search is open, the host holds the pieces that it has not found at their own offsets,
// and pulls none of them. It begins once the master has announced all pieces, because their sums
// are needed. If the master needs several seconds for that, the host searches nothing and pulls.
//
// A piece that is found becomes a piece file of the spool, so this host serves it as if it had been
// pulled. The search also tells where the old bytes around it lie (old_copy.h).
//
// A thread of its own reads the old payload. Belongs to one thread. Death in the middle leaves
// verified pieces in the spool.

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

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
    FoundPieces pieces;  ///< Verified, and in the spool.
  };

  OldSearch(Spool spool, Cut cut);
  ~OldSearch();

  // --- At their own offsets ---

  /// The host has compared a piece with the old range at its own offset. True if it should compare
  /// no more, because none was equal.
  [[nodiscard]] bool compared(bool is_equal);

  /// Becomes true when compared() does, for comparisons that wait for a thread.
  [[nodiscard]] std::shared_ptr<const std::atomic<bool>> is_enough() const { return is_enough_; }

  /// Whether a piece was equal there, or was found.
  [[nodiscard]] Likeness likeness() const { return likeness_; }

  // --- Anywhere ---

  /// Holds pieces from now on. `location`: the old payload.
  void open(Location location);
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
  Location location_;
  bool is_open_ = false;
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
