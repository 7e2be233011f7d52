#include "programs/check_host.h"

#include <fmt/format.h>

#include <functional>
#include <optional>

#include "feed/host_probes.h"
#include "feed/own_feed.h"
#include "libsync/core/escaped_text.h"
#include "libsync/core/state_folder_name.h"
#include "os/files.h"
#include "os/stop_signal.h"
#include "os/system_clock.h"
#include "programs/check.h"
#include "programs/hosts.h"
#include "programs/options.h"
#include "store/check_folder.h"
#include "store/repo_facts.h"

namespace libsync {
namespace {

class HostCheck {
 public:
  HostCheck(const HostConfig& config, const CheckFrame& frame)
      : config_(config), frame_(frame), coordinator_(coordinator_options(config)) {}

  ExitStatus run() {
    check_configuration();
    check_redis();
    check_address();
    check_repo();
    check_rsync();
    check_feed();
    say(judge_cron(cron_facts(frame_.program), frame_.program));
    check_tick();
    if (frame_.role == Role::master) check_hosts();
    return exit_status_of(checks_);
  }

 private:
  void say(const Check& check) {
    print(line_of(check));
    checks_.push_back(check);
  }
  void say(const Checks& checks) {
    for (const auto& check : checks) say(check);
  }

  void check_configuration();
  void check_redis();
  void check_address();
  void check_repo();
  void check_rsync();
  void check_feed();
  void check_tick();
  void check_hosts();

  const HostConfig& config_;
  const CheckFrame& frame_;
  SystemClock clock_;
  StopSignal stop_;
  RedisCoordinator coordinator_;
  Checks checks_;
  bool has_redis_ = false;
  std::optional<Address> self_;
  std::optional<CheckFolder> folder_;
  std::optional<RsyncOptions> rsync_;
};

void HostCheck::check_configuration() {
  const auto file = escaped(frame_.config_file);
  const bool is_there = !file.empty() && status_of(std::filesystem::path(frame_.config_file));
  say(passed("config", is_there ? "'" + file + "' and the options are valid"
                                : "the options are valid; there is no '" + file + "'"));
  if (frame_.role == Role::master && frame_.source_roots.empty()) {
    say(failed("sources", "--source-root must be given", "name the folders that tasks may lie in",
               ExitStatus::usage));
  }
  for (const auto& root : frame_.source_roots) {
    const auto name = "'" + escaped(root.string()) + "'";
    if (status_of(root)) {
      say(passed("sources", name));
    } else {
      say(warned("sources", "--source-root " + name + " is not there",
                 "make the folder, or correct the name"));
    }
  }
}

void HostCheck::check_redis() {
  const auto facts = server_facts(coordinator_options(config_), frame_.role);
  has_redis_ = !facts.connect_fault;
  say(judge_redis(facts, {.server = config_.redis.shown(),
                          .user = config_.redis.user,
                          .prefix = config_.prefix,
                          .role = frame_.role,
                          .digest = std::string(functions_digest())}));
}

void HostCheck::check_address() {
  const std::string name = "address";
  if (!config_.address && !has_redis_) {
    return say(warned(name, "not known while Redis does not answer", "see redis"));
  }
  try {
    self_ = own_address(config_, coordinator_);
  } catch (const UsageError& error) {
    return say(failed(name, error.what(), "", ExitStatus::usage));
  } catch (const Failure& failure) {
    return say(failed(name, failure));
  }
  if (is_within(*self_, config_.peers)) {
    return say(passed(name, self_->text() + " lies in --peers"));
  }
  say(failed(name,
             fmt::format("{} lies outside --peers, so no host would pull from it", self_->text()),
             "name the ranges of all hosts, or correct --address", ExitStatus::usage));
}

void HostCheck::check_repo() {
  RepoNeed need{.role = frame_.role};
  try {
    if (has_redis_) {
      const auto pulse = coordinator_.pulse();
      if (pulse.run) need.run_bytes = pulse.run->bytes;
    }
  } catch (const Failure&) {
    need.run_bytes = 0;  // A line about Redis has said so.
  }
  try {
    // A host that is new has none, and stays without.
    if (status_of(config_.repo / kStateFolderName)) static_cast<void>(StateFolder(config_.repo));
    folder_.emplace(config_.repo, clock_.wall());
    say(judge_repo(repo_facts(*folder_), need));
  } catch (const Failure& failure) {
    say(failed("repo", failure));
  }
}

void HostCheck::check_rsync() {
  try {
    rsync_ = rsync_options(config_, clock_, stop_);
    rsync_->push_module = rsync_->module;
    say(passed("rsync", "'" + escaped(rsync_->program.string()) + "'"));
  } catch (const Failure& failure) {
    say(failed("rsync", failure));
  }
}

void HostCheck::check_feed() {
  if (!frame_.serves) {
    return say(passed("rsyncd", "not needed with --push-to, whose host serves"));
  }
  if (!self_ || !folder_ || !rsync_) {
    return say(warned("rsyncd", "not tried", "see the lines above"));
  }
  const bool has_user = !config_.rsync_user.empty();
  try {
    RsyncTransfer peer(*rsync_, clock_);
    auto anonymous = *rsync_;
    anonymous.user.clear();
    anonymous.password_file.clear();
    RsyncTransfer stranger(anonymous, clock_);
    const auto facts =
        own_feed(peer, has_user ? &stranger : nullptr, clock_, *self_, *folder_, stop_);
    say(judge_feed(facts, {.address = self_->text(),
                           .port = config_.rsync_port,
                           .module = config_.module,
                           .has_user = has_user}));
  } catch (const Failure& failure) {
    say(failed("rsyncd", failure));
  }
  const auto daemon = daemon_config(*self_, config_.rsync_port, config_.module);
  say(judge_no_delay(daemon));
  say(judge_connections(daemon));
}

void HostCheck::check_tick() {
  if (!folder_) return;
  try {
    const auto lock = StateFolder::lock_path(folder_->state_folder(), frame_.role);
    say(judge_tick(tick_facts(lock, clock_)));
  } catch (const Failure& failure) {
    say(failed("tick", failure));
  }
}

void HostCheck::check_hosts() {
  if (!has_redis_ || !folder_ || !rsync_) {
    return say(warned("hosts", "not tried", "see the lines above"));
  }
  try {
    const auto seen =
        usable_addresses(hosts_of(coordinator_.status(), HostFilter::seen), config_.peers);
    RsyncTransfer transfer(*rsync_, clock_);
    say(judge_hosts(probe_hosts(transfer, clock_, seen, folder_->make("hosts"), &stop_)));
  } catch (const Failure& failure) {
    say(failed("hosts", failure));
  }
}

}  // namespace

ExitStatus check_host(const HostConfig& config, const CheckFrame& frame) {
  return HostCheck(config, frame).run();
}

}  // namespace libsync
