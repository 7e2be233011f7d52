#include "programs/progress.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace libsync {
namespace {

using std::chrono::milliseconds;

// A run whose hosts have placed nothing for this long is stuck.
constexpr std::chrono::seconds kStuck{30};
// A disk at work places nothing for so long at most. After that a call of the disk has hung.
constexpr std::chrono::hours kLongestWork{1};
// A large piece may need longer. A pull below this rate is a fault.
constexpr double kSlowPull = 1e6;  // Bytes in a second.
// As SILENT_MS and SEEN_MS of context.lua.
constexpr std::chrono::seconds kSilentInTick{30};
constexpr std::chrono::minutes kSilent{10};

// For how long nothing has moved.
milliseconds quiet_for(const RunStatus& run) { return run.moves.moved_ago.value_or(run.age); }

// How long nothing may move before the run counts as stuck.
milliseconds patience_of(const RunStatus& run, bool is_pulling) {
  const auto bytes =
      static_cast<double>(std::min(run.run.cut.piece_bytes, run.run.cut.stream_bytes));
  const auto piece = milliseconds(static_cast<std::int64_t>(1000 * bytes / kSlowPull));
  return is_pulling ? std::max<milliseconds>(kStuck, piece) : kStuck;
}

// The rule that ends the run although hosts are missing.
std::string way_out(const RunStatus& run, const EndRules& rules) {
  std::vector<std::string> rest;
  if (rules.quorum_percent) rest.push_back(fmt::format("--quorum {} %", *rules.quorum_percent));
  if (rules.deadline) {
    const auto left = in_seconds(*rules.deadline - run.age);
    rest.push_back(left > 0 ? fmt::format("--deadline in {:.0f} s", left) : "--deadline, now over");
  }
  if (!rest.empty()) return fmt::format("it ends by {}", fmt::join(rest, " and "));
  return fmt::format("no --deadline: `del task` ends it, or another task after {:.0f} s",
                     in_seconds(rules.grace));
}

}  // namespace

std::string_view name_of(HostGroup group) {
  switch (group) {
    case HostGroup::finished:
      return "finished";
    case HostGroup::failed:
      return "failed";
    case HostGroup::never_came:
      return "never came";
    case HostGroup::silent:
      return "silent";
    case HostGroup::pulling:
      return "pulling";
    case HostGroup::waiting:
      break;
  }
  return "waiting";
}

HostGroup group_of(const HostStatus& host) {
  if (host.finished_after) return HostGroup::finished;
  if (!host.error.empty() && !host.is_running) return HostGroup::failed;
  if (!host.has_joined) return HostGroup::never_came;
  const auto patience = host.is_ticking ? milliseconds(kSilentInTick) : milliseconds(kSilent);
  if (host.seen_ago.value_or(milliseconds::max()) > patience) return HostGroup::silent;
  return host.is_running ? HostGroup::pulling : HostGroup::waiting;
}

std::size_t Progress::count(HostGroup group) const {
  const auto found = hosts.find(group);
  const auto named = found == hosts.end() ? 0 : found->second.size();
  return group == HostGroup::never_came ? named + nameless : named;
}

Flow flow_of(double pieces, double piece_bytes, std::size_t expected, double placed,
             std::size_t placed_lately, double span) {
  const auto needed = pieces * static_cast<double>(std::max<std::size_t>(1, expected));
  Flow flow{.done = std::min(1.0, placed / needed),
            .bytes_per_second = static_cast<double>(placed_lately) * piece_bytes / span,
            .seconds_left = std::nullopt};
  if (flow.bytes_per_second > 0) {
    flow.seconds_left = std::max(0.0, needed - placed) * piece_bytes / flow.bytes_per_second;
  }
  return flow;
}

Progress progress_of(const Status& status) {
  const auto& run = *status.run;
  Progress progress;
  double pieces = 0;
  std::size_t named = 0;
  for (const auto& host : status.hosts) {
    if (!host.is_expected && host.claims == 0 && !host.finished_after) continue;
    progress.hosts[group_of(host)].push_back(&host);
    pieces += host.in_place;
    if (host.is_expected || host.finished_after) ++named;
  }
  progress.nameless = run.expected - std::min(run.expected, named);
  const auto& cut = run.run.cut;
  const auto piece_bytes = static_cast<double>(cut.stream_bytes) / cut.pieces();
  const auto age = std::max(0.001, in_seconds(run.age));
  progress.placed_bytes = pieces * piece_bytes;
  progress.bytes_per_second = progress.placed_bytes / age;
  progress.flow = flow_of(cut.pieces(), piece_bytes, run.expected, pieces, run.moves.placed_lately,
                          std::min(age, in_seconds(kLately)));
  const bool is_complete = progress.count(HostGroup::finished) >= run.expected;
  const bool is_any_at_work =
      !status.work.empty() ||
      std::any_of(progress.hosts.begin(), progress.hosts.end(), [](const auto& group) {
        return std::any_of(group.second.begin(), group.second.end(), is_at_work);
      });
  const auto patience = is_any_at_work ? milliseconds(kLongestWork)
                                       : patience_of(run, progress.count(HostGroup::pulling) > 0);
  if (!is_complete && quiet_for(run) >= patience) progress.stuck_for = quiet_for(run);
  return progress;
}

bool is_at_work(const HostStatus* host) {
  const auto group = group_of(*host);
  return !host->work.empty() && (group == HostGroup::pulling || group == HostGroup::waiting);
}

bool is_seen(const HostStatus& host) { return host.seen_ago && *host.seen_ago <= kSilent; }

std::size_t seen_count(const Status& status) {
  return static_cast<std::size_t>(std::count_if(status.hosts.begin(), status.hosts.end(), is_seen));
}

std::string why_stuck(const RunStatus& run, const Progress& progress, const EndRules& rules) {
  std::vector<std::string> awaited;
  for (const auto group : {HostGroup::failed, HostGroup::never_came, HostGroup::silent}) {
    const auto hosts = progress.count(group);
    if (hosts == 0) continue;
    awaited.push_back(group == HostGroup::never_came ? fmt::format("{} that never came", hosts)
                                                     : fmt::format("{} {}", hosts, name_of(group)));
  }
  const auto pulling = progress.count(HostGroup::pulling);
  if (pulling > 0 && run.moves.of_one_source > 0) {
    awaited.push_back(fmt::format("{} pieces that only the origin {} has", run.moves.of_one_source,
                                  run.run.origin.text()));
  }
  if (run.run.state == RunState::staging) awaited.emplace_back("the master to cut the payload");
  if (awaited.empty()) {
    awaited.push_back(fmt::format("{} waiting", progress.count(HostGroup::waiting)));
  }
  return fmt::format("{}; waits for {}; {}",
                     pulling == 0 ? "nobody pulls" : fmt::format("{} hosts pull", pulling),
                     fmt::join(awaited, ", "), way_out(run, rules));
}

}  // namespace libsync
