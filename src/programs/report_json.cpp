#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "libsync/core/escaped_text.h"
#include "programs/report.h"

namespace libsync {
namespace {

// Changes when the meaning of a field does.
constexpr int kJsonVersion = 1;

// The name of a group as a key: `never_came`.
std::string key_of(HostGroup group) {
  std::string key(name_of(group));
  std::replace(key.begin(), key.end(), ' ', '_');
  return key;
}

nlohmann::json host_json(const HostStatus& host) {
  nlohmann::json json = {{"address", host.address},          {"state", name_of(state_of(host))},
                         {"pieces_in_place", host.in_place}, {"pulls", host.claims},
                         {"uploads", host.uploads},          {"expected", host.is_expected}};
  if (host.finished_after) json["finished_after_seconds"] = in_seconds(*host.finished_after);
  if (host.seen_ago) json["seen_seconds_ago"] = in_seconds(*host.seen_ago);
  if (!host.work.empty()) json["work"] = escaped(host.work);
  if (!host.error.empty()) json["error"] = escaped(host.error);
  if (!host.feed_fault.empty()) json["feed_fault"] = escaped(host.feed_fault);
  if (!host.hook_fault.empty()) json["hook_fault"] = escaped(host.hook_fault);
  return json;
}

nlohmann::json run_json(const RunStatus& run, const Progress& progress, const EndRules& rules) {
  nlohmann::json json = {
      {"id", run.run.id.text()},
      {"state", run.run.state == RunState::staged ? "staged" : "staging"},
      {"path", escaped(run.run.task.text())},
      {"name", escaped(run.run.task.name())},
      {"bytes", run.run.cut.stream_bytes},
      {"piece_bytes", run.run.cut.piece_bytes},
      {"pieces", run.run.cut.pieces()},
      {"pieces_announced", run.announced},
      {"origin", run.run.origin.text()},
      {"age_seconds", in_seconds(run.age)},
      {"hosts_expected", run.expected},
      {"missing", run.missing},
      {"silent", run.silent},
      {"sources_free", run.free_sources},
      {"done_fraction", progress.flow.done},
      {"bytes_per_second", progress.bytes_per_second},
      {"other_version", run.format == RunFormat::other},
  };
  for (const auto state :
       {HostState::waiting, HostState::pulling, HostState::finished, HostState::failed}) {
    std::size_t count = 0;
    for (const auto& [group, hosts] : progress.hosts) {
      count += static_cast<std::size_t>(
          std::count_if(hosts.begin(), hosts.end(),
                        [&](const HostStatus* host) { return state_of(*host) == state; }));
    }
    json[fmt::format("hosts_{}", name_of(state))] = count;
  }
  for (const auto group : kHostGroups) json["groups"][key_of(group)] = progress.count(group);
  if (progress.flow.seconds_left) json["seconds_left"] = *progress.flow.seconds_left;
  json["bytes_per_second_now"] = progress.flow.bytes_per_second;
  json["stuck_seconds"] = nullptr;
  if (progress.stuck_for) {
    json["stuck_seconds"] = in_seconds(*progress.stuck_for);
    json["stuck_reason"] = why_stuck(run, progress, rules);
  }
  return json;
}

}  // namespace

std::string report_json(const Status& status, const ReportFrame& frame) {
  nlohmann::json json = {{"version", kJsonVersion}};
  json["redis"] = escaped(frame.server);
  json["prefix"] = escaped(frame.prefix);
  json["fleet"] = {{"seen", seen_count(status)}, {"silent", status.silent}};
  json["task"] = status.task.empty() ? nlohmann::json() : nlohmann::json(escaped(status.task));
  json["work"] = status.work.empty() ? nlohmann::json() : nlohmann::json(escaped(status.work));
  json["run"] =
      status.run ? run_json(*status.run, progress_of(status), frame.rules) : nlohmann::json();
  if (status.last) {
    const auto& last = *status.last;
    json["last"] = {{"path", escaped(last.path)},
                    {"outcome", escaped(last.outcome)},
                    {"reason", escaped(last.reason)},
                    {"hosts_finished", last.finished},
                    {"hosts_expected", last.expected},
                    {"bytes", last.bytes},
                    {"silent", last.silent},
                    {"seconds", in_seconds(last.took)},
                    {"ended_seconds_ago", in_seconds(last.ended_ago)}};
    json["last"]["missing"] = nlohmann::json::array();
    json["last"]["hook_failed"] = hook_failed_of(last);
    for (const auto& one : last.hosts) {
      if (one.has_finished) continue;
      nlohmann::json missing = {{"address", one.address}};
      if (!one.error.empty()) missing["error"] = escaped(one.error);
      json["last"]["missing"].push_back(std::move(missing));
    }
    if (last.outcome == "refused") {
      for (const auto* const none : {"hosts_finished", "hosts_expected", "bytes", "seconds"}) {
        json["last"][none] = nullptr;
      }
    }
  } else {
    json["last"] = nullptr;
  }
  json["hosts"] = nlohmann::json::array();
  for (const auto& one : status.hosts) {
    if (frame.host && one.address != frame.host->text()) continue;
    auto host = host_json(one);
    if (status.run) host["group"] = key_of(group_of(one));
    json["hosts"].push_back(std::move(host));
  }
  if (!frame.own.empty()) json["here"] = nlohmann::json::parse(frame.own);
  return json.dump() + "\n";
}

std::string report_json_without_redis(const std::string& reason, const ReportFrame& frame) {
  const nlohmann::json json = {{"version", kJsonVersion},
                               {"redis", escaped(frame.server)},
                               {"prefix", escaped(frame.prefix)},
                               {"redis_error", escaped(reason)},
                               {"here", nlohmann::json::parse(frame.own)}};
  return json.dump() + "\n";
}

}  // namespace libsync
