#include "programs/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "libsync/core/escaped_text.h"
#include "libsync/core/name_list.h"

namespace libsync {
namespace {

// Changes when the meaning of a field does.
constexpr int kJsonVersion = 1;
// Most addresses in a line of text; some 200 columns. JSON has them all.
constexpr std::size_t kShown = 12;

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

std::string shown_bytes(double bytes) {
  for (const auto* const unit : {"B", "kB", "MB", "GB"}) {
    if (bytes < 1000) return fmt::format("{:.4g} {}", bytes, unit);
    bytes /= 1000;
  }
  return fmt::format("{:.4g} TB", bytes);
}

double seconds(std::chrono::milliseconds time) {
  return std::chrono::duration<double>(time).count();
}

// The progress of the whole run, by a snapshot.
struct Progress {
  std::map<HostState, std::vector<const HostStatus*>> hosts;
  double done = 0;  // Fraction of the bytes that all expected hosts need.
  double bytes_per_second = 0;
  std::optional<double> seconds_left;
};

Progress progress_of(const Status& status) {
  Progress progress;
  double pieces = 0;
  for (const auto& host : status.hosts) {
    if (!host.is_expected && host.claims == 0 && !host.finished_after) continue;
    progress.hosts[state_of(host)].push_back(&host);
    pieces += host.in_place;
  }
  if (!status.run) return progress;
  const auto& cut = status.run->run.cut;
  const double needed = static_cast<double>(cut.pieces()) *
                        static_cast<double>(std::max<std::size_t>(1, status.run->expected));
  const double age = std::max(0.001, seconds(status.run->age));
  progress.done = std::min(1.0, pieces / needed);
  progress.bytes_per_second = pieces / cut.pieces() * static_cast<double>(cut.stream_bytes) / age;
  if (progress.done > 0) progress.seconds_left = age * (1 - progress.done) / progress.done;
  return progress;
}

std::string addresses(const std::vector<const HostStatus*>& hosts) {
  std::vector<std::string> names;
  names.reserve(hosts.size());
  for (const auto* const host : hosts) names.push_back(host->address);
  return name_list(names, kShown);
}

std::string run_text(const RunStatus& run, const Progress& progress) {
  const auto count = [&](HostState state) {
    const auto found = progress.hosts.find(state);
    return found == progress.hosts.end() ? 0 : found->second.size();
  };
  const auto& cut = run.run.cut;
  auto text = fmt::format(
      "run      {} for {:.1f} s\n"
      "payload  {}, {}, {} pieces of {}, {} announced\n"
      "hosts    {} expected: {} waiting, {} pulling, {} finished, {} failed\n"
      "sources  {} free\n"
      "done     {:.1f} %, {}/s in all",
      run.run.state == RunState::staged ? "staged" : "staging", seconds(run.age),
      escaped(run.run.task.name()), shown_bytes(static_cast<double>(cut.stream_bytes)),
      cut.pieces(), shown_bytes(static_cast<double>(std::min(cut.piece_bytes, cut.stream_bytes))),
      run.announced, run.expected, count(HostState::waiting), count(HostState::pulling),
      count(HostState::finished), count(HostState::failed), run.free_sources, progress.done * 100,
      shown_bytes(progress.bytes_per_second));
  if (progress.seconds_left)
    text += fmt::format(", expected end in {:.0f} s", *progress.seconds_left);
  text += '\n';
  if (run.format == RunFormat::other) {
    text += "version  another version of sync-fanout began this run: `del task` ends it\n";
  }
  if (!run.missing.empty()) text += fmt::format("missing  {}\n", name_list(run.missing, kShown));
  if (!run.silent.empty()) {
    text += fmt::format("silent   {} (known, and not expected)\n", name_list(run.silent, kShown));
  }
  for (const auto& [state, hosts] : progress.hosts) {
    if (state == HostState::failed) continue;
    text += fmt::format("{:<8} {}\n", name_of(state), addresses(hosts));
  }
  if (const auto failed = progress.hosts.find(HostState::failed); failed != progress.hosts.end()) {
    for (const auto* const host : failed->second) {
      text += fmt::format("failed   {}: {}\n", host->address, escaped(host->error));
    }
  }
  return text;
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream stream(text);
  for (std::string word; stream >> word;) words.push_back(escaped(word));
  return words;
}

std::string last_text(const LastStatus& last) {
  auto text = fmt::format("last     {} {}", escaped(last.path), escaped(last.outcome));
  if (last.outcome != "refused") {
    text += fmt::format(": {} of {} hosts, {} in {:.1f} s", last.finished, last.expected,
                        shown_bytes(static_cast<double>(last.bytes)), seconds(last.took));
  }
  if (const auto silent = words_of(last.silent); !silent.empty()) {
    text += fmt::format("; {} known hosts silent: {}", silent.size(), name_list(silent, kShown));
  }
  if (!last.reason.empty()) text += fmt::format(": {}", escaped(last.reason));
  return text + fmt::format(", {:.0f} s ago\n", seconds(last.ended_ago));
}

std::string host_text(const HostStatus& host) {
  auto text =
      fmt::format("host     {} {}, {} pieces in place, {} pulls, {} uploads\n", host.address,
                  name_of(state_of(host)), host.in_place, host.claims, host.uploads);
  if (!host.error.empty()) text += fmt::format("error    {}\n", escaped(host.error));
  return text;
}

nlohmann::json host_json(const HostStatus& host) {
  nlohmann::json json = {{"address", host.address},          {"state", name_of(state_of(host))},
                         {"pieces_in_place", host.in_place}, {"pulls", host.claims},
                         {"uploads", host.uploads},          {"expected", host.is_expected}};
  if (host.finished_after) json["finished_after_seconds"] = seconds(*host.finished_after);
  if (host.seen_ago) json["seen_seconds_ago"] = seconds(*host.seen_ago);
  if (!host.error.empty()) json["error"] = escaped(host.error);
  return json;
}

nlohmann::json run_json(const RunStatus& run, const Progress& progress) {
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
      {"age_seconds", seconds(run.age)},
      {"hosts_expected", run.expected},
      {"missing", run.missing},
      {"silent", run.silent},
      {"sources_free", run.free_sources},
      {"done_fraction", progress.done},
      {"bytes_per_second", progress.bytes_per_second},
      {"other_version", run.format == RunFormat::other},
  };
  for (const auto state :
       {HostState::waiting, HostState::pulling, HostState::finished, HostState::failed}) {
    const auto found = progress.hosts.find(state);
    json[fmt::format("hosts_{}", name_of(state))] =
        found == progress.hosts.end() ? 0 : found->second.size();
  }
  if (progress.seconds_left) json["seconds_left"] = *progress.seconds_left;
  return json;
}

}  // namespace

