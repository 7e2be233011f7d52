#pragma once

// `check`: what is wrong with the set-up of this host, before a run finds out.
//
// The functions here judge facts that others have gathered (check_host.h). Each judgement is one
// line for a person, with the cause and the way out.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "feed/daemon_settings.h"
#include "feed/host_probes.h"
#include "feed/own_feed.h"
#include "libsync/core/address.h"
#include "libsync/core/exit_status.h"
#include "libsync/core/failure.h"
#include "libsync/core/run_record.h"
#include "programs/cron_lines.h"
#include "redis/server_facts.h"
#include "store/repo_facts.h"

namespace libsync {

enum class Mark {
  ok,
  warn,  ///< Ticks work, but not as they should, or it could not be checked.
  fail,  ///< A tick fails, or this host serves nobody.
};

struct Check {
  std::string name;
  Mark mark = Mark::ok;
  std::string text;                      ///< The state, or the cause. Escaped.
  std::string way_out;                   ///< Empty if it is ok, or if the text has it. Escaped.
  ExitStatus status = ExitStatus::done;  ///< That of a tick which fails for this reason.
};

using Checks = std::vector<Check>;

[[nodiscard]] Check passed(const std::string& name, const std::string& text);
[[nodiscard]] Check warned(const std::string& name, const std::string& text,
                           const std::string& way_out = {});
[[nodiscard]] Check failed(const std::string& name, const std::string& text,
                           const std::string& way_out, ExitStatus status);
/// The message of a Failure has the way out.
[[nodiscard]] Check failed(const std::string& name, const Failure& failure);

/// One line of the output, with its end.
[[nodiscard]] std::string line_of(const Check& check);

/// Done, or the status of the first one that failed.
[[nodiscard]] ExitStatus exit_status_of(const Checks& checks);

/// The line that the configuration is wrong, with a message of UsageError.
[[nodiscard]] Check wrong_configuration(const std::string& message);

struct RedisFrame {
  std::string server;  ///< Without its password, unchecked.
  std::string user;    ///< Empty: the default user.
  std::string prefix;  ///< Unchecked.
  Role role = Role::minion;
  std::string digest;  ///< The functions_digest() of this program.
};
[[nodiscard]] Checks judge_redis(const ServerFacts& facts, const RedisFrame& frame);

/// The space that a run needs on this host; zero if there is no run.
struct RepoNeed {
  Role role = Role::minion;
  std::uint64_t run_bytes = 0;
};
[[nodiscard]] Checks judge_repo(const RepoFacts& facts, const RepoNeed& need);

struct FeedFrame {
  std::string address;
  std::uint16_t port = 873;
  std::string module;
  bool has_user = false;  ///< Peers log in with --rsync-user.
};
[[nodiscard]] Checks judge_feed(const FeedFacts& facts, const FeedFrame& frame);
[[nodiscard]] Check judge_no_delay(const std::optional<DaemonConfig>& config);
/// A full daemon refuses pulls, which wait then. No log of ours says so.
[[nodiscard]] Check judge_connections(const std::optional<DaemonConfig>& config);

[[nodiscard]] Check judge_cron(const CronFacts& facts, const std::string& program);
[[nodiscard]] Check judge_tick(const TickFacts& facts);

/// The daemons of the seen hosts: one line for each fault.
[[nodiscard]] Checks judge_hosts(const HostProbes& probes);

}  // namespace libsync
