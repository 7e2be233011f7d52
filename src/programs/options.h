#pragma once

// What the two mains share: flags, the configuration file, and how a program ends.
//
// Part of the mains, and like them allowed to see CLI11.

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "libsync/core/config.h"
#include "libsync/core/escaped_text.h"
#include "libsync/core/exit_status.h"
#include "libsync/core/run_record.h"
#include "programs/config_file.h"
#include "programs/usage_error.h"
#include "redis/coordinator.h"
#include "rsync/rsync_transfer.h"
#include "store/spool.h"
#include "store/state_folder.h"
#include "store/tick_lock.h"

namespace libsync {

/// Options as they were typed, before they are checked.
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

/// Adds the options that both programs take.
void add_host_options(CLI::App& app, TypedHostOptions& typed);

/// A check that an option's value is a whole number from `least` to `most`.
[[nodiscard]] CLI::Validator whole_number(std::uint64_t least, std::uint64_t most);

/// Throws UsageError.
[[nodiscard]] HostConfig checked(const TypedHostOptions& typed);

/// A name that goes into a URL. Throws UsageError unless it consists of letters, digits, `-`, `_`
/// and `.`.
[[nodiscard]] std::string checked_name(const std::string& option, const std::string& typed);

/// The value that an option parser gave, or the UsageError that it refused.
template <typename Value>
Value value_or_usage_error(std::optional<Value> value, const std::string& option,
                           const std::string& typed, const std::string& rule) {
  if (!value) throw UsageError(option, " '" + escaped(typed) + "' is not " + rule);
  return *std::move(value);
}

[[nodiscard]] RedisCoordinatorOptions coordinator_options(const HostConfig& config);

/// Throws Failure (no_source) if rsync is missing, or too old.
[[nodiscard]] RsyncOptions rsync_options(const HostConfig& config, Clock& clock);

/// The address that peers reach this host by. Throws UsageError if it has to be given.
[[nodiscard]] Address own_address(const HostConfig& config, Observer& observer);

/// Takes the role's lock. Nothing, and a line in the log, if another tick has it.
[[nodiscard]] std::optional<TickLock> acquire_lock(const StateFolder& state, Role role,
                                                   Clock& clock);

/// Declares the options of a program, and returns what it does once they have been parsed.
using Declare = std::function<std::function<ExitStatus()>(CLI::App& app)>;

struct Program {
  std::string name;
  std::string description;
  std::vector<ConfigKey> other_keys;  ///< Keys of the other program in the file that both read.
  Declare declare;
};

/// Parses the command line and the configuration file, runs, and turns every result into an exit
/// status. Each program catches the exception that ends its tick here and nowhere else.
[[nodiscard]] int run_program(const Program& program, int argc, const char* const* argv);

}  // namespace libsync
