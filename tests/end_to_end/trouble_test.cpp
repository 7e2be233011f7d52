// A broken world: a program logs one line with the cause and the way out, and ends with the right
// status. The next tick goes on.

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "fleet.h"

namespace libsync::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Trouble : public Fleet {
 protected:
  std::filesystem::path staged_payload(const std::string& name, std::size_t bytes = 3'000'000) {
    write_file(source_root() / name, random_bytes(bytes, 5));
    set_task(source_root() / name);
    const auto ran = master().run("sync-master", {"--minions", "1", "--piece-size", "1M"});
    EXPECT_EQ(ran.status, 0) << ran.output;
    return source_root() / name;
  }

  // Runs a script, which calls a tick as `tick`, in a namespace where any user may mount. The
  // host's daemon does not see these mounts, so the host may offer nothing.
  static Ran run_with_mounts(const Host& host, const std::string& script) {
    return run({"unshare", "--user", "--map-root-user", "--mount", "bash", "-c",
                "minion=$0 repo=$1 file=$2\n"
                "tick() { \"$minion\" --config \"$file\" --linger 0; }\n" +
                    script,
                program_path("sync-minion"), host.repo().string(),
                (host.folder() / "sync.toml").string()});
  }
};

TEST_F(Trouble, RedisDownIsStatusThree) {
  auto& host = add_host();
  redis.stop();
  for (const auto& ran : {host.run("sync-minion"), master().run("sync-master"),
                          master().run("sync-master", {"status"})}) {
    EXPECT_EQ(ran.status, 3);
    EXPECT_THAT(ran.output, AllOf(HasSubstr("Redis at redis://"), HasSubstr("Connection refused"),
                                  HasSubstr("start it, or correct --redis")));
  }
  redis.start();
  EXPECT_EQ(master().run("sync-master").status, 0);
  EXPECT_EQ(host.run("sync-minion").status, 0);
}

TEST_F(Trouble, ALingeringTickReconnectsUntilItsTimeIsUp) {
  auto& host = add_host();
  ASSERT_EQ(master().run("sync-master").status, 0);
  host.start("sync-minion", {"--linger", "4s"});
  ASSERT_TRUE(eventually([&] { return redis.cli({"zcard", "sync:minions"}) == "1"; }));
  redis.stop();
  EXPECT_EQ(host.program().wait(), 3);
  host.start("sync-minion", {"--linger", "120s"});
  redis.start();
  start_master({"--minions", "1"});
  write_file(source_root() / "after", "content");
  set_task(source_root() / "after");
  wait_for_end();
  expect_published(host, source_root() / "after");
}

TEST_F(Trouble, ARedisThatLosesItsDataDuringARunCostsTimeOnly) {
  add_hosts(3);
  const auto payload = source_root() / "forgotten";
  write_file(payload, random_bytes(12'000'000, 1));
  start_master({"--minions", "3", "--piece-size", "1M"});
  start_minions({"--bwlimit", "2m"});
  ASSERT_TRUE(eventually([&] { return redis.cli({"zcard", "sync:minions"}) == "3"; }));
  set_task(payload);
  ASSERT_TRUE(eventually([&] { return redis.cli({"scard", "running_queue"}) == "3"; }));
  redis.stop();
  redis.start();
  ASSERT_TRUE(eventually([&] {
    return redis.cli({"hget", "sync:last", "outcome"}) == "complete";
  })) << master().log();
  for (const auto* const host : minions()) expect_published(*host, payload);
  EXPECT_THAT(master().log(), HasSubstr("going on with"));
}

TEST_F(Trouble, AWrongRedisPasswordIsStatusThreeAtOnce) {
  auto& host = add_host();
  redis.cli({"config", "set", "requirepass", "right-one"});
  const auto without = host.run("sync-minion", {"--linger", "120s"});
  EXPECT_EQ(without.status, 3);
  EXPECT_THAT(without.output, HasSubstr("name its password with --redis-password-file"));
  const auto file = host.folder() / "redis.password";
  write_file(file, "wrong-one\n");
  chmod(file.c_str(), 0600);
  const auto wrong =
      host.run("sync-minion", {"--linger", "120s", "--redis-password-file", file.string()});
  EXPECT_EQ(wrong.status, 3);
  EXPECT_THAT(wrong.output,
              AllOf(HasSubstr("correct --redis-password-file"), Not(HasSubstr("wrong-one"))));
  write_file(file, "right-one\n");
  EXPECT_EQ(host.run("sync-minion", {"--redis-password-file", file.string()}).status, 0);
}

