// Ticks linger, step aside, wait for each other, and end.

#include <gmock/gmock.h>
#include <signal.h>

#include <thread>

#include "fleet.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Ticks : public Fleet {
 protected:
  std::filesystem::path make_payload(const std::string& name, std::size_t bytes = 2'000'000) {
    write_file(source_root() / name, random_bytes(bytes, static_cast<unsigned>(name.size())));
    return source_root() / name;
  }

  bool is_seen(std::size_t count) {
    return eventually([&] {
      return redis.cli({"zcard", "sync:minions"}) == std::to_string(count);
    });
  }

  /// Starts a minion, and returns during its pulls, which last 20 s.
  void start_slow_pulls(Host& host, const std::filesystem::path& payload) {
    set_task(payload);
    ASSERT_EQ(master().run("sync-master", {"--minions", "1", "--piece-size", "4M"}).status, 0);
    host.start("sync-minion", {"--bwlimit", "200"});
    ASSERT_TRUE(eventually([&] { return redis.cli({"hlen", "sync:claims"}) != "0"; }));
    ASSERT_TRUE(eventually([&] { return !pullers_of(host).empty(); }));
  }

  /// Starts a minion that publishes, and returns during its command, which has written to `count`.
  static void start_slow_command(Host& host, const std::filesystem::path& count) {
    host.start("sync-minion",
               {"--after-publish", "echo begun >> '" + count.string() + "'; sleep 60"});
    ASSERT_TRUE(eventually(
        [&] { return std::filesystem::exists(count) && content_of(count) == "begun\n"; }));
  }

  /// The process ids of a host's pulls, without its daemon.
  static std::string pullers_of(const Host& host) {
    return run({"pgrep", "-f", "rsync .*" + host.state().string()}).output;
  }
};

TEST_F(Ticks, OnePassWithNothingToDoEndsQuietlyWithStatusZero) {
  auto& host = add_host();
  EXPECT_EQ(host.run("sync-minion").status, 0) << "before there was any master";
  EXPECT_EQ(master().run("sync-master").status, 0);
  const auto ran = host.run("sync-minion");
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(ran.output, "");
}

TEST_F(Ticks, LingeringTicksDoSeveralTasksOneAfterTheOther) {
  add_hosts(2);
  start_minions();
  start_master();
  ASSERT_TRUE(is_seen(2));
  for (const auto* const name : {"one", "two", "three"}) {
    const auto payload = make_payload(name);
    set_task(payload);
    wait_for_end();
    for (const auto* const host : minions()) expect_published(*host, payload);
  }
}

TEST_F(Ticks, AnIdleMinionAsksRedisTwiceASecondAtMost) {
  add_hosts(1);
  ASSERT_EQ(master().run("sync-master").status, 0);
  start_minions();
  ASSERT_TRUE(is_seen(1));
  // Commands of the functions count as well, and so does the test's own INFO. On a busy machine the
  // last calls of the work before fall into the first window.
  const auto expect_quiet = [&] {
    constexpr int kSeconds = 16;  // More than one visit, so that each window has all that recurs.
    long calls = 0;
    for (int window = 0; window < 3; ++window) {
      const auto before = redis.calls();
      std::this_thread::sleep_for(std::chrono::seconds(kSeconds));
      calls = redis.calls() - before;
      if (calls <= 2 * kSeconds + 1) return;
    }
    ADD_FAILURE() << calls << " calls in " << kSeconds << " s";
  };
  expect_quiet();
  // A host that has finished is as quiet while the run goes on.
  set_task(make_payload("done"));
  ASSERT_EQ(master().run("sync-master", {"--minions", "2"}).status, 0);
  ASSERT_TRUE(
      eventually([&] { return minions().front()->log().find("END rsync") != std::string::npos; }));
  expect_quiet();
}

TEST_F(Ticks, ASecondTickStepsAsideWithStatusZero) {
  add_hosts(1);
  start_master();
  start_minions();
  ASSERT_TRUE(is_seen(1));
  for (auto* const host : {&master(), minions().front()}) {
    const auto* const program = host == &master() ? "sync-master" : "sync-minion";
    const auto second = host->run(program);
    EXPECT_EQ(second.status, 0);
    EXPECT_THAT(second.output,
                HasSubstr("another tick is at work (process " +
                          std::to_string(host->program().pid()) + "): stepping aside"));
    EXPECT_FALSE(host->program().has_ended());
  }
}