HostState state_of(const HostStatus& host) {
  if (host.finished_after) return HostState::finished;
  if (host.is_running) return HostState::pulling;
  return host.error.empty() ? HostState::waiting : HostState::failed;
}

std::string report(const Status& status, const std::optional<Address>& host, ReportFormat format) {
  return format == ReportFormat::json ? report_json(status, host) : report_text(status, host);
}

std::string report_text(const Status& status, const std::optional<Address>& host) {
  std::string text =
      status.task.empty() ? "task     none\n" : fmt::format("task     {}\n", escaped(status.task));
  if (host) {
    const auto found =
        std::find_if(status.hosts.begin(), status.hosts.end(),
                     [&](const HostStatus& one) { return one.address == host->text(); });
    return text + (found == status.hosts.end()
                       ? fmt::format("host     {} is not known\n", host->text())
                       : host_text(*found));
  }
  if (status.run) text += run_text(*status.run, progress_of(status));
  if (status.last) text += last_text(*status.last);
  return text;
}

std::string report_json(const Status& status, const std::optional<Address>& host) {
  nlohmann::json json = {{"version", kJsonVersion}};
  json["task"] = status.task.empty() ? nlohmann::json() : nlohmann::json(escaped(status.task));
  json["run"] = status.run ? run_json(*status.run, progress_of(status)) : nlohmann::json();
  if (status.last) {
    const auto& last = *status.last;
    json["last"] = {{"path", escaped(last.path)},
                    {"outcome", escaped(last.outcome)},
                    {"reason", escaped(last.reason)},
                    {"hosts_finished", last.finished},
                    {"hosts_expected", last.expected},
                    {"bytes", last.bytes},
                    {"silent", words_of(last.silent)},
                    {"seconds", seconds(last.took)},
                    {"ended_seconds_ago", seconds(last.ended_ago)}};
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
    if (!host || one.address == host->text()) json["hosts"].push_back(host_json(one));
  }
  return json.dump() + "\n";
}

}  // namespace libsync