TEST_F(Trouble, AHungRedisIsGivenUpAfterABoundedTime) {
  auto& host = add_host();
  kill(redis.pid(), SIGSTOP);
  const auto ran = host.run("sync-minion");
  kill(redis.pid(), SIGCONT);
  EXPECT_EQ(ran.status, 3);
  EXPECT_THAT(ran.output, HasSubstr("no answer within 2 s"));
}

TEST_F(Trouble, ASourceWithoutItsDaemonIsStatusFive) {
  auto& host = add_host();
  const auto payload = staged_payload("unreachable");
  master().stop_daemon();
  const auto ran = host.run("sync-minion");
  EXPECT_EQ(ran.status, 5) << ran.output;
  EXPECT_THAT(ran.output, AllOf(HasSubstr("no usable source"), HasSubstr("Connection refused"),
                                HasSubstr("start its rsync daemon")));
  EXPECT_THAT(master().run("sync-master", {"status"}).output,
              AllOf(HasSubstr("1 failed"), HasSubstr("Connection refused")));
  master().start_daemon();
  EXPECT_EQ(host.run("sync-minion").status, 0);
  expect_published(host, payload);
}

TEST_F(Trouble, AWrongRsyncPasswordIsStatusFive) {
  auto& host = add_host();
  const auto payload = staged_payload("refused");
  const auto file = host.folder() / "wrong.password";
  write_file(file, "not-it\n");
  chmod(file.c_str(), 0600);
  const auto ran = host.run("sync-minion", {"--rsync-password-file", file.string()});
  EXPECT_EQ(ran.status, 5) << ran.output;
  EXPECT_THAT(ran.output, AllOf(HasSubstr("auth failed on module repo"),
                                HasSubstr("correct --rsync-user and --rsync-password-file"),
                                Not(HasSubstr("not-it"))));
  EXPECT_EQ(host.run("sync-minion").status, 0);
  expect_published(host, payload);
}

TEST_F(Trouble, AnUnknownModuleIsStatusFive) {
  auto& host = add_host();
  static_cast<void>(staged_payload("nowhere"));
  const auto ran = host.run("sync-minion", {"--module", "nonsense"});
  EXPECT_EQ(ran.status, 5) << ran.output;
  EXPECT_THAT(ran.output,
              AllOf(HasSubstr("Unknown module 'nonsense'"), HasSubstr("correct --module")));
}

TEST_F(Trouble, AHostWhoseOwnDaemonIsDownReceivesAndWarnsThatItOffersNothing) {
  auto& host = add_host();
  const auto payload = staged_payload("deaf");
  host.stop_daemon();
  const auto ran = host.run("sync-minion");
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.output, AllOf(HasSubstr("this host offers nothing to others"),
                                HasSubstr("Connection refused")));
  EXPECT_EQ(redis.cli({"smembers", "synchronize_queue"}), master().address());
  expect_published(host, payload);
}

TEST_F(Trouble, AMasterWhoseOwnDaemonIsDownWarns) {
  master().stop_daemon();
  write_file(source_root() / "unserved", "content");
  set_task(source_root() / "unserved");
  const auto ran = master().run("sync-master", {"--minions", "1"});
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.output,
              AllOf(HasSubstr("minions cannot pull from here"), HasSubstr("Connection refused")));
}

TEST_F(Trouble, AMissingRsyncIsStatusFive) {
  auto& host = add_host();
  const auto ran = run({"env", "PATH=/nonexistent", program_path("sync-minion"), "--config",
                        (host.folder() / "sync.toml").string()});
  EXPECT_EQ(ran.status, 5);
  EXPECT_THAT(ran.output, HasSubstr("rsync is not in PATH: install it"));
}

TEST_F(Trouble, AnRsyncThatIsTooOldIsStatusFive) {
  auto& host = add_host();
  const auto folder = host.folder() / "old";
  write_file(folder / "rsync", "#!/bin/sh\necho 'rsync  version 3.1.3  protocol version 31'\n");
  chmod((folder / "rsync").c_str(), 0755);
  for (const auto* const program : {"sync-minion", "sync-master"}) {
    const auto ran = run({"env", "PATH=" + folder.string(), program_path(program), "--config",
                          (host.folder() / "sync.toml").string()});
    EXPECT_EQ(ran.status, 5);
    EXPECT_THAT(ran.output, HasSubstr("rsync 3.1.3 at '" + (folder / "rsync").string() +
                                      "' is older than 3.2"));
  }
}