TEST_F(Ticks, ATickWaitsAMomentForTheOneBeforeIt) {
  auto& host = add_host();
  host.start("sync-minion", {"--linger", "1s"});
  const auto second = host.run("sync-minion");
  EXPECT_EQ(second.status, 0);
  EXPECT_THAT(second.output, Not(HasSubstr("stepping aside")));
}

TEST_F(Ticks, ATaskThatIsSetDuringARunWaitsAndThenRuns) {
  add_hosts(2);
  start_master({"--minions", "2", "--piece-size", "512K"});
  start_minions({"--bwlimit", "500"});
  const auto first = make_payload("first", 4'000'000);
  const auto second = make_payload("second");
  set_task(first);
  ASSERT_TRUE(eventually([&] { return redis.cli({"exists", "running_queue"}) == "1"; }));
  set_task(second);
  wait_for_end();
  for (const auto* const host : minions()) {
    expect_published(*host, first);
    expect_published(*host, second);
  }
  EXPECT_THAT(master().log(), HasSubstr("another task waits"));
}

TEST_F(Ticks, ARunGivesWayToAWaitingTaskAfterItsGrace) {
  add_hosts(1);
  const auto first = make_payload("first");
  const auto second = make_payload("second");
  start_master({"--inventory", "/dev/stdin", "--minions", "2"});
  EXPECT_EQ(master().program().wait(), 2) << "both options name the expected hosts";
  start_master({"--minions", "2", "--grace", "1s"});
  start_minions();
  set_task(first);
  ASSERT_TRUE(eventually([&] { return redis.cli({"scard", "finished_queue"}) == "1"; }));
  set_task(second);
  ASSERT_TRUE(eventually([&] {
    return redis.cli({"hget", "sync:last", "outcome"}) == "overtaken";
  }));
  ASSERT_TRUE(eventually([&] { return redis.cli({"scard", "finished_queue"}) == "1"; }));
  expect_published(*minions().front(), second);
  EXPECT_EQ(redis.cli({"get", "task"}), second.string());
}

TEST_F(Ticks, AWaitingTaskThatCannotBeDistributedCostsTheRunNothing) {
  add_hosts(1);
  const auto payload = make_payload("first");
  start_master({"--minions", "1", "--grace", "0"});
  set_task(payload);
  ASSERT_TRUE(eventually([&] { return redis.cli({"hget", "sync:run", "state"}) == "staged"; }));
  set_task("/etc/shadow");
  ASSERT_TRUE(eventually([&] { return redis.cli({"get", "task"}) == payload.string(); }));
  EXPECT_EQ(redis.cli({"hget", "sync:last", "outcome"}), "refused");
  start_minions();
  wait_for_end();
  expect_published(*minions().front(), payload);
}

TEST_F(Ticks, AnInventoryNamesTheMissingHosts) {
  add_hosts(1);
  const auto inventory = source_root() / "hosts";
  write_file(inventory,
             "# who is expected\n" + minions().front()->address() + "  # is there\n\n127.9.9.9\n");
  const auto payload = make_payload("partly");
  start_master({"--inventory", inventory.string(), "--quorum", "50", "--deadline", "2s"});
  start_minions();
  set_task(payload);
  wait_for_end();
  EXPECT_THAT(master().log(), HasSubstr("ends without every host (quorum)"));
  expect_published(*minions().front(), payload);
  master().program().signal(SIGTERM);
  EXPECT_EQ(master().program().wait(), 0);
  EXPECT_THAT(master().log(), HasSubstr("not finished: 127.9.9.9"));
}

TEST_F(Ticks, WithoutItsQuorumARunWaitsBeyondItsDeadline) {
  add_hosts(1);
  const auto payload = make_payload("waiting");
  const Words options{"--minions", "3", "--quorum", "60", "--deadline", "1ms"};
  set_task(payload);
  ASSERT_EQ(master().run("sync-master", options).status, 0);
  ASSERT_EQ(minions().front()->run("sync-minion").status, 0);
  EXPECT_THAT(master().run("sync-master", options).output, HasSubstr("nothing to do"));
  ASSERT_EQ(add_host().run("sync-minion").status, 0);
  EXPECT_EQ(master().run("sync-master", options).status, 1);
  EXPECT_EQ(redis.cli({"exists", "task"}), "0");
}

