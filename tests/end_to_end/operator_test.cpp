// An operator asks by status, wait and hosts, on real runs.

#include <gmock/gmock.h>

#include "fleet.h"

namespace libsync::test {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

class Operator : public Fleet {
 protected:
  std::string make_payload(const std::string& name, std::size_t bytes) {
    write_file(source_root() / name, random_bytes(bytes, 5));
    return (source_root() / name).string();
  }
  Ran ask(const Words& options) { return master().run("sync-master", options); }
};

// It is over before wait has connected, or not: both end well.
TEST_F(Operator, WaitsForARunOfAKilobyte) {
  auto& host = add_host();
  start_minions();
  start_master({"--minions", "1"});
  const auto path = make_payload("small", 1000);
  set_task(path);
  auto ran = ask({"wait", path, "--for", "30s"});
  EXPECT_EQ(ran.status, 0) << ran.errors;
  EXPECT_THAT(ran.output, EndsWith(path + ": complete, 1 of 1 hosts\n"));
  expect_published(host, path);
  ran = ask({"wait", path});
  EXPECT_EQ(ran.status, 0) << "it ended less than a minute ago";
  ran = ask({"wait"});
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.output, HasSubstr("nothing to wait for"));
  EXPECT_EQ(ask({"wait", path + "/"}).status, 0);
  EXPECT_EQ(ask({"wait", "/data1/other"}).status, 2);
  EXPECT_EQ(ask({"wait", ""}).status, 2) << "an unset variable is no path";
  EXPECT_EQ(ask({"hosts", "--last", "--state", "silent"}).status, 2);
  const auto full = run({"sh", "-c", "\"$0\" --config \"$1\" hosts > /dev/full",
                         program_path("sync-master"), (master().folder() / "sync.toml").string()});
  EXPECT_EQ(full.status, 4);
  EXPECT_THAT(ask({"status"}).output, HasSubstr("last     " + path + " complete: 1 of 1 hosts"));
  EXPECT_EQ(ask({"status", "--exit-code"}).status, 0);
  const auto metrics = ask({"status", "--prometheus"}).output;
  EXPECT_THAT(metrics, HasSubstr("\nsync_fanout_last_run_complete 1\n"));
  EXPECT_EQ(run({"promtool", "check", "metrics"}, metrics).status, 0) << metrics;
  EXPECT_EQ(ask({"status", "--prometheus", "--json"}).status, 2);
  EXPECT_EQ(ask({"hosts"}).output, host.address() + "\n");
  EXPECT_EQ(ask({"hosts", "--last", "--state", "finished"}).output, host.address() + "\n");
}

TEST_F(Operator, LearnsThatTheTimeOfAWaitIsUpAndWhichHostsAreMissing) {
  auto& host = add_host();
  const auto path = make_payload("model", 100'000);
  set_task(path);
  ASSERT_EQ(ask({"--minions", "2"}).status, 0);
  ASSERT_EQ(host.run("sync-minion").status, 0);
  auto ran = ask({"wait", path, "--for", "1s"});
  EXPECT_EQ(ran.status, 124);
  EXPECT_THAT(ran.output, EndsWith("time is up: the run goes on\n"));
  EXPECT_THAT(ask({"status"}).output, HasSubstr("2 expected: 1 finished, 0 failed, 1 never came"));
  redis.cli({"del", "task"});
  ASSERT_EQ(ask({"--minions", "2"}).status, 1);
  ran = ask({"wait", path});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.output, EndsWith(path + ": cancelled, 1 of 2 hosts\n"));
  EXPECT_EQ(ask({"status", "--exit-code"}).status, 1);
  set_task("relative");
  EXPECT_EQ(ask({"wait", "/data1/other"}).status, 1);
}

TEST_F(Operator, LearnsFromWaitWhyHostsAreMissing) {
  auto& host = add_host();
  const auto path = make_payload("model", 100'000);
  std::filesystem::create_symlink("elsewhere", host.repo() / "model");
  set_task(path);
  ASSERT_EQ(ask({"--minions", "2"}).status, 0);
  EXPECT_EQ(host.run("sync-minion").status, 4);
  redis.cli({"del", "task"});
  ASSERT_EQ(ask({"--minions", "2"}).status, 1);
  const auto ran = ask({"wait", path});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.output,
              HasSubstr(path + ": cancelled, 0 of 2 hosts\nmissing  " + host.address() + ": "));
  EXPECT_THAT(ran.output, HasSubstr("symlink"));
}

TEST_F(Operator, SeesAHostWithoutAFeedAndAFailedHook) {
  auto& silent = add_host();
  auto& hooked = add_host();
  const auto path = make_payload("model", 100'000);
  set_task(path);
  ASSERT_EQ(ask({"--minions", "3"}).status, 0);
  silent.stop_daemon();
  EXPECT_EQ(silent.run("sync-minion").status, 0);
  EXPECT_EQ(hooked.run("sync-minion", {"--after-publish", "exit 7"}).status, 4);
  const auto status = ask({"status"}).output;
  EXPECT_THAT(status, HasSubstr("no feed  " + silent.address() + ": "));
  EXPECT_THAT(status, HasSubstr("hook     " + hooked.address() + ": "));
  EXPECT_EQ(ask({"hosts", "--state", "no-feed"}).output, silent.address() + "\n");
  redis.cli({"del", "task"});
  ASSERT_EQ(ask({"--minions", "3"}).status, 1);
  EXPECT_THAT(ask({"status"}).output, HasSubstr("hook     " + hooked.address() + ": "));
}

// The log of the master, wait and status agree. The second failure comes after the end of the run.
TEST_F(Operator, SeesInTheOutcomeWhichHooksFailed) {
  auto& first = add_host();
  auto& last = add_host();
  const auto path = make_payload("model", 100'000);
  set_task(path);
  ASSERT_EQ(ask({"--minions", "2"}).status, 0);
  EXPECT_EQ(first.run("sync-minion", {"--after-publish", "printf '<script>\\377'; exit 7"}).status,
            4);
  const auto go = last.folder() / "go";
  auto& ticking = last.start("sync-minion",
                             {"--linger", "0", "--after-publish",
                              "while [ ! -e " + go.string() + " ]; do sleep 0.05; done; exit 8"});
  ASSERT_TRUE(eventually([&] { return redis.cli({"scard", "finished_queue"}) == "2"; }));
  const auto ended = ask({"--minions", "2"});
  EXPECT_EQ(ended.status, 0) << ended.output;
  const auto outcome = "complete, hook failed on " + first.address();
  EXPECT_THAT(ended.output, HasSubstr("of '" + path + "': " + outcome + ", 2 of 2 hosts"));
  EXPECT_THAT(ask({"wait", path}).output, HasSubstr(path + ": " + outcome + ", 2 of 2 hosts\n"));
  EXPECT_THAT(ask({"status"}).output, HasSubstr("last     " + path + " " + outcome + ": 2 of 2"));
  EXPECT_THAT(ask({"status"}).output, HasSubstr("status 7: <script>\\\\xff\n"));
  write_file(go, "");
  EXPECT_EQ(ticking.wait(), 4);
  const auto status = ask({"status"}).output;
  EXPECT_THAT(status,
              testing::ContainsRegex("complete, hook failed on 127[^:]*\\[?[0-9,-]+\\]?: 2"));
  EXPECT_THAT(status, HasSubstr("hook     " + last.address() + ": --after-publish ended with"));
  EXPECT_THAT(ask({"status", "--json"}).output, HasSubstr("\"hook_failed\":[\"" + first.address() +
                                                          "\",\"" + last.address() + "\"]"));
}

}  // namespace
}  // namespace libsync::test
