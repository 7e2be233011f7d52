#include "programs/options.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "libsync/core/run_record.h"
#include "os/limits.h"
#include "os/log.h"
#include "os/private_file.h"
#include "os/stop_signal.h"
#include "programs/check.h"
#include "programs/config_options.h"
#include "programs/unknown_argument.h"
#include "rsync/rsync_version.h"
#include "store/state_folder.h"
#include "store/tick_lock.h"

namespace libsync {
namespace {

constexpr std::size_t kLongestPrefix = 1000;  // PREFIX_BYTES in context.lua.
constexpr auto kDefaultConfig = "/etc/sync-fanout/sync.toml";

// Longest wait for the lock. A tick that lingers ends just before the next one begins, and cron
// adds a delay of its own.
constexpr Duration kLockPatience{5000};

// A tick that holds the lock for longer is worth a warning: 100 GB at 1 MB/s need a little over a
// day.
constexpr std::chrono::hours kSuspiciousLock{30};

std::string checked_password(const std::string& option, const std::string& file) {
  if (file.empty()) return {};
  auto password = read_password_file(file);
  if (const auto* const refusal = std::get_if<Refusal>(&password)) {
    throw UsageError(option, ": " + refusal->reason);
  }
  return std::get<std::string>(std::move(password));
}

// The path from / on, since rsync starts there. An empty one stays empty.
std::filesystem::path checked_absolute(const std::string& typed) {
  if (typed.empty()) return {};
  std::error_code error;
  auto path = std::filesystem::absolute(typed, error);
  if (!error) return path;
  throw UsageError("--rsync-password-file", " '" + escaped(typed) +
                                                "' is relative to a folder that is not there any "
                                                "more: write it from / on");
}

std::vector<Network> checked_peers(const std::vector<std::string>& typed) {
  if (typed.empty()) return private_networks();
  std::vector<Network> networks;
  networks.reserve(typed.size());
  for (const auto& text : typed) {
    networks.push_back(value_or_usage_error(Network::parse(text), "--peers", text,
                                            "an address range such as 10.0.0.0/8"));
  }
  return networks;
}

// Opens closed standard streams: the first file that we open would become one otherwise.
void open_standard_streams() {
  int opened = open("/dev/null", O_RDWR);
  while (opened >= 0 && opened <= STDERR_FILENO) opened = open("/dev/null", O_RDWR);
  if (opened > STDERR_FILENO) close(opened);
}

std::vector<std::string> long_options_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* const option : app.get_options()) {
    const auto& own = option->get_lnames();
    names.insert(names.end(), own.begin(), own.end());
  }
  return names;
}

KnownArguments known_to(const CLI::App& app, const Program& program) {
  KnownArguments known;
  known.options = long_options_of(app);
  for (const auto* const verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    known.verbs.push_back({verb->get_name(), long_options_of(*verb), verb->parsed()});
  }
  known.other_program = program.other_name;
  for (const auto& key : program.other_keys) known.other_options.push_back(key.name);
  known.other_verbs = program.other_verbs;
  return known;
}

// Whether the verb is `check`, which shows a wrong configuration as one of its lines.
bool is_check(const CLI::App& app) {
  const auto verbs = app.get_subcommands();
  return !verbs.empty() && verbs.front()->get_name() == "check";
}

// A message that begins with an option, with the line of the file that has its value.
std::string located(const std::string& message, const ConfigOrigin& origin) {
  const auto end = std::min(message.find(' '), message.size());
  if (!message.starts_with("--")) return message;
  return origin.message(message.substr(0, end), message.substr(end));
}

// Ends the log with the program.
struct LogEnd {
  LogEnd() = default;
  ~LogEnd() { end_log(); }
  LogEnd(const LogEnd&) = delete;
  LogEnd& operator=(const LogEnd&) = delete;
};

