#pragma once

// What `status` prints: a snapshot of the run, for a person or for a program.
//
// Pure functions of a snapshot. Everything from outside is escaped. The JSON carries a version,
// which changes when the meaning of a field does; fields may be added.

#include <optional>
#include <string>

#include "libsync/core/address.h"
#include "libsync/observer.h"

namespace libsync {

enum class HostState { waiting, pulling, finished, failed };

/// Failed: it said why, and does not pull.
[[nodiscard]] HostState state_of(const HostStatus& host);

/// Lines for a terminal, or one JSON object for a program.
enum class ReportFormat { text, json };

[[nodiscard]] std::string report(const Status& status, const std::optional<Address>& host,
                                 ReportFormat format);

/// Lines for a terminal. With `host`, only that host's part.
[[nodiscard]] std::string report_text(const Status& status, const std::optional<Address>& host);

/// One JSON object, on one line.
[[nodiscard]] std::string report_json(const Status& status, const std::optional<Address>& host);

}  // namespace libsync