TEST_F(Trouble, AFullDiskIsStatusFour) {
  auto& host = add_host();
  const auto payload = staged_payload("large", 30'000'000);
  const auto ran = run_with_mounts(host, "mount -t tmpfs -o size=20m tmpfs \"$repo\" && tick");
  EXPECT_EQ(ran.status, 4) << ran.output << ran.errors;
  EXPECT_THAT(ran.output, AllOf(HasSubstr("large needs 0.06 GB on the file system of"),
                                HasSubstr("and 0.02 GB are free: free some space there")));
  EXPECT_THAT(master().run("sync-master", {"status"}).output, HasSubstr("are free"));
  redis.cli({"del", "sync:ids"});  // The id of the host went with the tmpfs.
  EXPECT_EQ(host.run("sync-minion").status, 0);
  expect_published(host, payload);
}

TEST_F(Trouble, PiecesOfAKilledTickNeedNoSpaceTwice) {
  auto& host = add_host();
  staged_payload("resumed", 30'000'000);
  const auto ran = run_with_mounts(host,
                                   "mount -t tmpfs -o size=60m tmpfs \"$repo\" || exit 7\n"
                                   "\"$minion\" --config \"$file\" --bwlimit 1m & pid=$!\n"
                                   "until [ $(du -sm \"$repo\" | cut -f1) -ge 12 ]; do\n"
                                   "  kill -0 $pid || exit 8; sleep 0.1\n"
                                   "done\n"
                                   "kill -KILL $pid; wait $pid\n"
                                   "[ ! -e \"$repo/resumed\" ] || exit 9\n"
                                   "tick");
  EXPECT_EQ(ran.status, 0) << ran.output << ran.errors;
  EXPECT_THAT(ran.output, HasSubstr("END rsync"));
}

TEST_F(Trouble, AMountInAReplacedFolderIsNotEmptied) {
  auto& host = add_host();
  write_file(source_root() / "folder" / "file", "new");
  set_task(source_root() / "folder");
  ASSERT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
  const auto ran =
      run_with_mounts(host,
                      "mount -t tmpfs tmpfs \"$repo\"; mkdir -p \"$repo/folder/my data\"\n"
                      "mount -t tmpfs tmpfs \"$repo/folder/my data\"\n"
                      "touch \"$repo/folder/my data/kept\"\n"
                      "tick; status=$?; ls \"$repo/folder/my data\"; exit $status");
  EXPECT_EQ(ran.status, 4);
  EXPECT_THAT(ran.output, AllOf(HasSubstr("holds, the mount point"), HasSubstr("kept\n")));
}

TEST_F(Trouble, ARunOfTheFormerVersionIsRefusedUntilItIsEnded) {
  const auto payload = staged_payload("model.7");
  auto& host = add_host();
  const auto manifest = redis.cli({"hget", "sync:run", "manifest"});
  ASSERT_TRUE(manifest.starts_with("6:")) << manifest;
  redis.cli({"hset", "sync:run", "manifest", "3" + manifest.substr(1)});

  for (const auto& ran : {host.run("sync-minion"), master().run("sync-master")}) {
    EXPECT_EQ(ran.status, 3);
    EXPECT_THAT(ran.output, AllOf(HasSubstr("another version of sync-fanout began the run of '" +
                                            payload.string() + "'"),
                                  HasSubstr("task` ends that run")));
  }
  EXPECT_FALSE(std::filesystem::exists(host.repo() / "model.7"));
  EXPECT_THAT(master().run("sync-master", {"status"}).output,
              AllOf(HasSubstr("another version of sync-fanout began this run: `del task` ends it"),
                    HasSubstr("failed   " + host.address() + ": another version")));

  redis.cli({"del", "task"});
  EXPECT_EQ(master().run("sync-master").status, 1);
  set_task(payload);
  EXPECT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
  EXPECT_EQ(host.run("sync-minion").status, 0);
  EXPECT_EQ(content_of(host.repo() / "model.7"), content_of(payload));
}

TEST_F(Trouble, AMissingRepoIsStatusFour) {
  auto& host = add_host();
  const auto ran = host.run("sync-minion", {"--repo", "/nonexistent/repo"});
  EXPECT_EQ(ran.status, 4);
  EXPECT_THAT(ran.output, HasSubstr("--repo '/nonexistent/repo' is not there: make the folder"));
}