TEST_F(Ticks, DeletingTheTaskCancelsTheRun) {
  add_hosts(2);
  start_master({"--minions", "2", "--piece-size", "1M"});
  start_minions({"--bwlimit", "1m"});
  const auto payload = make_payload("cancelled", 20'000'000);
  set_task(payload);
  ASSERT_TRUE(eventually([&] { return redis.cli({"scard", "running_queue"}) == "2"; }));
  redis.cli({"del", "task"});
  ASSERT_TRUE(eventually([&] { return redis.cli({"exists", "sync:run"}) == "0"; }));
  EXPECT_EQ(redis.cli({"hget", "sync:last", "outcome"}), "cancelled");
  for (const auto* const host : minions()) {
    EXPECT_TRUE(eventually([&] { return pullers_of(*host).empty(); }));
    EXPECT_FALSE(std::filesystem::exists(host->repo() / "cancelled"));
  }
  // Their pieces stay until another task comes.
  const auto cancelled = minions().front()->spools();
  EXPECT_EQ(cancelled.size(), 1U);
  // The fleet then distributes the next task.
  const auto next = make_payload("next");
  set_task(next);
  wait_for_end();
  for (const auto* const host : minions()) expect_published(*host, next);
  for (const auto& spool : cancelled) EXPECT_FALSE(std::filesystem::exists(spool));
}

TEST_F(Ticks, TheSamePathWithNewContentsIsANewTask) {
  add_hosts(1);
  start_master({"--minions", "1", "--piece-size", "1M"});
  start_minions({"--bwlimit", "500"});
  const auto payload = make_payload("model", 4'000'000);
  set_task(payload);
  ASSERT_TRUE(eventually([&] { return redis.cli({"hget", "sync:run", "state"}) == "staged"; }));
  write_file(payload, random_bytes(1'000'000, 77));
  wait_for_end();
  expect_published(*minions().front(), payload);
}

TEST_F(Ticks, TermEndsTheChildrenAndGivesTheClaimsBack) {
  auto& host = add_host();
  const auto payload = make_payload("stopped", 30'000'000);
  ASSERT_NO_FATAL_FAILURE(start_slow_pulls(host, payload));
  auto& program = host.program();
  program.signal(SIGTERM);
  EXPECT_EQ(program.wait(), 0);
  EXPECT_TRUE(eventually([&] { return pullers_of(host).empty(); }, std::chrono::seconds(5)));
  EXPECT_EQ(redis.cli({"exists", "running_queue", "sync:claims", "sync:uploads"}), "0");
  EXPECT_EQ(redis.cli({"smembers", "synchronize_queue"}), master().address());
}

TEST_F(Ticks, KillLeavesNoChildAndNoLock) {
  auto& host = add_host();
  const auto payload = make_payload("killed", 30'000'000);
  ASSERT_NO_FATAL_FAILURE(start_slow_pulls(host, payload));
  auto& program = host.program();
  program.signal(SIGKILL);
  static_cast<void>(program.wait());
  EXPECT_TRUE(eventually([&] { return pullers_of(host).empty(); }, std::chrono::seconds(5)));
  const auto next = host.run("sync-minion");
  EXPECT_EQ(next.status, 0) << next.output;
  EXPECT_THAT(next.output, Not(HasSubstr("stepping aside")));
  expect_published(host, payload);
}

TEST_F(Ticks, AMasterKilledWhileStagingGoesOnInItsNextTick) {
  add_hosts(1);
  const auto payload = make_payload("half-staged", 200'000'000);
  set_task(payload);
  auto& program = master().start("sync-master", {"--minions", "1", "--piece-size", "1M"});
  ASSERT_TRUE(eventually([&] { return std::stol(redis.cli({"strlen", "sync:digests"})) > 32; }));
  program.signal(SIGKILL);
  static_cast<void>(program.wait());
  const auto id = redis.cli({"hget", "sync:run", "id"});
  start_minions();
  const auto next = master().run("sync-master", {"--minions", "1", "--piece-size", "1M"});
  EXPECT_EQ(next.status, 0) << next.output;
  EXPECT_EQ(redis.cli({"hget", "sync:run", "state"}), "staged") << next.output;
  EXPECT_EQ(redis.cli({"hget", "sync:run", "id"}), id) << next.output;
  ASSERT_TRUE(eventually([&] { return redis.cli({"scard", "finished_queue"}) == "1"; }));
  expect_published(*minions().front(), payload);
}

