// sync-master: parses the options, wires the parts, and runs one tick of the master (master.h).

#include <spdlog/spdlog.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "libsync/core/run_record.h"
#include "libsync/core/state_folder_name.h"
#include "libsync/core/task.h"
#include "master/master.h"
#include "master/run_files.h"
#include "os/files.h"
#include "os/system_clock.h"
#include "programs/check_host.h"
#include "programs/hosts.h"
#include "programs/options.h"
#include "programs/report.h"
#include "programs/run_report.h"
#include "programs/run_svg.h"
#include "programs/wait.h"
#include "store/repo_facts.h"
#include "store/state_folder.h"

namespace {

using namespace libsync;

struct TypedOptions {
  TypedHostOptions host;
  std::vector<std::string> source_roots;
  std::size_t minions = 0;
  std::string inventory;
  std::string piece_size = "auto";
  std::string spread = "auto";
  std::string push_to;
  std::string push_module = "libsync-push";
  unsigned quorum = 0;
  std::string deadline;
  std::string grace = "15m";
  bool json = false;
  bool metrics = false;
  bool exit_code = false;
  std::optional<std::string> wait_path;
  std::string wait_for;
  std::string hosts_state = "seen";
  bool hosts_of_last = false;
  std::optional<std::string> report_run;
  bool report_json = false;
  std::string report_svg;
};

const std::vector<ConfigKey> kMinionKeys = {{"bwlimit", KeyKind::text},
                                            {"after-publish", KeyKind::text},
                                            {"keep-replaced", KeyKind::text},
                                            {"basis", KeyKind::text},
                                            {"owner", KeyKind::flag}};

// The options that each verb which asks Redis uses, beside its own.
const std::vector<std::string> kOptionsOfWait = {"--config", "--redis", "--redis-password-file",
                                                 "--prefix", "--repo"};
const std::vector<std::string> kOptionsOfHosts = {"--config", "--redis", "--redis-password-file",
                                                  "--prefix", "--peers"};
const std::vector<std::string> kOptionsOfStatus = {"--config", "--redis",  "--redis-password-file",
                                                   "--prefix", "--quorum", "--deadline",
                                                   "--grace"};
const std::vector<std::string> kOptionsOfCheck = {"--config",
                                                  "--redis",
                                                  "--redis-password-file",
                                                  "--prefix",
                                                  "--address",
                                                  "--repo",
                                                  "--module",
                                                  "--rsync-port",
                                                  "--rsync-user",
                                                  "--rsync-password-file",
                                                  "--peers",
                                                  "--source-root",
                                                  "--push-to"};

const std::vector<std::string> kOptionsOfReport = {"--config", "--repo"};

// Largest --minions. It is a hundred times the largest fleet that was simulated, so a larger number
// is probably mistyped.
constexpr std::uint64_t kMostHosts = 1'000'000;

std::vector<Address> read_inventory(const std::string& path) {
  constexpr std::size_t kInventoryBytes = std::size_t{16} << 20U;
  if (path.empty()) return {};
  const auto text = read_file(path, kInventoryBytes);
  if (!text) throw UsageError("--inventory", " '" + escaped(path) + "' is not there: make it");
  auto addresses = parse_inventory(*text);
  if (const auto* const refusal = std::get_if<Refusal>(&addresses)) {
    throw UsageError("--inventory", ": " + refusal->reason);
  }
  return std::get<std::vector<Address>>(std::move(addresses));
}

MasterConfig checked(const TypedOptions& typed) {
  MasterConfig config{.host = checked(typed.host)};
  for (const auto& root : typed.source_roots) {
    config.source_roots.emplace_back(root);
    if (!config.source_roots.back().is_absolute()) {
      throw UsageError("--source-root",
                       " '" + escaped(root) + "' is not an absolute path: write it from / on");
    }
  }
  if (typed.minions > 0 && !typed.inventory.empty()) {
    throw UsageError("--inventory", " and --minions both say who is expected: give one of them");
  }
  config.minions = typed.minions;
  config.inventory = read_inventory(typed.inventory);
  config.piece_size = value_or_usage_error(parse_piece_size(typed.piece_size), "--piece-size",
                                           typed.piece_size, "auto, whole, or a size such as 16M");
  config.spread = value_or_usage_error(parse_spread(typed.spread), "--spread", typed.spread,
                                       "auto, claims or trees");
  if (!typed.push_to.empty()) {
    config.push_to = value_or_usage_error(Address::parse(typed.push_to), "--push-to", typed.push_to,
                                          "a plain unicast IPv4 or IPv6 address");
    if (!is_within(*config.push_to, config.host.peers)) {
      throw UsageError("--push-to", " '" + typed.push_to +
                                        "' lies outside --peers, so no host would pull from it: "
                                        "correct one of them");
    }
  }
  config.push_module = checked_name("--push-module", typed.push_module);
  if (typed.quorum > 0) config.quorum_percent = typed.quorum;
  if (!typed.deadline.empty()) {
    config.deadline = value_or_usage_error(parse_duration(typed.deadline), "--deadline",
                                           typed.deadline, "a duration such as 30m");
  }
  config.grace = value_or_usage_error(parse_duration(typed.grace), "--grace", typed.grace,
                                      "a duration such as 15m");
  return config;
}

ExitStatus run_tick(MasterConfig config, const ConfigOrigin& origin) {
  if (config.source_roots.empty()) {
    throw UsageError("--source-root must be given: name the folders that tasks may lie in");
  }
  for (const auto& root : config.source_roots) {
    if (status_of(root)) continue;
    spdlog::warn("{}", origin.message("--source-root",
                                      " '" + escaped(root.string()) +
                                          "' is not there: make the folder, or correct the name"));
  }
  const StopSignal stop;
  SystemClock clock;
  const StateFolder state(config.host.repo);
  const auto lock = acquire_lock(state, Role::master, clock, stop);
  if (!lock) return ExitStatus::done;
  RedisCoordinator coordinator(coordinator_options(config.host));
  auto rsync = rsync_options(config.host, clock, stop);
  rsync.push_module = config.push_module;
  rsync.inherited = lock->descriptor();
  RsyncTransfer transfer(rsync, clock);
  const auto self = wait_for_own_address(config.host, coordinator, clock, stop);
  if (!self) return ExitStatus::done;
  return Master(coordinator, transfer, clock, stop, state, std::move(config), *self).tick();
}

ExitStatus print_status(const MasterConfig& config, const TypedOptions& typed) {
  RedisCoordinator coordinator(coordinator_options(config.host));
  const auto status = coordinator.status();
  const ReportFrame frame{.server = config.host.redis.shown(),
                          .prefix = config.host.prefix,
                          .rules = {config.quorum_percent, config.deadline, config.grace},
                          .host = std::nullopt};
  const auto format = typed.metrics ? ReportFormat::metrics
                      : typed.json  ? ReportFormat::json
                                    : ReportFormat::text;
  print(report(status, frame, format));
  return typed.exit_code && is_in_trouble(status) ? ExitStatus::ended_short : ExitStatus::done;
}

// Without a tick of the master on this host, nobody writes the account here.
bool is_account_due(const std::filesystem::path& repo, const std::string& run, const Clock& clock) {
  try {
    const auto files = RunFiles(repo).all();
    const bool is_there = std::any_of(files.begin(), files.end(),
                                      [&](const RunFile& file) { return file.run.text() == run; });
    const auto lock = StateFolder::lock_path(repo / kStateFolderName, Role::master);
    return !is_there && tick_facts(lock, clock).is_running;
  } catch (const Failure&) {
    return false;  // This user may not read them.
  }
}

ExitStatus wait_for_task(const MasterConfig& config, const TypedOptions& typed) {
  std::optional<std::string> path;
  if (typed.wait_path) {
    const auto task = TaskPath::parse(without_trailing_slash(*typed.wait_path));
    if (const auto* const refusal = std::get_if<Refusal>(&task)) throw UsageError(refusal->reason);
    path = std::get<TaskPath>(task).text();
  }
  std::optional<Duration> limit;
  if (!typed.wait_for.empty()) {
    limit = value_or_usage_error(parse_duration(typed.wait_for), "--for", typed.wait_for,
                                 "a duration such as 30m");
  }
  RedisCoordinator coordinator(coordinator_options(config.host));
  SystemClock clock;
  return wait_for_run(
      coordinator, clock, Waiting(path), limit, screen_of_standard_output(),
      [&](const std::string& run) { return is_account_due(config.host.repo, run, clock); });
}

ExitStatus print_hosts(const MasterConfig& config, const TypedOptions& typed) {
  if (typed.hosts_of_last && (typed.hosts_state == "silent" || typed.hosts_state == "no-feed")) {
    throw UsageError("--last", " knows no --state " + typed.hosts_state +
                                   ": that is known of the present alone");
  }
  const auto state = value_or_usage_error(parse_host_filter(typed.hosts_state), "--state",
                                          typed.hosts_state, host_filter_rule());
  RedisCoordinator coordinator(coordinator_options(config.host));
  const auto status = coordinator.status();
  const auto hosts =
      typed.hosts_of_last ? hosts_of_last_run(status, state) : hosts_of(status, state);
  std::string lines;
  for (const auto& host : usable_addresses(hosts, config.host.peers)) lines += host.text() + "\n";
  print(lines);
  return ExitStatus::done;
}

// Works without Redis.
ExitStatus print_report(const MasterConfig& config, const TypedOptions& typed) {
  const bool is_picture = typed.report_svg == "-";
  if (is_picture && typed.report_json) {
    throw UsageError("--svg", " - and --json both write to standard output: name a file");
  }
  const RunFiles files(config.host.repo);
  const auto file = chosen_run(files.all(), typed.report_run);
  const auto account = files.read(file);
  if (!account) {
    throw Failure(
        ExitStatus::local, Remedy::operator_acts,
        "'" + escaped((files.folder() / file.name()).string()) +
            "' is damaged: delete it; if the run is the last one, the next tick writes it again");
  }
  if (is_picture) {
    print(run_svg(*account));
    return ExitStatus::done;
  }
  if (!typed.report_svg.empty()) write_named_file(typed.report_svg, run_svg(*account));
  print(typed.report_json ? run_report_json(*account) : run_report_text(*account));
  return ExitStatus::done;
}

ExitStatus check(const MasterConfig& config, const std::string& config_file) {
  return check_host(config.host, {.role = Role::master,
                                  .program = "sync-master",
                                  .config_file = config_file,
                                  .source_roots = config.source_roots,
                                  .serves = !config.push_to});
}

ExitStatus print_functions() {
  print(functions_source());
  return ExitStatus::done;
}

void add_options(CLI::App& app, const std::shared_ptr<TypedOptions>& typed) {
  add_host_options(app, typed->host);
  app.add_option("--source-root", typed->source_roots,
                 "A task must lie below one of these (repeatable; must be given)")
      ->type_name("DIR");
  app.add_option("--minions", typed->minions, "How many hosts are expected")
      ->check(whole_number(1, kMostHosts))
      ->type_name("N");
  app.add_option("--inventory", typed->inventory,
                 "File of the expected hosts, one address a line (default: hosts seen in 10 min)")
      ->type_name("FILE");
  app.add_option("--piece-size", typed->piece_size, "SIZE, auto, or whole: one piece")
      ->capture_default_str()
      ->type_name("SIZE|auto|whole");
  app.add_option("--spread", typed->spread,
                 "How hosts pull: along trees, by claims alone, or auto: trees for many hosts")
      ->capture_default_str()
      ->type_name("auto|claims|trees");
  app.add_option("--push-to", typed->push_to,
                 "Seed through this host's writable module instead of serving from here")
      ->type_name("IP");
  app.add_option("--push-module", typed->push_module,
                 "That module: its path is that host's .libsync, or it is --module")
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("--quorum", typed->quorum, "Percent of the hosts that is enough")
      ->check(whole_number(1, 100))
      ->type_name("PERCENT");
  app.add_option("--deadline", typed->deadline,
                 "Age at which a run may end without every host (default: none)")
      ->type_name("DURATION");
  app.add_option("--grace", typed->grace, "DURATION that a run goes on while another task waits")
      ->capture_default_str()
      ->type_name("DURATION");
}

std::function<ExitStatus(const ConfigOrigin&)> declare(CLI::App& app) {
  const auto typed = std::make_shared<TypedOptions>();
  add_options(app, typed);
  const auto* const app_config = app.get_option("--config");
  add_run(app, "sync-master --source-root /data1/rsync_data --minions 195");
  auto* const status = app.add_subcommand("status", "Show the run in progress and the last one");
  auto* const json = status->add_flag("--json", typed->json, "For programs");
  status
      ->add_flag("--prometheus", typed->metrics,
                 "Metrics for the textfile collector of node_exporter")
      ->excludes(json);
  status->add_flag("--exit-code", typed->exit_code,
                   "Status 1 if the run is stuck, or the last one ended without every host");
  add_verb_help(*status, kOptionsOfStatus, "sync-master status --json | jq .run.missing");
  auto* const wait = app.add_subcommand("wait", "Wait until the run of a path has ended");
  wait->add_option("PATH", typed->wait_path, "The task (default: the run in progress)");
  wait->add_option("--for", typed->wait_for, "Wait no longer than this: status 124")
      ->type_name("DURATION");
  add_verb_help(*wait, kOptionsOfWait,
                "redis-cli set task /data1/model.7 && sync-master wait /data1/model.7 --for 30m");
  auto* const hosts = app.add_subcommand("hosts", "Print the addresses of hosts, one a line");
  hosts->add_option("--state", typed->hosts_state, "Which hosts: " + host_filter_rule())
      ->capture_default_str()
      ->type_name("STATE");
  hosts->add_flag("--last", typed->hosts_of_last, "Of the run that ended last");
  add_verb_help(*hosts, kOptionsOfHosts,
                "sync-master hosts --state missing | xargs -I{} ssh {} uptime");
  auto* const report =
      app.add_subcommand("report", "Show how a run went that has ended, and what slowed it");
  report->add_option("RUN", typed->report_run, "Its id, or how that begins (default: the last)");
  report->add_flag("--json", typed->report_json, "For programs, with every host");
  report->add_option("--svg", typed->report_svg, "Draw it in this file; -: standard output")
      ->type_name("FILE");
  add_verb_help(*report, kOptionsOfReport, "sync-master report --svg /tmp/run.svg");
  auto* const checks =
      app.add_subcommand("check", "Check the set-up of this host, and the daemons of the others");
  add_verb_help(*checks, kOptionsOfCheck, "sync-master check");
  auto* const functions = app.add_subcommand(
      "functions", "Print the Redis functions, for redis-cli -x function load replace");
  add_verb_help(*functions, {}, "sync-master functions | redis-cli -x function load replace");
  return [=](const ConfigOrigin& origin) {
    if (functions->parsed()) return print_functions();
    const auto config = checked(*typed);
    if (status->parsed()) return print_status(config, *typed);
    if (wait->parsed()) return wait_for_task(config, *typed);
    if (hosts->parsed()) return print_hosts(config, *typed);
    if (report->parsed()) return print_report(config, *typed);
    if (checks->parsed()) return check(config, app_config->as<std::string>());
    return run_tick(config, origin);
  };
}

}  // namespace

int main(int argc, char** argv) {
  return run_program({"sync-master",
                      "Distributes the file or folder that `redis-cli set task PATH` names.",
                      "sync-minion",
                      kMinionKeys,
                      {},
                      declare},
                     argc, argv);
}
