#pragma once

// The guard: what Redis says of a run is what the spool of its master says.
//
// Programs other than the master can write to a Redis without users, or with too many rights. The
// spool is the truth (records.h), so the master corrects in Redis what differs. It compares when
// its tick begins, every 10 s, and before it ends a run. The guard does not log.

#include <optional>
#include <string>
#include <vector>

#include "libsync/core/run_record.h"
#include "libsync/core/time.h"
#include "libsync/master_coordinator.h"
#include "master/new_run.h"
#include "master/records.h"

namespace libsync {

/// Guards the runs of one master. It belongs to the thread of the master; references must outlive
/// it.
class RunGuard {
 public:
  RunGuard(MasterCoordinator& coordinator, const MasterRecords& records, const RunTerms& terms)
      : coordinator_(coordinator), records_(records), terms_(terms) {}

  /// Whether the next comparison is due.
  [[nodiscard]] bool is_due(Instant now) const { return now >= due_; }

  /// Compares the run of this spool, has silent hosts judged, and returns the keys that differed.
  /// The record changes if the run goes on under another id. A run that has ended, or whose spool
  /// is damaged, is left alone.
  [[nodiscard]] std::vector<std::string> compare(const RunRecord& owner, Instant now);

 private:
  MasterCoordinator& coordinator_;
  const MasterRecords& records_;
  const RunTerms& terms_;
  std::optional<RunInfo> run_;  // The last run that was compared: its manifest is costly to read.
  Instant due_;
  bool has_expected_ = false;  // Whether Redis knows what this tick expects.
};

}  // namespace libsync
