#pragma once

// The output of `status`: a snapshot of the run, for a person or for a program.
//
// Pure functions of a snapshot. They escape all text from outside. The JSON has a version, which
// changes when a field changes its meaning; a new field does not change it.

#include <optional>
#include <string>

#include "libsync/core/address.h"
#include "libsync/observer.h"

namespace libsync {

/// The state of a host as a person sees it.
enum class HostState { waiting, pulling, finished, failed };

/// A host has failed if it reported an error and does not pull.
[[nodiscard]] HostState state_of(const HostStatus& host);

/// The form of the output.
enum class ReportFormat { text, json };

/// The report in a form. With `host`, it shows only that host's part.
[[nodiscard]] std::string report(const Status& status, const std::optional<Address>& host,
                                 ReportFormat format);

/// Lines for a terminal.
[[nodiscard]] std::string report_text(const Status& status, const std::optional<Address>& host);

/// One JSON object, on one line. With `host`, `hosts` has only that one.
[[nodiscard]] std::string report_json(const Status& status, const std::optional<Address>& host);

}  // namespace libsync
