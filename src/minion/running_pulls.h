#pragma once

// The pulls of a download, from an assignment to the events of its transfer.
//
// A pull whose pieces begin with old bytes starts when a thread has filled their files (prefill.h).
// Until then it has its number, and can be ended like any other.
//
// A file that begins with bytes arrives when its pull has ended well, and not before. rsync finds
// blocks by a weak sum, and sometimes a false one. Then the sum of the whole file is wrong, but
// rsync has named the file already. It writes the file again as its last act before it exits.
//
// Belongs to one thread. Throws as Transfer does.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libsync/run.h"
#include "libsync/transfer.h"
#include "minion/assignment.h"
#include "minion/old_copy.h"
#include "minion/prefill.h"
#include "store/spool.h"

namespace libsync {

class RunningPulls {
 public:
  /// `transfer` must outlive it.
  RunningPulls(Transfer& transfer, Spool spool, RunInfo run);

  [[nodiscard]] TransferId start(const Assignment& assignment, const Basis& basis);

  /// Transfer::end().
  void end(TransferId id, const std::string& reason);

  /// The events since the last call, those of other transfers as well.
  [[nodiscard]] std::vector<TransferEvent> collect();

  void append_descriptors(std::vector<int>& descriptors) const;

  /// The work that keeps pulls from their start, for a person; empty if there is none.
  [[nodiscard]] std::string work() const { return prefill_.work(); }

 private:
  // The last word of rsync about each file that began with bytes, by name.
  using Held = std::map<std::string, std::optional<FileArrived>>;

  [[nodiscard]] Prefill::Pull begin(TransferId id);
  [[nodiscard]] static Held begun_files(const PullRequest& request);
  // Where a file is held; null if it began empty.
  [[nodiscard]] std::optional<FileArrived>* held(const FileArrived& file);
  void collect(TransferEvent event, std::vector<TransferEvent>& events);
  void release(const TransferEnded& ended, std::vector<TransferEvent>& events);
  [[nodiscard]] PullRequest request_for(const Assignment& assignment) const;

  Transfer& transfer_;
  Spool spool_;
  RunInfo run_;
  std::map<TransferId, PullRequest> preparing_;
  std::map<TransferId, Held> held_;
  std::vector<TransferEvent> unstarted_;  // The ends of pulls that never began.
  Prefill prefill_;
};

}  // namespace libsync
