#pragma once

// Staging: the master cuts a payload into its spool and announces every piece.
//
// A piece is copied into the spool, hashed there, and announced as soon as that is done, so the
// first minion starts while the master still reads. The last piece is held back, and the run
// becomes `staged`, only after the whole payload was listed again and is what it was when it was
// first seen; what was announced before can then not be published by anybody.
//
// With a push, pieces are announced once the target host has them; its minion verifies them.
//
// A staging that takes over from an earlier tick keeps the pieces whose digest is on record and
// still right, and cuts the others. If all had been announced already, the spool is the truth, and
// the source is looked at only for pieces of it that are damaged.
//
// Stepped, as a Download is. Copying and hashing run on threads of its own. Failure: local; redis,
// with the state intact; no_source if a push does not get through.

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "feed/probe.h"
#include "libsync/clock.h"
#include "libsync/master_coordinator.h"
#include "libsync/transfer.h"
#include "master/records.h"
#include "store/spool.h"
#include "store/state_folder.h"

namespace libsync {

class Workers;

struct StagedAll {
  std::uint64_t bytes = 0;
};

/// The source is not what it was when it was first seen.
struct OriginalChanged {
  std::string reason;
};

/// The run is over, or another one has begun.
struct StagingStale {};

using StagingEnd = std::variant<StagedAll, OriginalChanged, StagingStale>;

/// What an earlier tick has put on record in the spool.
struct StagingRecord {
  std::map<PieceNumber, Digest> digests;
  bool is_complete = false;  ///< All pieces were announced, and the source had not changed.
  bool is_torn = false;      ///< Its last line was not written to the end.

  [[nodiscard]] static StagingRecord read(const Spool& spool);
};

class Staging {
 public:
  /// `source`: nothing if it need not be looked at, the record being complete.
  Staging(MasterCoordinator& coordinator, Transfer& transfer, Clock& clock,
          const StateFolder& state, RunInfo run, std::optional<Original> source);
  ~Staging();

  [[nodiscard]] std::optional<StagingEnd> step();

  void append_descriptors(std::vector<int>& descriptors) const;
  [[nodiscard]] Instant next_due() const;

  /// Why this host's daemon does not serve the spool, once that is known. To be told once.
  [[nodiscard]] std::optional<std::string> take_probe_fault();

  /// Pieces announced so far.
  [[nodiscard]] PieceNumber announced() const {
    return static_cast<PieceNumber>(announced_.size());
  }

 private:
  struct Cutting;

  void begin();
  void take_cut(const StagedPiece& piece);
  void take_transfers();
  void take_pushed(const TransferEnded& ended);
  void push();
  void announce();
  void check_source();
  [[nodiscard]] bool is_last_missing() const;

  MasterCoordinator& coordinator_;
  Transfer& transfer_;
  Clock& clock_;
  Spool spool_;
  RunInfo run_;
  StagingRecord record_;
  std::shared_ptr<const Cutting> cutting_;  // Shared with the threads, and never changed.

  std::vector<StagedPiece> cut_;  // In the spool, and (with a push) not pushed.
  std::vector<StagedPiece> to_announce_;
  std::set<PieceNumber> announced_;
  std::optional<std::string> changed_;  // Why.
  bool is_gone_ = false;
  bool is_checked_ = false;
  bool is_checking_ = false;

  Probe probe_;
  std::optional<std::string> probe_fault_;
  std::optional<TransferId> push_;
  std::vector<StagedPiece> being_pushed_;
  bool manifest_is_pushed_ = false;
  std::size_t failed_pushes_ = 0;
  Instant push_again_;

  std::unique_ptr<Workers> workers_;  // Last: its threads use all of the above.
};

}  // namespace libsync
