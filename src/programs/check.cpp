#include "programs/check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "libsync/core/escaped_text.h"
#include "libsync/core/host_ranges.h"
#include "libsync/core/shown_number.h"

namespace libsync {
namespace {

// Most hosts, and most rules, in a line. status shows as many.
constexpr std::size_t kShown = 40;

// Ticks begin every two minutes. One that waits for the lock, or a host that starts, is later.
constexpr std::chrono::minutes kLateTick{10};

// Without a run, less than this is worth a look. A guard, not tuned.
constexpr std::uint64_t kLittleSpace = 1'000'000'000;

constexpr auto kNoConfig = "no configuration of a daemon at this address is legible here";
// As rsyncd/rsyncd.conf, which says why.
constexpr std::uint32_t kConnections = 20;
constexpr unsigned kRootsGroup = 0;
constexpr unsigned kNobodysGroup = 65534;

std::string_view word_of(Mark mark) {
  switch (mark) {
    case Mark::ok:
      return "ok";
    case Mark::warn:
      return "warn";
    case Mark::fail:
      break;
  }
  return "FAIL";
}

std::string rules_text(const std::vector<std::string>& rules) {
  const auto shown = std::min(rules.size(), kShown);
  auto text =
      fmt::format("{}", fmt::join(rules.begin(), rules.begin() + static_cast<int>(shown), " "));
  if (shown < rules.size()) text += fmt::format(" and {} more", rules.size() - shown);
  return text;
}

std::string user_text(const RedisFrame& frame) {
  return frame.user.empty() ? "the default user" : "user '" + escaped(frame.user) + "'";
}

Check judge_functions(const ServerFacts& facts, const RedisFrame& frame) {
  const std::string name = "functions";
  const std::string way_out =
      frame.role == Role::master
          ? "let a tick of this program run, which loads them"
          : "let a tick of the sync-master of this version run, or update this host";
  if (facts.rights_fault) return warned(name, "not asked", "see rights");
  if (!facts.rights) return warned(name, "Redis holds none of this version", way_out);
  if (facts.rights->digest == frame.digest) return passed(name, "those of this version");
  return warned(name, "Redis holds those of another version", way_out);
}

Check judge_rights(const ServerFacts& facts, const RedisFrame& frame) {
  const std::string name = "rights";
  if (facts.rights_fault) return failed(name, *facts.rights_fault);
  if (!facts.rights) return warned(name, "not asked", "see functions");
  const auto& missing = facts.rights->missing;
  if (missing.empty()) return passed(name, user_text(frame) + " has all that this program uses");
  const auto* const prefixed =
      frame.prefix.empty() ? "" : " (after --prefix is put in front of each key there)";
  return failed(name, fmt::format("{} lacks {}", user_text(frame), rules_text(missing)),
                std::string(kRulesWayOut) + prefixed, ExitStatus::redis);
}

Check judge_eviction(const ServerFacts& facts) {
  const std::string name = "eviction";
  const std::string way_out = "set 'maxmemory-policy noeviction' in redis.conf";
  if (facts.eviction_fault) {
    return warned(name, facts.eviction_fault->what());
  }
  const auto& [policy, limit] = *facts.eviction;
  if (policy == "noeviction") return passed(name, policy);
  if (limit == 0) {
    return warned(name, policy + ", which would delete keys of a run under a maxmemory", way_out);
  }
  const auto text = fmt::format("{} with {} of memory, which deletes keys of a run", policy,
                                shown_bytes(static_cast<double>(limit)));
  if (policy.starts_with("volatile")) return warned(name, text, way_out);
  return failed(name, text, way_out, ExitStatus::redis);
}

Check judge_group(const RepoFacts& facts) {
  const std::string name = "group";
  const std::string way_out = "give the repo to a group of the rsync daemon alone, by chgrp";
  if (facts.group == kRootsGroup) {
    return warned(name, "the repo has root's group, so the rsync daemon has to run as root",
                  way_out);
  }
  if (facts.group == kNobodysGroup) {
    return warned(name,
                  fmt::format("{}, which other programs have, too, may write to .libsync/push",
                              facts.group_name),
                  way_out);
  }
  if (facts.group_members.size() > 1) {
    return warned(name,
                  fmt::format("{} may write to .libsync/push: {}", facts.group_name,
                              fmt::join(facts.group_members, ", ")),
                  way_out);
  }
  return passed(name, facts.group_name);
}

Check judge_space(const RepoFacts& facts, const RepoNeed& need) {
  const std::string name = "space";
  const auto shown = [](std::uint64_t bytes) { return shown_bytes(static_cast<double>(bytes)); };
  const std::string way_out = "free space where --repo lies";
  if (!facts.can_write) {
    return failed(name,
                  fmt::format("this user cannot write 1 MB, with {} free", shown(facts.free_bytes)),
                  way_out + ", mount it writable, or raise the quota", ExitStatus::local);
  }
  const bool is_twice = need.role == Role::minion && !facts.can_share_blocks;
  const auto needed = need.run_bytes * (is_twice ? 2 : 1);
  if (facts.free_bytes < std::max(needed, kLittleSpace)) {
    const auto of_run = needed > 0 ? fmt::format(", and this run needs {}", shown(needed)) : "";
    return warned(name, fmt::format("{} free{}", shown(facts.free_bytes), of_run), way_out);
  }
  return passed(name, shown(facts.free_bytes) + " free");
}

// The reason without "rsync with ADDRESS: ", so that hosts with the same fault share a line.
std::string without_address(const HostFault& fault) {
  const auto start = "rsync with " + fault.host.text();
  if (!fault.reason.starts_with(start)) return fault.reason;
  const auto rest = fault.reason.substr(start.size());
  return rest.starts_with(": ") ? rest.substr(2) : "rsync" + rest;
}

}  // namespace

Check passed(const std::string& name, const std::string& text) {
  return {.name = name, .mark = Mark::ok, .text = text, .way_out = {}};
}

Check warned(const std::string& name, const std::string& text, const std::string& way_out) {
  return {.name = name, .mark = Mark::warn, .text = text, .way_out = way_out};
}

Check failed(const std::string& name, const std::string& text, const std::string& way_out,
             ExitStatus status) {
  return {.name = name, .mark = Mark::fail, .text = text, .way_out = way_out, .status = status};
}

Check failed(const std::string& name, const Failure& failure) {
  return failed(name, failure.what(), "", failure.status());
}

std::string line_of(const Check& check) {
  const auto way_out = check.way_out.empty() ? "" : ": " + check.way_out;
  return fmt::format("{:<4}  {:<9}  {}{}\n", word_of(check.mark), check.name, check.text, way_out);
}

ExitStatus exit_status_of(const Checks& checks) {
  const auto first = std::find_if(checks.begin(), checks.end(),
                                  [](const Check& one) { return one.mark == Mark::fail; });
  return first == checks.end() ? ExitStatus::done : first->status;
}

Check wrong_configuration(const std::string& message) {
  return failed("config", message, "", ExitStatus::usage);
}

Checks judge_redis(const ServerFacts& facts, const RedisFrame& frame) {
  if (facts.connect_fault) {
    if (facts.connect_fault->is_outage()) return {failed("redis", *facts.connect_fault)};
    return {passed("redis", escaped(frame.server) + " answers"),
            failed("login", *facts.connect_fault)};
  }
  const auto version = facts.rights && !facts.rights->version.empty()
                           ? ", version " + facts.rights->version
                           : std::string(", its version is not known without functions");
  return {passed("redis", escaped(frame.server) + version), passed("login", user_text(frame)),
          judge_functions(facts, frame), judge_rights(facts, frame), judge_eviction(facts)};
}

Checks judge_repo(const RepoFacts& facts, const RepoNeed& need) {
  Checks all{passed("repo", escaped(facts.path.string())), judge_group(facts)};
  if (facts.weakness) {
    all.push_back(failed("owner", *facts.weakness, "", ExitStatus::local));
  } else {
    all.push_back(passed("owner", "no other user can write to the repo"));
  }
  if (need.role == Role::minion) {
    if (!facts.is_one_file_system) {
      all.push_back(failed("exchange", "the repo and its .libsync are on two file systems",
                           "let both be on one, and neither be a mount point of its own",
                           ExitStatus::local));
    } else if (!facts.can_exchange) {
      all.push_back(failed("exchange", "the file system cannot swap two folders (RENAME_EXCHANGE)",
                           "let --repo be on ext4, XFS, btrfs or tmpfs", ExitStatus::local));
    } else {
      all.push_back(passed("exchange", "folders can be swapped in one step"));
    }
    all.push_back(passed("blocks", facts.can_share_blocks
                                       ? "files share blocks: a run needs the payload's space once"
                                       : "files share no blocks: a run needs the space twice"));
  }
  all.push_back(judge_space(facts, need));
  return all;
}

Checks judge_feed(const FeedFacts& facts, const FeedFrame& frame) {
  if (facts.fault) return {failed("rsyncd", *facts.fault, "", ExitStatus::no_source)};
  Checks all{passed("rsyncd", fmt::format("{} port {} serves --repo as '{}'", frame.address,
                                          frame.port, frame.module))};
  const auto before = all.size();
  if (facts.asks_no_password) {
    all.push_back(warned("serves", "the module serves hosts without a password, too",
                         "set 'auth users' and 'secrets file' in rsyncd.conf"));
  }
  if (facts.is_writable) {
    all.push_back(
        warned("serves", "hosts can write through the module",
               "set 'read only = yes' in rsyncd.conf, unless --push-to names the module"));
  }
  if (facts.reads_private_files) {
    all.push_back(warned("serves", "the module serves files that only their owner may read",
                         "give it a 'uid' and 'gid' of its own in rsyncd.conf"));
  }
  if (all.size() == before) {
    all.push_back(passed("serves", frame.has_user ? "with the password, to read, what its group may"
                                                  : "to read, what its group may; no password"));
  }
  return all;
}

Check judge_no_delay(const std::optional<DaemonConfig>& config) {
  const std::string name = "nodelay";
  if (!config) {
    return warned(name, kNoConfig, "see that it has 'socket options = TCP_NODELAY'");
  }
  const auto file = escaped(config->file.string());
  if (config->has_no_delay) return passed(name, file + " sets TCP_NODELAY");
  return warned(name, file + " does not set TCP_NODELAY, so small pulls are slow",
                "add 'socket options = TCP_NODELAY' above its first module");
}

Check judge_connections(const std::optional<DaemonConfig>& config) {
  const std::string name = "limit";
  if (!config) {
    return warned(name, kNoConfig, fmt::format("see that it allows {} connections", kConnections));
  }
  const auto file = escaped(config->file.string());
  if (!config->max_connections) return passed(name, file + " sets no limit");
  const auto text = fmt::format("{} allows {} connections", file, *config->max_connections);
  if (*config->max_connections >= kConnections) return passed(name, text);
  return warned(name, text + ", and the pulls beyond them wait",
                fmt::format("set 'max connections = {}' or more", kConnections));
}

Check judge_cron(const CronFacts& facts, const std::string& program) {
  if (!facts.files.empty()) {
    return passed("cron", escaped(fmt::format("{}", fmt::join(facts.files, ", "))));
  }
  auto text = "no line of cron starts " + program;
  if (!facts.unreadable.empty()) {
    text += escaped(fmt::format(" in what this user may read, which {} is not",
                                fmt::join(facts.unreadable, ", ")));
  }
  return warned("cron", text, "install /etc/cron.d/sync-fanout-" + program.substr(5));
}

Check judge_tick(const TickFacts& facts) {
  const std::string way_out = "see cron's log, and that of the ticks";
  if (!facts.begun_ago) return warned("tick", "none has run here", way_out);
  const auto ago = *facts.begun_ago;
  if (facts.is_running) return passed("tick", fmt::format("at work for {} s", ago.count()));
  const auto text = ago < std::chrono::hours(2)
                        ? fmt::format("the last one began {} s ago", ago.count())
                        : fmt::format("the last one began {} h ago", ago.count() / 3600);
  return ago <= kLateTick ? passed("tick", text) : warned("tick", text, way_out);
}

Checks judge_hosts(const HostProbes& probes) {
  Checks all;
  const auto tried = probes.served + probes.faults.size();
  if (tried == 0 && probes.not_tried == 0) {
    return {warned("hosts", "Redis has seen none in ten minutes", "check their cron")};
  }
  std::map<std::string, std::vector<std::string>> by_reason;
  for (const auto& fault : probes.faults) {
    by_reason[without_address(fault)].push_back(fault.host.text());
  }
  for (const auto& [reason, hosts] : by_reason) {
    all.push_back(failed("hosts", fmt::format("{}: {}", host_ranges(hosts, kShown), reason), "",
                         ExitStatus::no_source));
  }
  all.push_back(passed("hosts", fmt::format("{} of {} daemons serve", probes.served, tried)));
  if (probes.not_tried > 0) {
    all.push_back(warned("hosts", fmt::format("{} not tried", probes.not_tried),
                         "the time of a minute is over: correct the others first"));
  }
  return all;
}

}  // namespace libsync
