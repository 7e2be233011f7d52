#include "programs/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "libsync/core/escaped_text.h"
#include "libsync/core/host_ranges.h"
#include "libsync/core/outcome.h"
#include "libsync/core/shown_number.h"
#include "libsync/core/time.h"
#include "programs/reason_lines.h"

namespace libsync {
namespace {

// Most hosts whose work has a line.
constexpr std::size_t kWorkShown = 5;

std::string where_text(const ReportFrame& frame) {
  const auto prefix =
      frame.prefix.empty() ? "" : fmt::format(", prefix '{}'", escaped(frame.prefix));
  return fmt::format("redis    {}{}\n", escaped(frame.server), prefix);
}

std::string fleet_text(const Status& status) {
  auto text = fmt::format("fleet    {} hosts seen in ten minutes", seen_count(status));
  if (!status.silent.empty()) {
    text += fmt::format("; {} silent: {}", status.silent.size(),
                        host_ranges(status.silent, kHostsShown));
  }
  return text + "\n";
}

std::string progress_text(const RunStatus& run, const Progress& progress, const EndRules& rules) {
  auto text = fmt::format("done     {:.1f} %", progress.flow.done * 100);
  if (progress.stuck_for) {
    return fmt::format("{}, stuck for {:.0f} s: {}\n", text, in_seconds(*progress.stuck_for),
                       why_stuck(run, progress, rules));
  }
  text += fmt::format(", {}/s in all now", shown_bytes(progress.flow.bytes_per_second));
  if (progress.flow.seconds_left) {
    text += fmt::format(", expected end in {:.0f} s", *progress.flow.seconds_left);
  }
  return text + "\n";
}

std::string faults_text(const Status& status, std::string HostStatus::*fault,
                        const std::string& label) {
  HostsByReason hosts;
  for (const auto& host : status.hosts) {
    if (!(host.*fault).empty()) hosts[host.*fault].push_back(host.address);
  }
  return reason_lines(label, hosts);
}

// The work of the master on its own disk.
std::string masters_work_text(const Status& status) {
  return status.work.empty() ? "" : fmt::format("work     the master: {}\n", escaped(status.work));
}

// The work of hosts on their own disks.
std::string work_text(const Progress& progress) {
  std::string text;
  std::size_t count = 0;
  for (const auto& [group, hosts] : progress.hosts) {
    for (const auto* const host : hosts) {
      if (!is_at_work(host)) continue;
      if (++count > kWorkShown) continue;
      text += fmt::format("work     {}: {}\n", host->address, escaped(host->work));
    }
  }
  if (count > kWorkShown) text += fmt::format("work     {} hosts more\n", count - kWorkShown);
  return text;
}

std::string groups_text(const Progress& progress) {
  std::string text;
  for (const auto group : kHostGroups) {
    const auto found = progress.hosts.find(group);
    if (found == progress.hosts.end()) continue;
    std::vector<std::string> names;
    HostsByReason by_reason;
    for (const auto* const host : found->second) {
      names.push_back(host->address);
      by_reason[host->error].push_back(host->address);
    }
    text += group == HostGroup::failed
                ? reason_lines("failed", by_reason)
                : fmt::format("{:<8} {}\n", name_of(group), host_ranges(names, kHostsShown));
  }
  return text;
}

std::string counts_text(const Progress& progress) {
  std::string text;
  for (const auto group : kHostGroups) {
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {}", progress.count(group), name_of(group));
  }
  return text;
}

std::string run_text(const Status& status, const EndRules& rules) {
  const auto& run = *status.run;
  const auto progress = progress_of(status);
  const auto& cut = run.run.cut;
  auto text = fmt::format(
      "run      {} of {}, {} for {:.1f} s\n"
      "payload  {}, {} pieces of {}, {} announced\n"
      "hosts    {} expected: {}\n"
      "sources  {} free\n",
      run.run.id.text(), escaped(run.run.task.text()),
      run.run.state == RunState::staged ? "staged" : "staging", in_seconds(run.age),
      shown_bytes(static_cast<double>(cut.stream_bytes)), cut.pieces(),
      shown_bytes(static_cast<double>(std::min(cut.piece_bytes, cut.stream_bytes))), run.announced,
      run.expected, counts_text(progress), run.free_sources);
  text += progress_text(run, progress, rules);
  if (run.format == RunFormat::other) {
    text += "version  another version of sync-fanout began this run: `del task` ends it\n";
  }
  if (!run.missing.empty())
    text += fmt::format("missing  {}\n", host_ranges(run.missing, kHostsShown));
  return text + masters_work_text(status) + work_text(progress) + groups_text(progress);
}

std::string last_text(const LastStatus& last) {
  auto text = fmt::format("last     {} {}", escaped(last.path),
                          outcome_text(last.outcome, hook_failed_of(last)));
  if (last.outcome != "refused") {
    text += fmt::format(": {} of {} hosts, {} in {:.1f} s", last.finished, last.expected,
                        shown_bytes(static_cast<double>(last.bytes)), in_seconds(last.took));
  }
  if (!last.silent.empty()) {
    text += fmt::format("; {} known hosts silent: {}", last.silent.size(),
                        host_ranges(last.silent, kHostsShown));
  }
  if (!last.reason.empty()) text += fmt::format(": {}", escaped(last.reason));
  text += fmt::format(", {:.0f} s ago\n", in_seconds(last.ended_ago));
  HostsByReason hooks;
  for (const auto& host : last.hosts) {
    if (!host.hook_fault.empty()) hooks[host.hook_fault].push_back(host.address);
  }
  return text + missing_lines(last) + reason_lines("hook", hooks);
}

std::string host_text(const Status& status, const Address& address) {
  const auto found =
      std::find_if(status.hosts.begin(), status.hosts.end(),
                   [&](const HostStatus& one) { return one.address == address.text(); });
  if (found == status.hosts.end()) return fmt::format("host     {} is not known\n", address.text());
  const auto& host = *found;
  auto text =
      fmt::format("host     {} {}, {} pieces in place, {} pulls, {} uploads\n", host.address,
                  name_of(state_of(host)), host.in_place, host.claims, host.uploads);
  if (is_at_work(&host)) text += fmt::format("work     {}\n", escaped(host.work));
  if (!host.error.empty()) text += fmt::format("error    {}\n", escaped(host.error));
  if (!host.feed_fault.empty()) text += fmt::format("no feed  {}\n", escaped(host.feed_fault));
  if (!host.hook_fault.empty()) text += fmt::format("hook     {}\n", escaped(host.hook_fault));
  return text;
}

// The part of one host in the run that ended last.
std::string last_of_host_text(const Status& status, const Address& address) {
  if (!status.last) return {};
  for (const auto& host : status.last->hosts) {
    if (host.address != address.text()) continue;
    const auto reason = host.error.empty() ? "" : ": " + escaped(host.error);
    return fmt::format("last     {}, {} by this host{}\n", escaped(status.last->path),
                       host.has_finished ? "finished" : "not finished", reason);
  }
  return {};
}

}  // namespace

std::string_view name_of(HostState state) {
  switch (state) {
    case HostState::waiting:
      return "waiting";
    case HostState::pulling:
      return "pulling";
    case HostState::finished:
      return "finished";
    case HostState::failed:
      break;
  }
  return "failed";
}

HostState state_of(const HostStatus& host) {
  if (host.finished_after) return HostState::finished;
  if (host.is_running) return HostState::pulling;
  return host.error.empty() ? HostState::waiting : HostState::failed;
}

std::string missing_lines(const LastStatus& last) {
  HostsByReason missing;
  for (const auto& host : last.hosts) {
    if (host.has_finished) continue;
    missing[host.error.empty() ? "never came, or gave no reason" : host.error].push_back(
        host.address);
  }
  return reason_lines("missing", missing);
}

std::string report(const Status& status, const ReportFrame& frame, ReportFormat format) {
  if (format == ReportFormat::metrics) return report_metrics(status);
  return format == ReportFormat::json ? report_json(status, frame) : report_text(status, frame);
}

std::string report_without_redis(const std::string& reason, const ReportFrame& frame,
                                 ReportFormat format) {
  if (format == ReportFormat::json) return report_json_without_redis(reason, frame);
  return fmt::format("redis    {}\n{}", reason, frame.own);
}

std::string report_text(const Status& status, const ReportFrame& frame) {
  auto text = where_text(frame);
  if (!frame.host) text += fleet_text(status);
  text +=
      status.task.empty() ? "task     none\n" : fmt::format("task     {}\n", escaped(status.task));
  if (frame.host) {
    return text + host_text(status, *frame.host) + last_of_host_text(status, *frame.host) +
           frame.own;
  }
  text += status.run ? run_text(status, frame.rules) : masters_work_text(status);
  text += faults_text(status, &HostStatus::feed_fault, "no feed");
  text += faults_text(status, &HostStatus::hook_fault, "hook");
  if (status.last) text += last_text(*status.last);
  return text;
}

std::vector<std::string> hook_failed_of(const LastStatus& last) {
  std::vector<std::string> hosts;
  for (const auto& host : last.hosts) {
    if (!host.hook_fault.empty()) hosts.push_back(host.address);
  }
  return hosts;
}

bool is_in_trouble(const Status& status) {
  if (status.run && progress_of(status).stuck_for) return true;
  if (status.run || !status.last) return false;
  return status.last->outcome != "complete" && status.last->outcome != "refused";
}

}  // namespace libsync
