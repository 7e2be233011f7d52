#pragma once

// The master's records: the spools on its own disk, and the payload.
//
// The disk holds the truth about a run, not Redis: its id, its path, the announced digests, the
// expected hosts, and whether it has ended. MasterRecords reads and writes these. It decides
// nothing (plan.h does) and does not log.
//
// A death between any two acts leaves a spool that a later tick understands. The run record is
// written first, durably, and each other file proves itself by its content. All functions throw
// Failure (local) when the disk fails.

#include <chrono>
#include <filesystem>
#include <optional>
#include <stop_token>
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

/// Whether the staging needs the payload, because the spool alone does not suffice.
enum class Needed { no, yes };

/// The spools of one master. `state` must outlive it. It belongs to the thread of the master. The
/// functions that list a payload call `on_entry`, and throw Stopped once `stop` is requested.
class MasterRecords {
 public:
  MasterRecords(const StateFolder& state, std::filesystem::path repo, std::string prefix,
                std::vector<std::filesystem::path> source_roots, std::stop_token stop = {},
                OnEntry on_entry = {})
      : state_(state),
        repo_(std::move(repo)),
        prefix_(std::move(prefix)),
        source_roots_(std::move(source_roots)),
        stop_(std::move(stop)),
        on_entry_(std::move(on_entry)) {}

  /// The payload that a task names, or the reason why it cannot be distributed. Throws Failure if
  /// its --source-root cannot be opened: it may not be mounted yet.
  [[nodiscard]] std::variant<Original, Refusal> find(const TaskPath& task) const;

  /// The same, with that Failure as a value.
  [[nodiscard]] std::variant<Original, Refusal, Failure> find_if_reachable(
      const TaskPath& task) const;

  /// The piece size of a spool that has these contents already; nothing if there is none.
  [[nodiscard]] std::optional<std::uint64_t> piece_bytes_of(const Fingerprint& content) const;

  /// Prepares the run's spool with all that a later tick needs. Pieces of an earlier run stay;
  /// their digests stay on record if `stamps` are the same. Throws Failure (try_again) if the disk
  /// has no space for the missing pieces.
  void prepare(const NewRun& run, const std::vector<Stamp>& stamps) const;

  /// Whether the spool of a staged run lacks pieces, say after a power cut. Compares sizes only.
  [[nodiscard]] bool lacks_pieces(const RunRecord& owner) const;

  /// The record of the run in progress, if its spool is ours; else of a run that has not ended.
  [[nodiscard]] std::optional<RunRecord> own_run(const Watch& watch) const;

  /// The run that a spool was made for. Nothing if the spool is damaged, or if its manifest does
  /// not match its fingerprint (which does not cover owners and holes).
  [[nodiscard]] std::optional<RunInfo> describe(const RunRecord& owner,
                                                const OriginTerms& terms) const;

  /// The payload; nothing if it has changed since the run was prepared. If its --source-root cannot
  /// be opened, it throws Failure where the payload is `needed`, and returns nothing otherwise.
  [[nodiscard]] std::optional<Original> unchanged_original(const RunRecord& owner,
                                                           Needed needed) const;

  /// Whether the same path holds another payload now. A missing payload is not another one.
  [[nodiscard]] bool has_other_contents(const RunRecord& owner) const;

  /// The spool of a run; nothing if this master has none.
  [[nodiscard]] std::optional<Spool> spool_of(const RunId& run) const;

  /// Replaces the run record, durably: the expected hosts or the standing changed.
  void write(const RunRecord& owner) const;

  /// The same for a run that goes on under another id.
  void rename(RunRecord owner, const RunId& as) const;

  /// Leaves the spool of a run.
  void drop(const RunId& run) const;

  /// Leaves the spools of runs that ended with every host.
  void drop_ended() const;

  /// Leaves all spools but this one. Returns a line for each spool of another version, which goes,
  /// and for each of another prefix, which goes after a week.
  [[nodiscard]] std::vector<std::string> drop_all_but(
      const Fingerprint& kept, std::chrono::system_clock::time_point now) const;

 private:
  void check_space(const Spool& spool, const RunInfo& run) const;

  const StateFolder& state_;
  std::filesystem::path repo_;
  std::string prefix_;
  std::vector<std::filesystem::path> source_roots_;
  std::stop_token stop_;
  OnEntry on_entry_;
};

}  // namespace libsync