TEST_F(Ticks, AMinionRunsItsCommandAfterPublishing) {
  auto& host = add_host();
  const auto payload = make_payload("two words");
  set_task(payload);
  ASSERT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
  const auto written = host.folder() / "written";
  EXPECT_EQ(host.run("sync-minion",
                     {"--after-publish", "cmp \"$SYNC_FANOUT_PATH\" '" + payload.string() +
                                             "' && printf done > '" + written.string() + "'"})
                .status,
            0);
  EXPECT_EQ(content_of(written), "done");
}

TEST_F(Ticks, TheNextTickRepeatsACommandThatAKillCutShortAndOnlyAfterASwap) {
  auto& host = add_host();
  const auto payload = make_payload("model");
  const auto count = host.folder() / "count";
  set_task(payload);
  ASSERT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
  ASSERT_NO_FATAL_FAILURE(start_slow_command(host, count));
  host.program().signal(SIGKILL);
  static_cast<void>(host.program().wait());
  const Words option{"--after-publish", "echo done >> '" + count.string() + "'"};
  EXPECT_EQ(host.run("sync-minion", option).status, 0);
  EXPECT_EQ(content_of(count), "begun\ndone\n");
  EXPECT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);

  set_task(payload);
  ASSERT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
  EXPECT_EQ(host.run("sync-minion", option).status, 0);
  EXPECT_EQ(content_of(count), "begun\ndone\n") << "the host swapped nothing";
}

TEST_F(Ticks, TheNextTickRepeatsACommandThatTermCutShort) {
  auto& host = add_host();
  set_task(make_payload("model"));
  const auto count = host.folder() / "count";
  ASSERT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
  ASSERT_NO_FATAL_FAILURE(start_slow_command(host, count));
  host.program().signal(SIGTERM);
  EXPECT_EQ(host.program().wait(), 0);
  EXPECT_EQ(
      host.run("sync-minion", {"--after-publish", "echo done >> '" + count.string() + "'"}).status,
      0);
  EXPECT_EQ(content_of(count), "begun\ndone\n");
}

// The tick of a server that `nohup server &` starts ends at once, and the server serves on.
TEST_F(Ticks, ACommandLeavesAServerBehindWithTheUmaskOfTheTick) {
  auto& host = add_host();
  set_task(make_payload("model"));
  ASSERT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
  const auto server = host.folder() / "server";
  write_file(server, "trap 'touch " + (host.folder() / "ended").string() +
                         "; exit' USR1\n"
                         "echo $$ > " +
                         (host.folder() / "pid").string() +
                         "\nwhile :; do echo '<serving>' && touch " +
                         (host.folder() / "served").string() + "; sleep 0.1; done\n");
  const auto begun = std::chrono::steady_clock::now();
  const auto ran = run({"sh", "-c", "umask 013; \"$0\" --config \"$1\" --after-publish \"$2\"",
                        program_path("sync-minion"), (host.folder() / "sync.toml").string(),
                        "umask; nohup bash " + server.string() + " &"});
  EXPECT_EQ(ran.status, 0) << ran.output;
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(20));
  EXPECT_THAT(ran.output, HasSubstr("output of --after-publish for 'model':\n  0013\n"));
  std::filesystem::remove(host.folder() / "served");
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(host.folder() / "served"); }));
  EXPECT_EQ(run({"sh", "-c", "kill -USR1 $(cat " + (host.folder() / "pid").string() + ")"}).status,
            0);
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(host.folder() / "ended"); }));
}

