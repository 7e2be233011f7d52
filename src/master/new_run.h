#pragma once

// A run to be: what Redis and the spool are to hold of it, made once from its payload.
//
// The manifest is encoded here and nowhere else in the master, and its digest and the fingerprints
// are computed here. A later tick reads all of them back from the spool (records.h).

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "libsync/core/config.h"
#include "libsync/core/run_record.h"
#include "libsync/run.h"
#include "store/payload.h"

namespace libsync {

/// A payload as it was first seen, and where.
struct Original {
  TaskPath task;
  Location place;
  Payload payload;
};

/// The host that fills a run's first spool, and how: set by the configuration.
struct OriginTerms {
  Address origin;
  OriginKind kind;
};

/// What the configuration and the host say of every run.
struct RunTerms {
  OriginTerms origin;
  MasterId master;
  std::string prefix;
  PieceSize piece_size;
  std::size_t expected_count = 0;
  std::vector<std::string> expected_hosts;
};

/// `self`: the address under which the rsync daemon of this host is reached.
[[nodiscard]] RunTerms terms_of(const MasterConfig& config, const Address& self,
                                const MasterId& master);

struct NewRun {
  RunInfo info;
  RunRecord record;      ///< Prepared.
  std::string manifest;  ///< Encoded.
};

/// The piece size of a spool that holds this content already; nothing if there is none.
using KnownPieceBytes = std::function<std::optional<std::uint64_t>(const Fingerprint& content)>;

/// Refuses a payload that cannot be cut, or whose manifest is too long.
[[nodiscard]] std::variant<NewRun, Refusal> make_run(const Original& source, const RunTerms& terms,
                                                     const KnownPieceBytes& known);

/// What is announced of a run. `encoded`: the manifest, encoded.
[[nodiscard]] RunInfo info_of(const RunRecord& record, const Fingerprint& fingerprint,
                              const Manifest& manifest, std::string_view encoded,
                              const OriginTerms& origin, const MasterId& master);

}  // namespace libsync
