#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "libsync/core/escaped_text.h"
#include "programs/report.h"

namespace libsync {
namespace {

// One line of a metric. `labels` stand in braces, or are empty.
struct Sample {
  std::string labels;
  double value = 0;
};

// Text from outside as a label. The value is UTF-8 without control characters, as in JSON, and the
// format has escapes of its own for `\` and `"`.
std::string label(std::string_view name, std::string_view value) {
  std::string quoted;
  for (const char byte : escaped(value)) {
    if (byte == '\\' || byte == '"') quoted += '\\';
    quoted += byte;
  }
  return fmt::format("{}=\"{}\"", name, quoted);
}

// All metrics are gauges: hosts join and leave a run, so that even sums over hosts may fall.
void append(std::string& text, std::string_view name, std::string_view help,
            const std::vector<Sample>& samples) {
  text += fmt::format("# HELP sync_fanout_{0} {1}\n# TYPE sync_fanout_{0} gauge\n", name, help);
  for (const auto& [labels, value] : samples) {
    const auto braced = labels.empty() ? "" : fmt::format("{{{}}}", labels);
    text += fmt::format("sync_fanout_{}{} {}\n", name, braced, value);
  }
}

void append(std::string& text, std::string_view name, std::string_view help, double value) {
  append(text, name, help, std::vector<Sample>{{"", value}});
}

double number(std::size_t count) { return static_cast<double>(count); }

void append_fleet(std::string& text, const Status& status) {
  append(text, "fleet_hosts", "Known hosts: seen by Redis in the last ten minutes, or not",
         {{label("state", "seen"), number(seen_count(status))},
          {label("state", "silent"), number(status.silent.size())}});
  const auto count = [&](std::string HostStatus::*fault) {
    return number(static_cast<std::size_t>(
        std::count_if(status.hosts.begin(), status.hosts.end(),
                      [&](const HostStatus& host) { return !(host.*fault).empty(); })));
  };
  append(text, "no_feed_hosts", "Hosts that serve nobody", count(&HostStatus::feed_fault));
  append(text, "hook_failed_hosts", "Hosts of the run in progress whose --after-publish failed",
         count(&HostStatus::hook_fault));
  append(text, "task_set", "1 if the key task holds a path", status.task.empty() ? 0 : 1);
}

void append_run(std::string& text, const Status& status) {
  append(text, "run_active", "1 if a run is in progress", status.run ? 1 : 0);
  const auto progress = status.run ? progress_of(status) : Progress{};
  append(text, "run_stuck_seconds", "Since when nothing has moved in a stuck run, 0 without one",
         in_seconds(progress.stuck_for.value_or(std::chrono::milliseconds(0))));
  if (!status.run) return;
  const auto& run = *status.run;
  const auto& cut = run.run.cut;
  append(text, "run_info", "The run in progress",
         {{label("run", run.run.id.text()) + "," + label("path", run.run.task.text()), 1}});
  append(text, "run_age_seconds", "Since the run began", in_seconds(run.age));
  append(text, "run_payload_bytes", "Size of the payload", static_cast<double>(cut.stream_bytes));
  append(text, "run_expected_hosts", "Hosts that the run expects to finish", number(run.expected));
  std::vector<Sample> groups;
  for (const auto group : kHostGroups) {
    groups.push_back({label("group", name_of(group)), number(progress.count(group))});
  }
  append(text, "run_hosts", "Hosts of the run, each in one group", groups);
  append(text, "run_done_ratio", "The part of the bytes that all expected hosts have, up to 1",
         progress.flow.done);
  append(text, "run_placed_bytes", "Bytes that all hosts together have in place",
         progress.placed_bytes);
  append(text, "run_other_version", "1 if another version of sync-fanout began the run",
         run.format == RunFormat::other ? 1 : 0);
}

void append_last(std::string& text, const LastStatus& last) {
  const bool is_refused = last.outcome == "refused";
  append(text, "last_run_info", "How the last run, or refused task, ended",
         {{label("path", last.path) + "," + label("outcome", last.outcome), 1}});
  append(text, "last_run_complete", "1 if every host had finished at that end, 0 after a refusal",
         last.outcome == "complete" ? 1 : 0);
  append(text, "last_run_end_age_seconds", "Since that end", in_seconds(last.ended_ago));
  if (is_refused) return;
  append(text, "last_run_expected_hosts", "Hosts that the run expected", number(last.expected));
  append(text, "last_run_finished_hosts", "Hosts that had finished", number(last.finished));
  append(text, "last_run_payload_bytes", "Size of the payload", static_cast<double>(last.bytes));
  append(text, "last_run_duration_seconds", "From its begin to its end", in_seconds(last.took));
  append(text, "last_run_hook_failed_hosts", "Hosts whose --after-publish failed",
         number(hook_failed_of(last).size()));
}

}  // namespace

std::string report_metrics(const Status& status) {
  std::string text;
  append_fleet(text, status);
  append_run(text, status);
  if (status.last) append_last(text, *status.last);
  return text;
}

}  // namespace libsync
