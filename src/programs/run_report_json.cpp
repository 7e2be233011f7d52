#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "libsync/core/escaped_text.h"
#include "programs/run_report.h"

namespace libsync {
namespace {

// Changes when the meaning of a field does.
constexpr int kJsonVersion = 1;

// The name of a delay as a key: `slow_link`.
std::string key_of(Delay delay) {
  std::string key(name_of(delay));
  std::replace(key.begin(), key.end(), ' ', '_');
  return key;
}

nlohmann::json pulls_json(const Pulls& pulls) {
  return {{"wire_bytes", pulls.wire_bytes},
          {"pieces_pulled", pulls.pieces},
          {"pulls_failed", pulls.failed},
          {"pulls_duplicate", pulls.twice}};
}

nlohmann::json slow_json(const HostAccount& host, const RunAccount& account, const Measured& run) {
  return {{"address", host.address.text()},
          {"delay", key_of(delay_of(host, account, run.fastest))},
          {"why", why_slow(host, account, run.fastest)}};
}

nlohmann::json host_json(const HostAccount& host, const RunAccount& account, const Measured& run) {
  auto json = slow_json(host, account, run);
  json["expected"] = host.is_expected;
  json["came"] = host.has_come;
  json["gave_account"] = host.has_account;
  json["pieces_in_place"] = host.placed;
  const auto set_time = [&](const char* name, const std::optional<Duration>& time) {
    if (time) json[name] = in_seconds(*time);
  };
  set_time("joined_seconds", host.joined);
  set_time("first_byte_seconds", host.first_byte);
  set_time("all_bytes_seconds", host.last_byte);
  set_time("in_place_seconds", host.in_place);
  set_time("published_seconds", host.published);
  if (host.has_account) json.update(pulls_json(host.pulls));
  if (host.pulls.bytes_per_second > 0) json["bytes_per_second"] = host.pulls.bytes_per_second;
  json["sources"] = nlohmann::json::array();
  for (const auto& [source, pieces] : host.shares) {
    json["sources"].push_back({{"address", source.text()}, {"pieces", pieces}});
  }
  if (!host.error.empty()) json["error"] = escaped(host.error);
  if (!host.reason.empty()) json["pull_error"] = escaped(host.reason);
  return json;
}

nlohmann::json run_json(const RunAccount& account) {
  return {{"id", account.run.text()},
          {"path", escaped(account.path)},
          {"outcome", escaped(account.outcome)},
          {"reason", escaped(account.reason)},
          {"bytes", account.cut.stream_bytes},
          {"piece_bytes", account.cut.piece_bytes},
          {"pieces", account.cut.pieces()},
          {"trees", account.has_trees},
          {"origin", account.origin ? nlohmann::json(account.origin->text()) : nlohmann::json()},
          {"begun_unix_seconds", static_cast<double>(account.begun_ms) / 1000},
          {"seconds", in_seconds(account.took)},
          {"hosts_finished", account.finished},
          {"hosts_expected", account.expected}};
}

nlohmann::json bound_json(const Measured& run) {
  if (!run.bound) return {};
  nlohmann::json json = {{"seconds", in_seconds(*run.bound)},
                         {"hosts", run.hosts},
                         {"bytes_per_second", *run.fastest}};
  json["reached_seconds"] = nullptr;
  json["factor"] = nullptr;
  if (run.all_had_it) json["reached_seconds"] = in_seconds(*run.all_had_it);
  if (run.factor) json["factor"] = *run.factor;
  return json;
}

}  // namespace

std::string run_report_json(const RunAccount& account) {
  const auto run = measured(account);
  nlohmann::json json = {{"version", kJsonVersion}};
  json["run"] = run_json(account);
  json["bound"] = bound_json(run);
  json["slowest"] =
      run.slowest != nullptr ? slow_json(*run.slowest, account, run) : nlohmann::json();
  json["totals"] = pulls_json(account.total);
  json["totals"]["accounts"] = account.accounts;
  json["hosts_left_out"] = account.left_out;
  json["hosts"] = nlohmann::json::array();
  for (const auto& host : account.hosts) json["hosts"].push_back(host_json(host, account, run));
  return json.dump() + "\n";
}

}  // namespace libsync
