// sync-minion: parses the options, wires the parts, and runs one tick of the minion (minion.h).

#include <spdlog/spdlog.h>

#include <functional>
#include <memory>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "libsync/core/ownership.h"
#include "libsync/core/run_record.h"
#include "minion/hook.h"
#include "minion/minion.h"
#include "os/system_clock.h"
#include "programs/check_host.h"
#include "programs/options.h"
#include "programs/own_report.h"
#include "programs/report.h"
#include "store/state_folder.h"

namespace {

using namespace libsync;

struct TypedOptions {
  TypedHostOptions host;
  std::string bandwidth_limit;
  std::string after_publish;
  std::string keep_replaced;
  std::string basis = "auto";
  bool owner = false;
  bool json = false;
};

const std::vector<std::string> kOptionsOfStatus = {"--config", "--redis",   "--redis-password-file",
                                                   "--prefix", "--address", "--repo"};

const std::vector<std::string> kOptionsOfCheck = {
    "--config", "--redis",  "--redis-password-file", "--prefix",     "--address",
    "--repo",   "--module", "--rsync-port",          "--rsync-user", "--rsync-password-file",
    "--peers"};

const std::vector<ConfigKey> kMasterKeys = {
    {"source-root", KeyKind::list}, {"minions", KeyKind::text}, {"inventory", KeyKind::text},
    {"piece-size", KeyKind::text},  {"spread", KeyKind::text},  {"push-to", KeyKind::text},
    {"push-module", KeyKind::text}, {"quorum", KeyKind::text},  {"deadline", KeyKind::text},
    {"grace", KeyKind::text}};

MinionConfig checked(const TypedOptions& typed) {
  MinionConfig config{.host = checked(typed.host)};
  config.bandwidth_limit = typed.bandwidth_limit;
  if (!typed.bandwidth_limit.empty() && !is_bandwidth_limit(typed.bandwidth_limit)) {
    throw UsageError("--bwlimit",
                     " '" + escaped(typed.bandwidth_limit) + "' is not a rate such as 50m or 1.5g");
  }
  config.after_publish = typed.after_publish;
  if (!typed.keep_replaced.empty()) {
    config.keep_replaced =
        value_or_usage_error(parse_duration(typed.keep_replaced), "--keep-replaced",
                             typed.keep_replaced, "a duration such as 10m");
  }
  config.basis = value_or_usage_error(parse_basis_rule(typed.basis), "--basis", typed.basis,
                                      "auto, same-name or none");
  config.ownership = typed.owner ? Ownership::carried : Ownership::own;
  if (typed.owner && geteuid() != 0) throw UsageError("--owner", " works for root only: drop it");
  return config;
}

ExitStatus run_tick(MinionConfig config) {
  const StopSignal stop;
  SystemClock clock;
  const StateFolder state(config.host.repo);
  const auto lock = acquire_lock(state, Role::minion, clock, stop);
  if (!lock) return ExitStatus::done;
  RedisCoordinator coordinator(coordinator_options(config.host));
  auto rsync = rsync_options(config.host, clock, stop);
  rsync.bandwidth_limit = config.bandwidth_limit;
  rsync.inherited = lock->descriptor();
  RsyncTransfer transfer(rsync, clock);
  ShellAfterPublish after_publish(config.after_publish, clock, stop);
  const auto self = wait_for_own_address(config.host, coordinator, clock, stop);
  if (!self) return ExitStatus::done;
  return Minion(coordinator, transfer, after_publish, clock, stop, state, std::move(config), *self)
      .tick();
}

// The part of the disk comes from here, whether Redis answers or not.
ExitStatus print_status(const MinionConfig& config, ReportFormat format) {
  const SystemClock clock;
  const auto facts = own_facts(config.host.repo, clock);
  ReportFrame frame{.server = config.host.redis.shown(),
                    .prefix = config.host.prefix,
                    .rules = {},
                    .own = format == ReportFormat::json ? own_json(facts) : own_text(facts)};
  RedisCoordinator coordinator(coordinator_options(config.host));
  Status status;
  try {
    frame.host = own_address(config.host, coordinator);
    status = coordinator.status();
  } catch (const Failure& failure) {
    print(report_without_redis(failure.what(), frame, format));
    return failure.status();
  }
  if (format == ReportFormat::text) leave_out_own(status, *frame.host, facts);
  print(report(status, frame, format));
  return ExitStatus::done;
}

std::function<ExitStatus(const ConfigOrigin&)> declare(CLI::App& app) {
  const auto typed = std::make_shared<TypedOptions>();
  add_host_options(app, typed->host);
  app.add_option("--bwlimit", typed->bandwidth_limit, "Rate of each pull, as rsync's --bwlimit")
      ->type_name("RATE");
  app.add_option("--after-publish", typed->after_publish,
                 "Command to run after publishing; SYNC_FANOUT_PATH names what was published")
      ->type_name("COMMAND");
  app.add_option("--keep-replaced", typed->keep_replaced,
                 "Keep a replaced payload this long (default: until the run ends, 10m at most)")
      ->type_name("DURATION");
  app.add_option("--basis", typed->basis,
                 "Old payloads whose bytes pulls begin with: auto, same-name or none")
      ->type_name("RULE")
      ->capture_default_str();
  app.add_flag("--owner", typed->owner, "Give files their original owner and group (root only)");
  add_run(app, "sync-minion --log-level debug");
  auto* const status = app.add_subcommand("status", "Show how this host stands");
  status->add_flag("--json", typed->json, "For programs");
  add_verb_help(*status, kOptionsOfStatus, "sync-minion status");
  auto* const checks = app.add_subcommand("check", "Check the set-up of this host");
  add_verb_help(*checks, kOptionsOfCheck, "sync-minion check");
  const auto* const app_config = app.get_option("--config");
  return [=](const ConfigOrigin&) {
    const auto config = checked(*typed);
    if (checks->parsed()) {
      return check_host(config.host, {.role = Role::minion,
                                      .program = "sync-minion",
                                      .config_file = app_config->as<std::string>()});
    }
    return status->parsed()
               ? print_status(config, typed->json ? ReportFormat::json : ReportFormat::text)
               : run_tick(config);
  };
}

}  // namespace

int main(int argc, char** argv) {
  return run_program({"sync-minion",
                      "Pulls what the master distributes, serves it on, and publishes it.",
                      "sync-master",
                      kMasterKeys,
                      {"wait", "hosts", "report", "functions"},
                      declare},
                     argc, argv);
}