// One reader has its working folder there, and one a descriptor of the folder.
TEST_F(Ticks, AReplacedFolderStaysReadableUntilTheCommandHasEndedAndALaterTickDeletesIt) {
  auto& host = add_host();
  const auto payload = source_root() / "model";
  write_file(payload / "one", "former");
  write_file(host.repo() / "model" / "own", "of this host");
  write_file(host.repo() / "model" / "one", "former");
  set_task(payload);
  write_file(payload / "one", "new");
  ASSERT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
  const auto seen = host.folder() / "seen";
  Background reader({"sh", "-c",
                     "cd '" + (host.repo() / "model").string() +
                         "' && exec 7<. || exit 1\n"
                         "while [ ! -e '" +
                         (host.folder() / "look").string() +
                         "' ]; do sleep 0.05; done\n"
                         "cat one own /proc/self/fd/7/own > '" +
                         seen.string() +
                         "'\n"
                         "touch '" +
                         (host.folder() / "looked").string() +
                         "'\n"
                         "while ls own > /dev/null 2>&1; do sleep 0.05; done; exit 0"},
                    host.folder() / "reader.log");
  ASSERT_TRUE(eventually([&] {
    return run({"sh", "-c",
                "ls -l /proc/[0-9]*/cwd | grep -q '" + host.repo().string() + "/model'"})
               .status == 0;
  }));
  const auto ran = host.run("sync-minion",
                            {"--keep-replaced", "0", "--after-publish",
                             "touch '" + (host.folder() / "look").string() + "'; while [ ! -e '" +
                                 (host.folder() / "looked").string() + "' ]; do sleep 0.05; done"});
  EXPECT_EQ(ran.status, 0) << ran.output;
  EXPECT_EQ(content_of(seen), "formerof this hostof this host");
  EXPECT_THAT(ran.output, HasSubstr("the folder 'model' had 1 files that the new payload does not "
                                    "have, and they go with it: 'own'"));
  EXPECT_EQ(content_of(host.repo() / "model" / "one"), "new");
  EXPECT_EQ(host.run("sync-minion").status, 0);
  EXPECT_EQ(reader.wait(), 0) << "it is deleted now";
}

// The daemon of another user cannot read it.
TEST_F(Ticks, AReplacedFolderIsPrivateAndALaterTickDeletesItWhenTheRunHasEnded) {
  auto& host = add_host();
  const auto payload = source_root() / "model";
  write_file(payload / "one", "new");
  write_file(host.repo() / "model" / "one", "former\n");
  set_task(payload);
  ASSERT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
  ASSERT_EQ(host.run("sync-minion").status, 0);
  ASSERT_EQ(host.run("sync-minion").status, 0);
  const auto top = host.state() / "replaced";
  EXPECT_EQ(run({"stat", "-c", "%a", top.string()}).output, "700\n");
  EXPECT_EQ(run({"sh", "-c", "cat '" + top.string() + "'/*/payload/one"}).output, "former\n");
  const auto pulled = [&](const std::string& name) {
    return run({"sh", "-c",
                "echo \"$1\" | rsync --files-from=- --password-file=\"$2/rsync.password\" "
                "\"rsync://sre@$3:8730/repo/\" \"$2/pulled/\"",
                "sh", name, host.folder().string(), host.address()});
  };
  EXPECT_EQ(pulled("model/one").status, 0) << "the daemon serves";
  // The daemon of a user who is not root has that user's own rights.
  if (geteuid() == 0) {
    const auto version = std::filesystem::directory_iterator(top)->path().filename().string();
    const auto refused = pulled(".libsync/replaced/" + version + "/payload/one");
    EXPECT_EQ(refused.status, 23);
    EXPECT_THAT(refused.errors, HasSubstr("Permission denied"));
  }
  ASSERT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
  ASSERT_EQ(host.run("sync-minion").status, 0);
  EXPECT_FALSE(std::filesystem::exists(top));
}

TEST_F(Ticks, ACommandThatFailsIsReported) {
  auto& host = add_host();
  const auto payload = make_payload("hooked");
  set_task(payload);
  ASSERT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
  const auto ran = host.run("sync-minion", {"--after-publish", "echo no such service >&2; exit 3"});
  EXPECT_EQ(ran.status, 4);
  EXPECT_THAT(ran.output, HasSubstr("--after-publish ended with status 3: no such service"));
  expect_published(host, payload);
}

}  // namespace
}  // namespace libsync::test
