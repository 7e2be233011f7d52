#pragma once

// A new run, as Redis and the spool will hold it, made once from its payload.
//
// Only this file of the master encodes the manifest and computes its digest and the fingerprints. A
// later tick reads them back from the spool (records.h). Only random_name() touches the outside.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "libsync/core/config.h"
#include "libsync/core/run_record.h"
#include "libsync/core/spread.h"
#include "libsync/master_coordinator.h"
#include "libsync/run.h"
#include "store/payload.h"
#include "store/uncarried.h"

namespace libsync {

/// A payload on the master's disk, as the master listed it.
struct Original {
  TaskPath task;
  Location location;
  Payload payload;
};

/// The host that fills a run's first spool, and the way it gets the pieces.
struct OriginTerms {
  Address origin;
  OriginKind kind;
};

/// The values that every run of this master shares: from the configuration and the host.
struct RunTerms {
  OriginTerms origin;
  MasterId master;
  std::string prefix;
  PieceSize piece_size;
  std::size_t expected_count = 0;  ///< 0 if unknown, or if hosts are named.
  std::vector<std::string> expected_hosts;
};

/// `self` is the address under which peers reach the rsync daemon of this host.
[[nodiscard]] RunTerms terms_of(const MasterConfig& config, const Address& self,
                                const MasterId& master);

/// The hosts that the run of this record waits for, by the configuration now. Without a number or
/// an inventory these are the hosts that were expected when it began.
[[nodiscard]] Expected expected_of(const RunTerms& terms, const RunRecord& record);

/// A run that has not begun, ready for MasterRecords::prepare().
struct NewRun {
  RunInfo info;
  RunRecord record;      ///< Its standing is prepared.
  std::string manifest;  ///< Encoded.
};

/// The piece size of a spool that holds this content already; nothing if there is none.
using KnownPieceBytes = std::function<std::optional<std::uint64_t>(const Fingerprint& content)>;

/// Refuses a payload that cannot be cut, or whose manifest is too long.
[[nodiscard]] std::variant<NewRun, Refusal> make_run(const Original& original,
                                                     const RunTerms& terms,
                                                     const KnownPieceBytes& known);

/// A warning if a run that spreads by claims asks more of Redis than it has time for. Empty if not.
[[nodiscard]] std::string warning_of_claims(Spread spread, const Cut& cut, std::size_t hosts);

/// A warning that names what of the payload is not carried. Empty if all of it is.
[[nodiscard]] std::string warning_of_losses(const TaskPath& task, std::size_t hard_linked_files,
                                            const Uncarried& uncarried);

/// A run as it is announced. `encoded` is the encoded form of `manifest`.
[[nodiscard]] RunInfo info_of(const RunRecord& record, const Fingerprint& fingerprint,
                              const Manifest& manifest, std::string_view encoded,
                              const OriginTerms& origin, const MasterId& master);

}  // namespace libsync
