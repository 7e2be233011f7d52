#pragma once

// What the master's own disk says about a run: the spools that it keeps, and the source.
//
// The truth about a run is here, not in Redis: which run it is, of which path, what was announced,
// who was expected, and whether it has ended. MasterRecords reads and writes that; it decides
// nothing (master_plan.h) and tells nobody.
//
// Death between any two of its acts leaves a spool that a later tick understands: the owner is
// written first, durably, and everything else is found by what it contains. Failures throw (local).

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "libsync/core/failure.h"
#include "libsync/core/run_record.h"
#include "libsync/core/task.h"
#include "libsync/master_coordinator.h"
#include "master/new_run.h"
#include "store/payload.h"
#include "store/spool.h"
#include "store/state_folder.h"

namespace libsync {

/// Whether the spool does not suffice without the source.
enum class Needed { no, yes };

class MasterRecords {
 public:
  MasterRecords(const StateFolder& state, std::filesystem::path repo, std::string prefix,
                std::vector<std::filesystem::path> source_roots)
      : state_(state),
        repo_(std::move(repo)),
        prefix_(std::move(prefix)),
        source_roots_(std::move(source_roots)) {}

  /// The payload that a task names, or why it cannot be distributed. Throws Failure if its
  /// --source-root cannot be opened: it may not be mounted yet.
  [[nodiscard]] std::variant<Original, Refusal> find(const TaskPath& task) const;

  /// The same, with that Failure as a value.
  [[nodiscard]] std::variant<Original, Refusal, Failure> find_if_reachable(
      const TaskPath& task) const;

  /// The piece size of a spool that has these contents already.
  [[nodiscard]] std::optional<std::uint64_t> piece_bytes_of(const Fingerprint& content) const;

  /// Puts everything that a later tick needs into the run's spool, as prepared. Pieces of an
  /// earlier run stay if the source is the very same. Throws Failure if there is no space for the
  /// others.
  void prepare(const NewRun& run, const std::vector<Stamp>& stamps) const;

  /// Whether the spool of a run lacks pieces that were announced: after a power cut, say.
  [[nodiscard]] bool lacks_pieces(const RunRecord& owner) const;

  /// The run in progress, if its spool is ours; else one of ours that has not ended.
  [[nodiscard]] std::optional<RunRecord> own_run(const Watch& watch) const;

  /// The run that a spool was made for; nothing if the spool is damaged, or its list of files is
  /// not the one that its fingerprint was made of (owners and holes are in none).
  [[nodiscard]] std::optional<RunInfo> describe(const RunRecord& owner,
                                                const OriginTerms& terms) const;

  /// The source, if nothing about it has changed since the run was prepared. One that is `needed`
  /// and cannot be reached is a Failure; else there is none.
  [[nodiscard]] std::optional<Original> unchanged_original(const RunRecord& owner,
                                                           Needed needed) const;

  /// Whether the same path holds another payload now. One that is gone has not become another.
  [[nodiscard]] bool has_other_contents(const RunRecord& owner) const;

  [[nodiscard]] std::optional<Spool> spool_of(const RunId& run) const;

  /// Writes down who is expected, or how the run stands.
  void write(const RunRecord& owner) const;

  /// Gives up the spool of a run.
  void drop(const RunId& run) const;

  /// Gives up the spools of runs that ended with every host.
  void drop_ended() const;

  /// Gives up all spools but this one.
  void drop_all_but(const Fingerprint& kept) const;

 private:
  void check_space(const Spool& spool, const RunInfo& run) const;

  const StateFolder& state_;
  std::filesystem::path repo_;
  std::string prefix_;
  std::vector<std::filesystem::path> source_roots_;
};

}  // namespace libsync
