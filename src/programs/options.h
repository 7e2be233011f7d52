#pragma once

// The part that both mains share: options, the configuration file, and the end of a program.
//
// It checks all that the operator typed, so the rest of the program gets values that are right.
// Wrong input throws UsageError. All of it runs on the main thread.

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "libsync/core/config.h"
#include "libsync/core/escaped_text.h"
#include "libsync/core/exit_status.h"
#include "libsync/core/run_record.h"
#include "programs/config_file.h"
#include "programs/config_options.h"
#include "programs/usage_error.h"
#include "redis/coordinator.h"
#include "rsync/rsync_transfer.h"
#include "store/spool.h"
#include "store/state_folder.h"
#include "store/tick_lock.h"

namespace libsync {

class StopSignal;

/// The options of both programs as typed, with their defaults. See sync.toml(5).
struct TypedHostOptions {
  std::string redis = "redis://127.0.0.1:6379/0";
  std::string redis_password_file;
  std::string prefix;
  std::string address;
  std::string repo = "/data1/repo";
  std::string module = "repo";
  std::uint16_t rsync_port = 873;
  std::string rsync_user;
  std::string rsync_password_file;
  std::vector<std::string> peers;
  std::string linger = "0";
  unsigned slots = 0;
  std::string log_level = "info";
  std::string log_file;
};

/// Adds the options of both programs to `app`. `typed` must outlive `app`.
void add_host_options(CLI::App& app, TypedHostOptions& typed);

/// Adds to the help of `verb` the options of its program that it uses, and an example. Each option
/// must exist.
void add_verb_help(CLI::App& verb, const std::vector<std::string>& options,
                   const std::string& example);

/// Adds the verb `run`, which uses all options of its program.
void add_run(CLI::App& app, const std::string& example);

/// Writes to standard output. Throws Failure (local) if that takes less than all of it: a list that
/// was cut short must not pass for a whole one.
void print(std::string_view text);

/// A check that an option's value is a whole number from `least` to `most`.
[[nodiscard]] CLI::Validator whole_number(std::uint64_t least, std::uint64_t most);

/// The checked options. Reads the password files and starts the log. Throws UsageError.
[[nodiscard]] HostConfig checked(const TypedHostOptions& typed);

/// A name for a URL. Throws UsageError unless it consists of letters, digits, `-`, `_` and `.`.
[[nodiscard]] std::string checked_name(const std::string& option, const std::string& typed);

/// The value that the parser of an option returned. Throws UsageError if it returned none: the
/// message ends with `rule`, which completes "is not …".
template <typename Value>
Value value_or_usage_error(std::optional<Value> value, const std::string& option,
                           const std::string& typed, const std::string& rule) {
  if (!value) throw UsageError(option, " '" + escaped(typed) + "' is not " + rule);
  return *std::move(value);
}

/// The part of the configuration that the coordinator needs.
[[nodiscard]] RedisCoordinatorOptions coordinator_options(const HostConfig& config);

/// The part that the transfer needs. Throws Failure (no_source) if rsync is missing, or too old.
[[nodiscard]] RsyncOptions rsync_options(const HostConfig& config, Clock& clock,
                                         const StopSignal& stop);

/// The address under which peers reach this host: --address, or the local end of the connection to
/// Redis. Throws UsageError if that is a loopback address or a socket.
[[nodiscard]] Address own_address(const HostConfig& config, Observer& observer);

/// The same for a tick. Throws UsageError if the address lies outside --peers. While Redis is out
/// of reach, it asks again every second until --linger is over, and shortens `config.linger` by the
/// wait. Nothing if a signal stops the program meanwhile.
[[nodiscard]] std::optional<Address> wait_for_own_address(HostConfig& config, Observer& observer,
                                                          Clock& clock, const StopSignal& stop);

/// Acquires the role's lock, and warns if other users can write to the repo of root. If another
/// tick holds the lock, logs that and returns nothing.
[[nodiscard]] std::optional<TickLock> acquire_lock(const StateFolder& state, Role role,
                                                   Clock& clock, const StopSignal& stop);

/// Declares the options of a program, and returns what it does once they have been parsed. The
/// origin names the lines of the configuration file.
using Declare = std::function<std::function<ExitStatus(const ConfigOrigin&)>(CLI::App& app)>;

/// One of the two programs, as run_program() needs it.
struct Program {
  std::string name;
  std::string description;
  std::string other_name;             ///< The other program.
  std::vector<ConfigKey> other_keys;  ///< Its keys in the file that both read.
  std::vector<std::string> other_verbs;  ///< The verbs that it alone has.
  Declare declare;
};

/// Parses the command line and the configuration file, runs, and turns every result into an exit
/// status. Each program catches the exception that ends its tick here and nowhere else.
[[nodiscard]] int run_program(const Program& program, int argc, const char* const* argv);

}  // namespace libsync