// own_address() for a tick. The other hosts of the fleet would not pull from an address outside
// --peers either.
Address served_address(const HostConfig& config, Observer& observer) {
  auto self = own_address(config, observer);
  if (is_within(self, config.peers)) return self;
  throw UsageError("--peers",
                   fmt::format(" leaves out this host's own address {}, so no host would pull from "
                               "it: name the ranges of all hosts, or correct --address",
                               self.text()));
}

}  // namespace

std::string checked_name(const std::string& option, const std::string& typed) {
  const bool is_plain =
      !typed.empty() && std::all_of(typed.begin(), typed.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
      });
  if (is_plain) return typed;
  throw UsageError(option, " '" + escaped(typed) +
                               "' is not a plain name: use letters, digits, '-', '_' and '.'");
}

CLI::Validator whole_number(std::uint64_t least, std::uint64_t most) {
  const auto check = [=](std::string& typed) {
    std::uint64_t number = 0;
    const bool is_number = CLI::detail::lexical_cast(typed, number);
    if (is_number && number >= least && number <= most) return std::string();
    return fmt::format("'{}' is not a whole number from {} to {}", escaped(typed), least, most);
  };
  return {check, fmt::format("INT in [{} - {}]", least, most)};
}

void add_host_options(CLI::App& app, TypedHostOptions& typed) {
  app.add_option("--redis", typed.redis, "redis://[user@]host:port/db or unix:///path.sock?db=N")
      ->capture_default_str()
      ->type_name("URL");
  app.add_option("--redis-password-file", typed.redis_password_file, "File of mode 0600")
      ->type_name("FILE");
  app.add_option("--prefix", typed.prefix, "In front of every Redis key")->type_name("TEXT");
  app.add_option("--address", typed.address,
                 "How peers reach this host (default: local address of the Redis connection)")
      ->type_name("IP");
  app.add_option("--repo", typed.repo, "The folder that the rsync module exports")
      ->capture_default_str()
      ->type_name("DIR");
  app.add_option("--module", typed.module, "The rsync module that hosts pull from")
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("--rsync-port", typed.rsync_port, "Port of the rsync daemons")
      ->capture_default_str()
      ->check(whole_number(1, 65535))
      ->type_name("N");
  app.add_option("--rsync-user", typed.rsync_user, "User of the module")->type_name("NAME");
  app.add_option("--rsync-password-file", typed.rsync_password_file, "File of mode 0600")
      ->type_name("FILE");
  app.add_option(
         "--peers", typed.peers,
         "Address ranges that may be pulled from (default: private, shared, link-local, loopback)")
      ->delimiter(',')
      ->type_name("CIDR");
  app.add_option("--linger", typed.linger, "Stay this long waiting for work: 115s for */2 in cron")
      ->capture_default_str()
      ->type_name("DURATION");
  app.add_option(
         "--slots", typed.slots,
         "Parallel pulls, and uploads offered; master: uploads of the origin (default: by payload)")
      ->check(whole_number(1, 64))
      ->type_name("N");
  app.add_option("--log-level", typed.log_level, "debug, info, warning or error")
      ->capture_default_str()
      ->type_name("LEVEL");
  app.add_option("--log-file", typed.log_file, "Append to this file (default: standard output)")
      ->type_name("FILE");
  app.set_version_flag("--version", SYNC_FANOUT_VERSION);
  app.fallthrough();
  app.require_subcommand(0, 1);
  app.footer(fmt::format(
      "DURATION: an integer with ms, s, m or h (bare: seconds). SIZE: with K, M or G.\n\n"
      "Example, and each verb has one of its own: {} --linger 115s\n\n{}",
      app.get_name(), exit_status_help()));
}

void add_verb_help(CLI::App& verb, const std::vector<std::string>& options,
                   const std::string& example) {
  std::string text;
  if (!options.empty()) {
    text = fmt::format("It also uses these options of {}: {}\n\n", verb.get_parent()->get_name(),
                       fmt::join(options, ", "));
  }
  verb.footer(fmt::format("{}Example: {}\n\n{}", text, example, exit_status_help()));
}

