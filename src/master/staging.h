#pragma once

// Staging: the master cuts a payload into its spool and announces every piece.
//
// The master copies each piece into the spool, hashes it there, and announces it at once. So the
// first minion starts while the master still reads. It holds back the last piece until it has
// listed the whole payload again and found it unchanged. Only then is the run `staged`, and only a
// staged run can be published.
//
// With a push the master announces pieces once the target host has them. Its minion verifies them.
//
// A staging that continues an earlier one keeps the pieces whose digest is on record and still
// right, and cuts the others. If all pieces had been announced already, the spool is the truth: the
// master then reads the payload for damaged pieces only.
//
// A death at any point leaves complete pieces, and a record whose last line may be torn. The digest
// of a piece is on record before it is announced.

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "feed/probe.h"
#include "libsync/clock.h"
#include "libsync/core/staging_record.h"
#include "libsync/master_coordinator.h"
#include "libsync/transfer.h"
#include "master/records.h"
#include "store/spool.h"
#include "store/state_folder.h"

namespace libsync {

class Workers;

/// All pieces are announced, and the run is staged.
struct StagedAll {
  std::uint64_t bytes = 0;  ///< The length of the stream.
};

/// The payload is not as it was first listed.
struct OriginalChanged {
  std::string reason;
};

/// The run has ended, or another one has begun.
struct StagingStale {};

using StagingEnd = std::variant<StagedAll, OriginalChanged, StagingStale>;

/// The file `digests` of a spool, as earlier ticks wrote it.
[[nodiscard]] StagingRecord read_staging_record(const Spool& spool);

/// The staging of one run. The caller steps it from one thread, as the minion steps a Download;
/// threads of its own copy and hash. References must outlive it.
class Staging {
 public:
  /// `original` may be empty only if the record is complete.
  Staging(MasterCoordinator& coordinator, Transfer& transfer, Clock& clock,
          const StateFolder& state, RunInfo run, std::optional<Original> original);
  ~Staging();

  /// Does what can be done now, and never waits. Nothing while it goes on. Throws Failure: local;
  /// redis, and the step may be repeated; no_source if a push does not get through.
  [[nodiscard]] std::optional<StagingEnd> step();

  /// Appends descriptors that are readable when step() may have work.
  void append_descriptors(std::vector<int>& descriptors) const;

  /// The time of the next step if no descriptor is readable before.
  [[nodiscard]] Instant next_due() const;

  /// Why this host's daemon does not serve the spool. Returns it once; nothing if it serves.
  [[nodiscard]] std::optional<std::string> pop_probe_fault();

  /// The work of the threads, for a person: `copied 3 GB and hashed 2.9 GB of 7 GB`. Empty if they
  /// have none.
  [[nodiscard]] std::string work() const;

  /// Pieces announced so far.
  [[nodiscard]] PieceNumber announced() const {
    return static_cast<PieceNumber>(announced_.size());
  }

 private:
  struct Cutting;

  void begin();
  void on_cut(const StagedPiece& piece);
  void collect_transfers();
  void on_pushed(const TransferEnded& ended);
  void push();
  void announce();
  void check_payload();
  [[nodiscard]] bool is_last_missing() const;

  MasterCoordinator& coordinator_;
  Transfer& transfer_;
  Clock& clock_;
  Spool spool_;
  RunInfo run_;
  StagingRecord record_;
  std::shared_ptr<const Cutting> cutting_;  // Shared with the threads, and never changed.

  std::vector<StagedPiece> cut_;  // With a push: in the spool, and not pushed.
  std::vector<StagedPiece> to_announce_;
  std::set<PieceNumber> announced_;
  std::optional<std::string> changed_;  // The reason, once the payload has changed.
  bool is_stale_ = false;
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
