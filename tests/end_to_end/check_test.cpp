// `check` on real hosts: a healthy pair beside its ticks, and one fault after the other.

#include <gmock/gmock.h>

#include "redis_users.h"

namespace libsync::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

class Check : public Fleet {
 protected:
  // All files below a repo, with their sizes, modes, times and inodes.
  static std::string files_of(const Host& host) {
    return run({"sh", "-c", "find \"$0\" ! -name check-\\* -printf '%p %y %m %s %i\\n' | sort",
                host.repo().string()})
        .output;
  }
  void change_daemon(const Host& host, const std::string& script) {
    const auto changed = run({"sed", "-i", script, (host.folder() / "rsyncd.conf").string()});
    ASSERT_EQ(changed.status, 0) << changed.errors;
  }
  // The text names the line, its cause and its way out.
  void expect_fault(const Host& host, const Words& options, int status, const std::string& line) {
    Words words = options;
    words.emplace_back("check");
    const auto ran = host.run("sync-minion", words);
    EXPECT_EQ(ran.status, status) << ran.output << ran.errors;
    EXPECT_THAT(ran.output, HasSubstr(line));
  }
};

TEST_F(Check, FindsAHealthyPairInOrderBesideItsTicks) {
  auto& host = add_host();
  load_users(redis);
  const auto of_master = options_of(master(), redis, "master");
  const auto of_minion = options_of(host, redis, "minion");
  const auto with = [](Words options, const Words& more) {
    options.insert(options.end(), more.begin(), more.end());
    return options;
  };
  start_master(with(of_master, {"--minions", "1"}));
  host.start("sync-minion", with(of_minion, {"--linger", "60s"}));
  write_file(source_root() / "small", random_bytes(1000, 1));
  set_task(source_root() / "small");
  wait_for_end();
  // The minion deletes its spool, and lingers.
  ASSERT_TRUE(eventually([&] {
    return files_of(host).find("owner-minion") == std::string::npos &&
           redis.cli({"exists", "sync:lingering"}) == "1";
  }));
  const auto before = files_of(host);
  const auto keys = redis.cli({"dbsize"});
  auto ran = host.run("sync-minion", with(of_minion, {"check"}));
  EXPECT_EQ(ran.status, 0) << ran.output << ran.errors;
  EXPECT_THAT(ran.output, Not(HasSubstr("FAIL")));
  for (const auto* const name :
       {"config", "redis", "login", "functions", "rights", "eviction", "address", "repo", "owner",
        "exchange", "blocks", "rsync", "rsyncd", "serves", "nodelay", "limit", "tick"}) {
    EXPECT_THAT(ran.output, HasSubstr("ok    " + std::string(name) + " ")) << name;
  }
  EXPECT_THAT(ran.output, HasSubstr("tick       at work for"));
  EXPECT_EQ(files_of(host), before);
  ran = master().run("sync-master", with(of_master, {"check"}));
  EXPECT_EQ(ran.status, 0) << ran.output << ran.errors;
  EXPECT_THAT(ran.output,
              AllOf(HasSubstr("ok    rights "), HasSubstr("ok    sources "),
                    HasSubstr("ok    hosts      1 of 1 daemons serve"), Not(HasSubstr("FAIL"))));
  EXPECT_EQ(redis.cli({"dbsize"}), keys);
}

TEST_F(Check, LeavesAFreshHostAsItWas) {
  auto& host = add_host();
  const auto before = run({"find", host.repo().string()}).output;
  const auto ran = host.run("sync-minion", {"check"});
  EXPECT_THAT(ran.output, AllOf(HasSubstr("ok    rsyncd "), HasSubstr("ok    serves "),
                                HasSubstr("tick       none has run here")));
  EXPECT_FALSE(std::filesystem::exists(host.state()));

  const auto names = run({"find", host.repo().string()}).output;
  EXPECT_EQ(names, before);
}