void add_run(CLI::App& app, const std::string& example) {
  app.add_subcommand("run", "One tick (what a bare call does)")
      ->footer(fmt::format("It uses all options of {0}: see {0} --help\n\nExample: {1}\n\n{2}",
                           app.get_name(), example, exit_status_help()));
}

void print(std::string_view text) {
  const auto written = std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) == 0 && written == text.size()) return;
  throw Failure(ExitStatus::local, Remedy::operator_acts,
                "standard output takes no more: free space there, or read it to its end");
}

HostConfig checked(const TypedHostOptions& typed) {
  HostConfig config;
  auto server = RedisServer::parse(typed.redis);
  if (const auto* const refusal = std::get_if<Refusal>(&server)) {
    throw UsageError("--redis", " " + refusal->reason);
  }
  config.redis = std::get<RedisServer>(std::move(server));
  config.redis.password = checked_password("--redis-password-file", typed.redis_password_file);
  if (std::any_of(typed.prefix.begin(), typed.prefix.end(),
                  [](unsigned char c) { return c <= ' ' || c == 0x7f; })) {
    throw UsageError("--prefix", " '" + escaped(typed.prefix) +
                                     "' holds a space or a control character: choose another");
  }
  if (typed.prefix.size() > kLongestPrefix) {
    throw UsageError("--prefix",
                     fmt::format(" has {} bytes, and at most {} are allowed: choose a shorter one",
                                 typed.prefix.size(), kLongestPrefix));
  }
  config.prefix = typed.prefix;
  if (!typed.address.empty()) {
    config.address = value_or_usage_error(Address::parse(typed.address), "--address", typed.address,
                                          "a plain unicast IPv4 or IPv6 address");
  }
  config.repo = typed.repo;
  if (!config.repo.is_absolute()) {
    throw UsageError("--repo", " must be an absolute path, and '" + escaped(typed.repo) +
                                   "' is none: write it from / on");
  }
  config.module = checked_name("--module", typed.module);
  config.rsync_port = typed.rsync_port;
  if (!typed.rsync_user.empty()) {
    config.rsync_user = checked_name("--rsync-user", typed.rsync_user);
  }
  config.rsync_password_file = checked_absolute(typed.rsync_password_file);
  static_cast<void>(checked_password("--rsync-password-file", typed.rsync_password_file));
  config.peers = checked_peers(typed.peers);
  config.linger = value_or_usage_error(parse_duration(typed.linger), "--linger", typed.linger,
                                       "a duration such as 115s");
  if (typed.slots > 0) config.slots = typed.slots;
  const auto level = value_or_usage_error(parse_log_level(typed.log_level), "--log-level",
                                          typed.log_level, "debug, info, warning or error");
  start_log(level, typed.log_file.empty() ? std::nullopt
                                          : std::optional<std::filesystem::path>(typed.log_file));
  return config;
}

RedisCoordinatorOptions coordinator_options(const HostConfig& config) {
  return {.server = config.redis, .prefix = config.prefix, .peers = config.peers};
}

RsyncOptions rsync_options(const HostConfig& config, Clock& clock, const StopSignal& stop) {
  const auto program = find_program("rsync");
  if (!program) {
    throw Failure(ExitStatus::no_source, Remedy::operator_acts,
                  "rsync is not in PATH: install it, or correct PATH in the crontab");
  }
  require_new_rsync(*program, clock, &stop);
  RsyncOptions options;
  options.program = *program;
  options.module = config.module;
  options.port = config.rsync_port;
  options.user = config.rsync_user;
  options.password_file = config.rsync_password_file;
  return options;
}

Address own_address(const HostConfig& config, Observer& observer) {
  if (config.address) return *config.address;
  const auto local = observer.own_address();
  if (!local || local->is_loopback()) {
    throw UsageError(
        "--address must be given where Redis is reached by loopback or a unix socket: name the "
        "address under which the peers reach this host");
  }
  return *local;
}