TEST_F(Trouble, WrongUsageIsStatusTwoAndNamesTheWayOut) {
  auto& host = add_host();
  const struct {
    const char* program;
    Words options;
    const char* message;
  } rows[] = {
      {"sync-minion", {"--bogus"}, "--bogus"},
      {"sync-minion", {"--linger", "soon"}, "--linger 'soon' is not a duration such as 115s"},
      {"sync-minion", {"--address", "127.2"}, "--address '127.2' is not a plain unicast"},
      {"sync-minion", {"--redis", "localhost"}, "write redis://"},
      {"sync-minion", {"--redis", "redis://u:pw@h/0"}, "--redis-password-file"},
      {"sync-minion", {"--peers", "10.0.0.1/8"}, "--peers '10.0.0.1/8' is not an address range"},
      {"sync-minion", {"--redis-password-file", "/etc/passwd"}, "chmod 600"},
      {"sync-minion", {"--source-root", "/x"}, "--source-root"},
      {"sync-minion", {"--repo", "relative"}, "--repo must be an absolute path"},
      {"sync-master", {"--bwlimit", "1m"}, "--bwlimit"},
      {"sync-master", {"--piece-size", "tiny"}, "auto, whole, or a size such as 16M"},
      {"sync-master", {"--quorum", "101"}, "--quorum"},
      {"sync-master", {"--inventory", "/nonexistent"}, "make it"},
      {"sync-master", {"nonsense"}, "nonsense"},
  };
  for (const auto& row : rows) {
    const auto ran = host.run(row.program, row.options);
    EXPECT_EQ(ran.status, 2) << row.message;
    EXPECT_THAT(ran.errors, HasSubstr(row.message));
    EXPECT_THAT(ran.errors, Not(HasSubstr("pw")));
  }
}

TEST_F(Trouble, OptionsMayComeBeforeOrAfterTheVerb) {
  EXPECT_EQ(master().run("sync-master", {"run"}).status, 0);
  EXPECT_EQ(master().run("sync-master", {"--linger", "0", "run"}).status, 0);
  EXPECT_EQ(master().run("sync-master", {"run", "--linger", "0"}).status, 0);
  EXPECT_EQ(master().run("sync-master", {"status", "--json"}).status, 0);
}

TEST_F(Trouble, WithoutAnAddressALoopbackConnectionIsNotEnough) {
  const auto ran = run(
      {program_path("sync-minion"), "--redis", redis.url(), "--repo", master().repo().string()});
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.errors, HasSubstr("--address must be given"));
}

TEST_F(Trouble, StatusChangesNothingWhereNoMasterHasRun) {
  auto& host = add_host();
  set_task("/data/waits");
  for (const auto& ran :
       {host.run("sync-minion", {"status"}), master().run("sync-master", {"status"})}) {
    EXPECT_EQ(ran.status, 0) << ran.errors;
    EXPECT_THAT(ran.output, HasSubstr("task     /data/waits"));
  }
  EXPECT_EQ(redis.cli({"function", "list"}), "");
}

TEST_F(Trouble, StatusShowsTheRunForPeopleAndForPrograms) {
  auto& host = add_host();
  EXPECT_THAT(master().run("sync-master", {"status"}).output, HasSubstr("task     none"));
  const auto payload = staged_payload("shown");
  const auto text = master().run("sync-master", {"status"}).output;
  EXPECT_THAT(text, AllOf(HasSubstr("task     " + payload.string()), HasSubstr(", staged for"),
                          HasSubstr("payload  3 MB, 3 pieces"), HasSubstr("1 expected")));
  const auto json = nlohmann::json::parse(master().run("sync-master", {"status", "--json"}).output);
  EXPECT_EQ(json["run"]["pieces"], 3);
  EXPECT_EQ(json["run"]["state"], "staged");
  EXPECT_EQ(json["run"]["bytes"], 3'000'000);
  ASSERT_EQ(host.run("sync-minion").status, 0);
  EXPECT_THAT(host.run("sync-minion", {"status"}).output,
              AllOf(HasSubstr("host     " + host.address() + " finished, 3 pieces in place"),
                    HasSubstr("payload  " + payload.string() + ", published "),
                    HasSubstr("from     " + master().address() + ": 3 pieces\n"),
                    HasSubstr("tick     last one began ")));
  ASSERT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
  const auto after =
      nlohmann::json::parse(master().run("sync-master", {"status", "--json"}).output);
  EXPECT_TRUE(after["run"].is_null());
  EXPECT_EQ(after["last"]["outcome"], "complete");
  EXPECT_EQ(after["last"]["hosts_finished"], 1);
  redis.stop();
  const auto alone = host.run("sync-minion", {"status"});
  EXPECT_EQ(alone.status, 3);
  EXPECT_THAT(alone.output,
              AllOf(StartsWith("redis    Redis at "), HasSubstr("payload  " + payload.string())));
  const auto json_alone =
      nlohmann::json::parse(host.run("sync-minion", {"status", "--json"}).output);
  EXPECT_EQ(json_alone["here"]["payload"]["path"], payload.string());
}

}  // namespace
}  // namespace libsync::test
