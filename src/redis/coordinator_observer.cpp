// Lists of hosts, for people: in pages, so that no call holds Redis up.

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "libsync/core/failure.h"
#include "redis/answer.h"
#include "redis/coordinator.h"

namespace libsync {
namespace {

constexpr int kAttempts = 5;  // To list the hosts of one run, while runs begin and end.

// A key that lists hosts, and the element of read_host() that its values are.
struct List {
  const char* key;
  std::size_t element;
  bool is_number;
};
constexpr std::size_t kElements = 9;
constexpr std::size_t kNone = 0;  // The key only names its hosts.
constexpr std::array kLists = {
    List{"progress", 1, true}, List{"pulls", 2, true},    List{"uploads", 3, true},
    List{"done", 4, false},    List{"errors", 5, false},  List{"waiting", kNone, false},
    List{"minions", 6, false}, List{"expected", 7, true}, List{"joined", 7, true},
    List{"running", 8, true},
};

// Other programs may have written any value, and status only shows it.
std::string shown(const List& list, std::string value) {
  if (!list.is_number || parse_number<PieceNumber>(value)) return value;
  return "0";
}

[[noreturn]] void throw_restless() {
  throw Failure(ExitStatus::redis, Remedy::try_again,
                "runs begin and end while their hosts are listed: ask again");
}

}  // namespace

std::optional<std::vector<std::pair<std::string, std::string>>> RedisCoordinator::list(
    const std::string& run, const std::string& key) {
  std::vector<std::pair<std::string, std::string>> all;
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

bool RedisCoordinator::append_hosts(RedisValue::Array& answer) {
  std::string run;
  if (!answer.empty()) {
    AnswerReader reader(answer.front());
    run = AnswerFields(reader).text_or_empty("id");
  }
  std::map<std::string, std::array<std::string, kElements>> hosts;
  for (const auto& one : kLists) {
    auto found = list(run, one.key);
    if (!found) return false;
    for (auto& [host, value] : *found) {
      // A host that pulls is known by another list, or its run has ended.
      if (one.key == std::string_view("running") && !hosts.contains(host)) continue;
      auto& elements = hosts[host];
      if (one.element != kNone) elements.at(one.element) = shown(one, std::move(value));
    }
  }
  for (auto& [host, elements] : hosts) {
    RedisValue::Array row{{host}};
    for (std::size_t i = 1; i < kElements; ++i) {
      const bool is_text = i == 4 || i == 5 || i == 6;
      row.push_back({!is_text && elements.at(i).empty() ? "0" : std::move(elements.at(i))});
    }
    answer.push_back({std::move(row)});
  }
  return true;
}

Status RedisCoordinator::status() {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto answer = try_call("status", {});
    // No master has ever run here. status() changes nothing, so it loads no functions.
    if (!answer) return {.task = task_or_nothing().value_or("")};
    auto* const elements = std::get_if<RedisValue::Array>(&answer->value);
    if (elements != nullptr && !append_hosts(*elements)) continue;
    auto status = read_status(*answer);
    if (!status.run) return status;
    const auto waits = hosts_awaited();
    if (!waits || waits->run != status.run->run.id.text()) continue;
    status.run->missing = waits->hosts.missing;
    status.run->silent = waits->hosts.silent;
    return status;
  }
  throw_restless();
}

std::optional<RedisCoordinator::RunAwaited> RedisCoordinator::hosts_awaited() {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
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

}  // namespace libsync