std::optional<Address> wait_for_own_address(HostConfig& config, Observer& observer, Clock& clock,
                                            const StopSignal& stop) {
  const auto begun = clock.now();
  const auto until = begun + config.linger;
  while (!stop.requested()) {
    try {
      auto address = served_address(config, observer);
      const auto waited = std::chrono::duration_cast<Duration>(clock.now() - begun);
      config.linger = std::max(Duration::zero(), config.linger - waited);
      return address;
    } catch (const Failure& failure) {
      if (!failure.is_outage() || clock.now() >= until) throw;
      spdlog::warn("{}", failure.what());
    }
    clock.wait(std::min(until, clock.now() + kOutagePause), std::array{stop.descriptor()});
  }
  return std::nullopt;
}

std::optional<TickLock> acquire_lock(const StateFolder& state, Role role, Clock& clock,
                                     const StopSignal& stop) {
  auto acquired = TickLock::acquire(state.lock_path(role), kLockPatience, clock, &stop);
  if (auto* const lock = std::get_if<TickLock>(&acquired)) {
    if (const auto why = state.weakness()) spdlog::warn("{}", *why);
    return std::move(*lock);
  }
  const auto& held = std::get<TickLock::Held>(acquired);
  spdlog::info("another tick is at work ({}): stepping aside", held.by);
  if (held.age && *held.age > kSuspiciousLock) {
    spdlog::warn("it has run for {} h, longer than any transfer may need: check that process",
                 std::chrono::duration_cast<std::chrono::hours>(*held.age).count());
  }
  return std::nullopt;
}

int run_program(const Program& program, int argc, const char* const* argv) {
  open_standard_streams();
  // A Redis that closes the connection must not end the program: the write reports EPIPE instead.
  static_cast<void>(std::signal(SIGPIPE, SIG_IGN));
  raise_limits();
  const LogEnd log_end;
  const auto usage_error = [&](const std::string& message) {
    print_problem(fmt::format("{}: {}", program.name, message));
    return static_cast<int>(ExitStatus::usage);
  };
  ConfigOrigin origin{kDefaultConfig, {}};
  CLI::App app(program.description, program.name);
  try {
    const auto* const config =
        app.add_option("--config", origin.path, "Configuration file (TOML); flags win over it")
            ->capture_default_str()
            ->type_name("FILE")
            ->configurable(false);
    const auto run = program.declare(app);
    try {
      app.parse(argc, argv);
    } catch (const CLI::Success& wanted) {
      return app.exit(wanted);
    }
    set_from_config(app, program.other_keys, config->count() == 0, origin);
    return static_cast<int>(run(origin));
  } catch (const CLI::ExtrasError&) {
    const auto message = unknown_argument(app.remaining(true), known_to(app, program));
    return usage_error(message + " (see --help)");
  } catch (const CLI::ConversionError& error) {
    // All values are texts or checked numbers, so the option is a flag.
    return usage_error(
        fmt::format("{}: a flag needs no value (see --help)", escaped(error.what())));
  } catch (const CLI::ParseError& error) {
    return usage_error(fmt::format("{} (see --help)", error.what()));
  } catch (const UsageError& error) {
    const auto message =
        error.option().empty() ? error.what() : origin.message(error.option(), error.rest());
    if (!is_check(app)) return usage_error(message);
    print(line_of(wrong_configuration(message)));
    return static_cast<int>(ExitStatus::usage);
  } catch (const Failure& failure) {
    spdlog::error("{}", located(failure.what(), origin));
    return static_cast<int>(failure.status());
  } catch (const std::exception& error) {
    // No exception of ours: a bug, or no memory.
    spdlog::critical("unexpected: {}", escaped(error.what()));
    return static_cast<int>(ExitStatus::local);
  }
}

}  // namespace libsync