TEST_F(Check, NamesWhatIsWrongWithTheDaemon) {
  auto& host = add_host();
  const auto config = content_of(host.folder() / "rsyncd.conf");
  const auto restore = [&] { write_file(host.folder() / "rsyncd.conf", config); };
  const auto password = host.folder() / "wrong.password";
  write_file(password, "another\n");
  std::filesystem::permissions(password, std::filesystem::perms(0600));
  expect_fault(host, {"--rsync-password-file", password.string()}, 5,
               "auth failed on module repo: correct --rsync-user and --rsync-password-file here");
  change_daemon(host, "s/^\\[repo\\]/[other]/");
  expect_fault(host, {}, 5, "Unknown module 'repo': correct --module here");
  restore();
  change_daemon(host, "s/^hosts allow.*/hosts allow = 10.9.9.9/");
  expect_fault(host, {}, 5, "or 'hosts allow' in its rsyncd.conf");
  restore();
  change_daemon(host, "s/^list = no/list = no\\nexclude = .libsync/");
  expect_fault(host, {}, 5, "drop 'exclude' and 'filter', in its rsyncd.conf");
  restore();
  change_daemon(host,
                "s/^read only = yes/read only = no/; /^auth users/d; /^refuse options/d; "
                "/^socket options/d; s/^uid = .*/uid = root/; s/^gid = .*/gid = root/");
  const auto before = files_of(host);
  const auto ran = host.run("sync-minion", {"check"});
  EXPECT_EQ(ran.status, 0) << "it works: " << ran.output;
  EXPECT_THAT(ran.output, AllOf(HasSubstr("warn  serves     the module serves hosts without"),
                                HasSubstr("warn  serves     hosts can write through the module"),
                                HasSubstr("warn  serves     the module serves files that only"),
                                HasSubstr("rsyncd.conf does not set TCP_NODELAY")));
  EXPECT_EQ(files_of(host), before);
  restore();
  expect_fault(host, {"--rsync-port", "8731"}, 5,
               "Connection refused (111): start its rsync daemon");
}

TEST_F(Check, NamesWhatIsWrongWithTheRest) {
  auto& host = add_host();
  ASSERT_EQ(master().run("sync-master").status, 0);
  expect_fault(host, {"--peers", "10.0.0.0/8"}, 2, "lies outside --peers");
  expect_fault(host, {"--linger", "7x"}, 2, "FAIL  config     --linger '7x' is not a duration");
  expect_fault(host, {"--repo", "/nonexistent"}, 4,
               "FAIL  repo       --repo '/nonexistent' is not");
  std::filesystem::permissions(host.repo(), std::filesystem::perms(0777));
  expect_fault(host, {}, 4, "FAIL  owner      '");
  std::filesystem::permissions(host.repo(), std::filesystem::perms(0755));
  load_users(redis);
  redis.cli({"acl", "setuser", "minion", "-sscan", "resetkeys", "~sync:*"});
  expect_fault(host, options_of(host, redis, "minion"), 3,
               "user 'minion' lacks +sscan %R~task ~synchronize_queue ~running_queue "
               "~finished_queue: give the users the rules of this version");
  const auto url = redis.url();
  redis.stop();
  expect_fault(host, {"--redis", url}, 3, "FAIL  redis      Redis at redis://");
}

TEST_F(Check, NamesTheHostsWhoseDaemonsDoNotServe) {
  const auto hosts = add_hosts(3);
  ASSERT_EQ(master().run("sync-master").status, 0);
  for (auto* const host : hosts) ASSERT_EQ(host->run("sync-minion").status, 0);
  hosts[0]->stop_daemon();
  hosts[1]->freeze_daemon();
  const auto ran = master().run("sync-master", {"check"});
  hosts[1]->thaw_daemon();
  EXPECT_EQ(ran.status, 5) << ran.output << ran.errors;
  const auto& [dead, frozen] = std::pair(hosts[0]->address(), hosts[1]->address());
  EXPECT_THAT(ran.output, HasSubstr("FAIL  hosts      " + dead + ": rsync: "));
  EXPECT_THAT(ran.output, HasSubstr("FAIL  hosts      " + frozen + ": rsync has not answered"));
  EXPECT_THAT(ran.output, HasSubstr("ok    hosts      1 of 3 daemons serve\n"));
}

}  // namespace
}  // namespace libsync::test
