#pragma once

// The output of `status`: a snapshot of the fleet and its run, for a person or for a program.
//
// Pure functions of a snapshot. They escape all text from outside. The JSON has a version, which
// changes when a field changes its meaning; a new field does not change it. A metric keeps its
// meaning as long as it keeps its name.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libsync/core/address.h"
#include "libsync/observer.h"
#include "programs/progress.h"

namespace libsync {

/// The state of a host in JSON. HostGroup says more.
enum class HostState { waiting, pulling, finished, failed };

/// A host has failed if it reported an error and does not pull.
[[nodiscard]] HostState state_of(const HostStatus& host);

/// For a program and for a person.
[[nodiscard]] std::string_view name_of(HostState state);

/// The form of the output.
enum class ReportFormat { text, json, metrics };

/// All that a report shows beside the snapshot.
struct ReportFrame {
  std::string server;           ///< The URL of Redis without its password.
  std::string prefix;           ///< In front of every key.
  EndRules rules;               ///< The rules of the master that reports.
  std::optional<Address> host;  ///< Show this host alone; nothing: all.
  std::string own{};            ///< The part of this host's disk (own_report.h) in the same form.
};

/// The report in a form.
[[nodiscard]] std::string report(const Status& status, const ReportFrame& frame,
                                 ReportFormat format);

/// The report of a host while Redis does not answer, for this reason.
[[nodiscard]] std::string report_without_redis(const std::string& reason, const ReportFrame& frame,
                                               ReportFormat format);

/// Lines for a terminal.
[[nodiscard]] std::string report_text(const Status& status, const ReportFrame& frame);

/// One JSON object, on one line. With a host in the frame, `hosts` has only that one.
[[nodiscard]] std::string report_json(const Status& status, const ReportFrame& frame);

[[nodiscard]] std::string report_json_without_redis(const std::string& reason,
                                                    const ReportFrame& frame);

/// The hosts whose --after-publish failed.
[[nodiscard]] std::vector<std::string> hook_failed_of(const LastStatus& last);

/// A line for each reason for which hosts did not finish the last run. Empty if all did.
[[nodiscard]] std::string missing_lines(const LastStatus& last);

/// Metrics in the text format of Prometheus, for the textfile collector of node_exporter. None of
/// them names a host, so their number does not grow with the fleet.
[[nodiscard]] std::string report_metrics(const Status& status);

/// Whether an operator has to act: the run is stuck, or the last one ended without every host.
[[nodiscard]] bool is_in_trouble(const Status& status);

}  // namespace libsync
