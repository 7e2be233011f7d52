// The verbs for people: status and pulse, and lists of hosts in pages, so that no call holds Redis
// up.

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "redis/answer.h"
#include "redis/coordinator.h"
#include "redis/pulse_answer.h"

namespace libsync {
namespace {

// A field of sync:moves that begins so has the work of a host.
constexpr std::string_view kWork = "work ";
// The field that has the work of the master, behind the time when it said so. That is true for so
// long at most: 30000 in people_calls.lua.
constexpr std::string_view kMastersWork = "master";
constexpr std::chrono::seconds kWorkLasts{30};

// Other programs may have written any value, and status only shows it.
template <typename Number>
Number number_or_zero(const std::string& value) {
  return parse_number<Number>(value).value_or(0);
}

// A list of hosts, and what its value says of one. The times are in ms since 1970.
struct List {
  const char* name;
  void (*note)(HostStatus& host, const std::string& value, const StatusAnswer& answer);
};
constexpr std::array kLists = {
    List{"progress",
         [](HostStatus& host, const std::string& value, const StatusAnswer&) {
           host.in_place = number_or_zero<PieceNumber>(value);
           host.has_joined = true;
         }},
    List{"pulls", [](HostStatus& host, const std::string& value,
                     const StatusAnswer&) { host.claims = number_or_zero<std::size_t>(value); }},
    List{"uploads", [](HostStatus& host, const std::string& value,
                       const StatusAnswer&) { host.uploads = number_or_zero<std::size_t>(value); }},
    List{"done",
         [](HostStatus& host, const std::string& value, const StatusAnswer& answer) {
           host.has_joined = true;
           if (const auto time = parse_number<std::uint64_t>(value)) {
             host.finished_after = answer.since_the_begin(*time);
           }
         }},
    List{"errors",
         [](HostStatus& host, const std::string& value, const StatusAnswer&) {
           host.error = value;
           host.has_joined = true;
         }},
    List{"waiting", [](HostStatus&, const std::string&, const StatusAnswer&) {}},
    List{"minions",
         [](HostStatus& host, const std::string& value, const StatusAnswer& answer) {
           if (const auto time = parse_number<std::uint64_t>(value)) {
             host.seen_ago = answer.until_now(*time);
           }
         }},
    List{"expected", [](HostStatus& host, const std::string&,
                        const StatusAnswer&) { host.is_expected = true; }},
    List{"joined", [](HostStatus& host, const std::string&,
                      const StatusAnswer&) { host.is_expected = true; }},
    List{"ticking",
         [](HostStatus& host, const std::string&, const StatusAnswer&) {
           host.is_ticking = true;
           host.has_joined = true;
         }},
    List{"unfed", [](HostStatus& host, const std::string& value,
                     const StatusAnswer&) { host.feed_fault = value; }},
    List{"hooks", [](HostStatus& host, const std::string& value,
                     const StatusAnswer&) { host.hook_fault = value; }},
};

// The work of the master, by "WHEN TEXT".
std::string masters_work(const std::string& said, const StatusAnswer& answer) {
  const auto space = std::min(said.find(' '), said.size());
  const auto time = parse_number<std::uint64_t>(said.substr(0, space));
  if (!time || answer.until_now(*time) > kWorkLasts) return {};
  return said.substr(std::min(space + 1, said.size()));
}

[[noreturn]] void throw_restless() {
  throw Failure(ExitStatus::redis, Remedy::try_again,
                "runs begin and end while their hosts are listed: ask again");
}

}  // namespace

std::optional<RedisCoordinator::HostValues> RedisCoordinator::list(const std::string& run,
                                                                   const std::string& key) {
  HostValues all;
  for (std::string cursor = "0";;) {
    const auto page = try_call("hosts", {run, key, cursor});
    if (!page) return std::nullopt;
    AnswerReader reader(*page);
    if (reader.text() != "HOSTS") return std::nullopt;
    cursor = reader.text();
    while (!reader.at_end()) {
      const auto& host = reader.text();
      all.emplace_back(host, reader.text());
    }
    if (cursor == "0") return all;
  }
}

bool RedisCoordinator::list_hosts(const std::string& run, StatusAnswer& answer) {
  std::map<std::string, HostStatus> hosts;
  for (const auto& [name, note] : kLists) {
    const auto found = list(run, name);
    if (!found) return false;
    for (const auto& [host, value] : *found) note(hosts[host], value, answer);
  }
  const auto running = list(run, "running");
  const auto silent = list(run, "silent");
  const auto moves = list(run, "moves");
  if (!running || !silent || !moves) return false;
  // A host that pulls is known by another list, or its run has ended.
  for (const auto& [host, value] : *running) {
    if (const auto known = hosts.find(host); known != hosts.end()) known->second.is_running = true;
  }
  for (const auto& [field, text] : *moves) {
    if (field == kMastersWork) answer.status.work = masters_work(text, answer);
    if (!field.starts_with(kWork)) continue;
    const auto known = hosts.find(field.substr(kWork.size()));
    if (known != hosts.end()) known->second.work = text;
  }
  for (const auto& [host, seen] : *silent) answer.status.silent.push_back(escaped(host));
  for (auto& [address, host] : hosts) {
    host.address = escaped(address);
    answer.status.hosts.push_back(std::move(host));
  }
  return true;
}

bool RedisCoordinator::list_last_hosts(const std::string& run, LastStatus& last) {
  std::map<std::string, LastHost> hosts;
  const auto collect = [&](const char* name, void (*note)(LastHost&, const std::string&)) {
    const auto found = list(run, name);
    if (!found) return false;
    for (const auto& [host, value] : *found) note(hosts[host], value);
    return true;
  };
  const auto name_only = [](LastHost&, const std::string&) {};
  if (!collect("last_expected", name_only)) return false;
  if (last.rule != "named" && !collect("last_others", name_only)) return false;
  const auto finish = [](LastHost& host, const std::string&) { host.has_finished = true; };
  if (!collect("last_done", finish)) return false;
  // These two add no host.
  const auto explain = [&](const char* name, std::string LastHost::*reason) {
    const auto found = list(run, name);
    if (!found) return false;
    for (const auto& [host, value] : *found) {
      if (const auto known = hosts.find(host); known != hosts.end()) known->second.*reason = value;
    }
    return true;
  };
  if (!explain("last_errors", &LastHost::error)) return false;
  if (!explain("last_hooks", &LastHost::hook_fault)) return false;
  for (auto& [address, host] : hosts) {
    host.address = escaped(address);
    last.hosts.push_back(std::move(host));
  }
  return true;
}

Status RedisCoordinator::status() {
  for (int attempt = 0; attempt < kListAttempts; ++attempt) {
    const auto value = try_call("status", {});
    // No master has ever run here. status() changes nothing, so it loads no functions.
    if (!value) return {.task = task_or_nothing().value_or("")};
    auto answer = read_status(*value);
    auto& status = answer.status;
    if (!list_hosts(answer.run, answer)) continue;
    const bool has_hosts = status.last && status.last->outcome != "refused";
    if (has_hosts && !list_last_hosts(answer.run, *status.last)) continue;
    if (!status.run) return status;
    const auto waits = hosts_awaited();
    const auto now = pulse();
    if (!waits || waits->run != answer.run || !now.run) continue;
    status.run->missing = waits->hosts.missing;
    status.run->silent = waits->hosts.silent;
    status.run->moves = now.run->moves;
    return status;
  }
  throw_restless();
}

std::optional<RedisCoordinator::RunAwaited> RedisCoordinator::hosts_awaited() {
  for (int attempt = 0; attempt < kListAttempts; ++attempt) {
    const auto answer = try_call("awaited", {});
    if (!answer) return std::nullopt;
    AnswerReader reader(*answer);
    if (reader.text() != "AWAITED") throw_not_understood("the answer to awaited");
    RunAwaited awaited{.run = reader.text()};
    if (awaited.run.empty()) return std::nullopt;
    awaited.hosts.finished = reader.number<std::size_t>();
    awaited.hosts.expected = reader.number<std::size_t>();
    if (name_awaited(awaited, reader.text())) return awaited;
  }
  throw_restless();
}

std::optional<Awaited> RedisCoordinator::awaited() {
  auto awaited = hosts_awaited();
  if (!awaited) return std::nullopt;
  return std::move(awaited->hosts);
}

bool RedisCoordinator::name_awaited(RunAwaited& awaited, std::string_view rule) {
  std::set<std::string> expected;
  std::set<std::string> silent;
  const auto collect = [&](const char* name, std::set<std::string>& into) {
    const auto found = list(awaited.run, name);
    if (!found) return false;
    for (const auto& [host, value] : *found) {
      if (Address::parse(host)) into.insert(host);
    }
    return true;
  };
  // Finished hosts come last: a host that finishes meanwhile is not missing.
  std::set<std::string> done;
  if (!collect("expected", expected)) return false;
  if (rule != "named" && !(collect("others", expected) && collect("joined", expected))) {
    return false;
  }
  // With an inventory or a number the operator has said which hosts count.
  if (rule == "0" && !collect("silent", silent)) return false;
  if (!collect("done", done)) return false;
  std::set_difference(expected.begin(), expected.end(), done.begin(), done.end(),
                      std::back_inserter(awaited.hosts.missing));
  expected.merge(done);
  std::set_difference(silent.begin(), silent.end(), expected.begin(), expected.end(),
                      std::back_inserter(awaited.hosts.silent));
  return true;
}

Pulse RedisCoordinator::pulse() {
  const auto answer = try_call("pulse", {});
  // No master has ever run here, or one of an older version. The next tick loads the functions.
  if (!answer) return {.task = task_or_nothing().value_or(""), .run = {}, .last = {}};
  return read_pulse(*answer);
}

}  // namespace libsync
