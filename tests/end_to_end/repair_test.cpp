// The fleet repairs itself. Spools lose pieces or hold wrong ones: on the origin, on its own
// minion, and on the host of a push. A kill between two steps leaves things half done.

#include <gmock/gmock.h>
#include <signal.h>

#include <fstream>

#include "fleet.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Repair : public Fleet {
 protected:
  static void spoil(const std::filesystem::path& piece) {
    std::fstream file(piece, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(7);
    file << "spoilt";
    ASSERT_TRUE(file.flush()) << piece;
  }

  std::filesystem::path staged(const std::string& name, const Words& options) {
    write_file(source_root() / name, random_bytes(5'000'000, 9));
    set_task(source_root() / name);
    const auto ran = master().run("sync-master", options);
    EXPECT_EQ(ran.status, 0) << ran.output;
    return source_root() / name;
  }

  // Indexes of the fields of an entry in a manifest.
  static constexpr int kMtime = 2;
  static constexpr int kOwner = 4;

  // Changes one digit of the first entry after the master has announced every piece.
  void expect_listed_anew(int field) {
    auto& host = add_host();
    const auto payload = staged("rotten", options_);
    const auto list = master().spools().at(0) / "manifest";
    auto text = content_of(list);
    auto before = text.find('\n');
    for (int i = 0; i < field; ++i) before = text.find(' ', before + 1);
    auto& digit = text.at(before + 1);
    digit = digit == '1' ? '2' : '1';
    write_file(list, text);
    start_master(options_);
    start_minions();
    wait_for_end();
    expect_published(host, payload);
    EXPECT_THAT(master().log(), HasSubstr("starting over"));
  }

  const Words options_{"--minions", "1", "--piece-size", "1M"};
};

TEST_F(Repair, PiecesThatTheOriginLostAreCutAgainInItsNextTick) {
  auto& host = add_host();
  const auto payload = staged("lost", options_);
  std::filesystem::remove(master().spools().at(0) / "p00001");
  start_master(options_);
  start_minions();
  wait_for_end();
  expect_published(host, payload);
  EXPECT_THAT(master().log(), HasSubstr("hashing the spool again"));
}

TEST_F(Repair, PiecesThatTheOriginLosesDuringARunAreCutAgain) {
  auto& host = add_host();
  const auto payload = staged("losing", options_);
  start_master(options_);
  ASSERT_TRUE(
      eventually([&] { return master().log().find("nothing to do") != std::string::npos; }));
  std::filesystem::remove(master().spools().at(0) / "p00001");
  spoil(master().spools().at(0) / "p00003");
  start_minions();
  wait_for_end();
  expect_published(host, payload);
}

TEST_F(Repair, AManifestThatRotsAtTheOriginMakesTheRunBeginAnew) { expect_listed_anew(kMtime); }

TEST_F(Repair, OwnersThatRotInTheManifestMakeTheRunBeginAnew) { expect_listed_anew(kOwner); }

TEST_F(Repair, ADamagedSpoolOfAChangedPayloadMakesTheRunBeginAnew) {
  auto& host = add_host();
  const auto payload = staged("newer", options_);
  for (const auto* const piece : {"p00000", "p00002", "p00004"}) {
    spoil(master().spools().at(0) / piece);
  }
  write_file(payload, random_bytes(4'000'000, 10));
  start_master(options_);
  start_minions();
  wait_for_end();
  expect_published(host, payload);
}

TEST_F(Repair, AMinionOnTheMastersHostLeavesItsSpoolToIt) {
  auto& other = add_host();
  const Words options{"--minions", "2", "--piece-size", "1M"};
  const auto payload = staged("shared", options);
  spoil(master().spools().at(0) / "p00002");
  Background local({program_path("sync-minion"), "--config",
                    (master().folder() / "sync.toml").string(), "--linger", "120s"},
                   master().folder() / "local.log");
  const auto log = master().folder() / "local.log";
  ASSERT_TRUE(eventually([&] {
    return std::filesystem::exists(log) &&
           content_of(log).find("1 pieces are missing or damaged") != std::string::npos;
  }));
  EXPECT_TRUE(std::filesystem::exists(master().spools().at(0) / "p00002"));
  start_master(options);
  start_minions();
  wait_for_end();
  expect_published(master(), payload);
  expect_published(other, payload);
}

TEST_F(Repair, PiecesDamagedInThePushFolderArePushedAgain) {
  add_hosts(2);
  auto& target = *minions().front();
  target.open_for_pushes();
  ASSERT_EQ(target.run("sync-minion").status, 0) << "this tick makes the folders of a push";
  const Words options{"--minions", "2", "--piece-size", "1M", "--push-to", target.address()};
  const auto payload = staged("pushed", options);
  const auto pushed = target.state() / "push";
  for (const auto& spool : std::filesystem::directory_iterator(pushed)) {
    spoil(spool.path() / "p00001");
    std::filesystem::remove(spool.path() / "p00003");
  }
  start_master(options);
  start_minions();
  wait_for_end();
  for (auto* const host : minions()) expect_published(*host, payload);
}

TEST_F(Repair, PiecesThatThePushTargetLosesLaterArePushedAgain) {
  add_hosts(2);
  auto& target = *minions().front();
  auto& late = *minions().back();
  target.open_for_pushes();
  ASSERT_EQ(target.run("sync-minion").status, 0) << "this tick makes the folders of a push";
  const Words options{"--minions", "2", "--piece-size", "1M", "--push-to", target.address()};
  write_file(source_root() / "pushed", random_bytes(5'000'000, 9));
  start_master(options);
  target.start("sync-minion", {"--linger", "120s"});
  set_task(source_root() / "pushed");
  ASSERT_TRUE(eventually([&] { return redis.cli({"scard", "finished_queue"}) == "1"; }));
  std::filesystem::remove(target.spools().at(0) / "p00001");
  spoil(target.spools().at(0) / "p00003");
  late.start("sync-minion", {"--linger", "120s"});
  wait_for_end();
  for (auto* const host : minions()) expect_published(*host, source_root() / "pushed");
}

TEST_F(Repair, ACancelledTaskThatWasNeverBegunStaysCancelled) {
  write_file(source_root() / "large", random_bytes(3'000'000, 1));
  set_task(source_root() / "large");
  // The master's disk is too small for the pieces.
  const auto script =
      "mount -t tmpfs -o size=2m tmpfs \"$1\" && exec \"$0\" --config \"$2\" --minions 1";
  const auto ran = run({"unshare", "--user", "--map-root-user", "--mount", "bash", "-c", script,
                        program_path("sync-master"), master().repo().string(),
                        (master().folder() / "sync.toml").string()});
  EXPECT_EQ(ran.status, 4) << ran.output << ran.errors;
  EXPECT_THAT(ran.output, HasSubstr("are free: free some space there"));
  redis.cli({"del", "task"});
  EXPECT_EQ(master().run("sync-master", options_).status, 0);
  EXPECT_EQ(redis.cli({"exists", "task", "sync:run"}), "0");
}

TEST_F(Repair, TheNextTickDeletesTheRestOfASpool) {
  auto& host = add_host();
  static_cast<void>(staged("any", options_));
  const auto left = host.state() / ("gone-minion-" + std::string(32, 'a'));
  write_file(left / "tree" / "payload" / "file", "content");
  ASSERT_EQ(host.run("sync-minion").status, 0);
  EXPECT_FALSE(std::filesystem::exists(left));
}

TEST_F(Repair, ASpoolOfAMissedRunIsDeletedWhenAnotherHasEnded) {
  add_hosts(2);
  auto& absent = *minions().front();
  auto& present = *minions().back();
  const Words for_two{"--minions", "2", "--piece-size", "1M"};
  static_cast<void>(staged("missed", for_two));
  ASSERT_EQ(absent.run("sync-minion").status, 0);
  EXPECT_EQ(absent.spools().size(), 1U);
  redis.cli({"del", "task"});
  EXPECT_EQ(master().run("sync-master", for_two).status, 1);
  static_cast<void>(staged("next", options_));
  ASSERT_EQ(present.run("sync-minion").status, 0);
  EXPECT_EQ(master().run("sync-master", options_).status, 0);
  EXPECT_EQ(redis.cli({"hget", "sync:last", "outcome"}), "complete");
  ASSERT_EQ(absent.run("sync-minion").status, 0);
  EXPECT_TRUE(absent.spools().empty());
}

TEST_F(Repair, ARedisFromBeforeTheRunIsNoReasonToDeleteItsSpool) {
  auto& host = add_host();
  static_cast<void>(staged("first", options_));
  ASSERT_EQ(host.run("sync-minion").status, 0);
  ASSERT_EQ(master().run("sync-master", options_).status, 0);
  ASSERT_EQ(redis.cli({"hget", "sync:last", "outcome"}), "complete");
  static_cast<void>(staged("second", {"--minions", "2", "--piece-size", "1M"}));
  ASSERT_EQ(host.run("sync-minion").status, 0);
  redis.cli({"del", "task", "lookup", "sync:run"});
  ASSERT_EQ(host.run("sync-minion").status, 0);
  EXPECT_EQ(host.spools().size(), 1U);
}

TEST_F(Repair, ARedisThatFallsBackToAnEarlierRunLosesNothingOfTheLaterOne) {
  auto& host = add_host();
  static_cast<void>(staged("first", options_));
  const auto first = redis.cli({"get", "task"});
  ASSERT_EQ(redis.cli({"copy", "sync:run", "kept"}), "1");
  ASSERT_EQ(host.run("sync-minion").status, 0);
  ASSERT_EQ(master().run("sync-master", options_).status, 0);
  static_cast<void>(staged("second", options_));
  const auto second = redis.cli({"get", "task"});
  ASSERT_EQ(host.run("sync-minion").status, 0);

  redis.cli({"copy", "kept", "sync:run", "replace"});
  redis.cli({"set", "task", first});
  redis.cli({"del", "sync:done", "sync:digests", "sync:have", "sync:waiting"});
  host.start("sync-minion", {"--linger", "60s"});
  ASSERT_TRUE(eventually([&] {
    return redis.cli({"hexists", "sync:waiting", host.address()}) == "1";
  }));
  EXPECT_EQ(host.spools().size(), 2U) << "those of the current run, and of the later one";
  start_master(options_);
  // wait_for_end() would return at the end of the earlier run.
  EXPECT_TRUE(eventually([&] {
    return redis.cli({"hmget", "sync:last", "path", "outcome"}) == second + "\ncomplete";
  })) << master().log();
  EXPECT_THAT(master().log(), HasSubstr("Redis has fallen back"));
}

TEST_F(Repair, TwoMastersAtOneAddressDoNotEndEachOthersRuns) {
  auto& host = add_host();
  static_cast<void>(staged("first", options_));
  const auto id = redis.cli({"hget", "sync:run", "id"});
  // The same address, another repo.
  const auto repo = source_root() / "other-repo";
  std::filesystem::create_directories(repo);
  const auto other = master().run("sync-master", {"--repo", repo.string(), "--linger", "3s"});
  EXPECT_THAT(other.output, HasSubstr("is being distributed by a master on another host or with"));
  EXPECT_EQ(other.output.find("is being distributed"), other.output.rfind("is being distributed"))
      << "the master logs it once";
  EXPECT_EQ(redis.cli({"hget", "sync:run", "id"}), id);
  ASSERT_EQ(host.run("sync-minion").status, 0);
}

TEST_F(Repair, NewContentsAreNotLostWhenARunEndsShort) {
  auto& host = add_host();
  const Words options{"--minions", "2", "--piece-size", "1M", "--deadline", "5s"};
  const auto payload = staged("replaced", {"--minions", "2", "--piece-size", "1M"});
  ASSERT_EQ(host.run("sync-minion").status, 0);
  write_file(payload, random_bytes(2'000'000, 11));
  set_task(payload);
  ASSERT_TRUE(eventually([&] {
    return master().run("sync-master", options).output.find("(deadline)") != std::string::npos;
  }));
  EXPECT_EQ(redis.cli({"exists", "task"}), "1");
  ASSERT_EQ(host.run("sync-minion").status, 0);
  expect_published(host, payload);
}

TEST_F(Repair, ARunThatCannotBeStagedGivesWayToAWaitingTask) {
  auto& host = add_host();
  write_file(source_root() / "stuck", "content");
  write_file(source_root() / "waiting", "other content");
  // No daemon listens at the target of the push.
  const Words stuck{"--minions", "1", "--grace", "1s", "--push-to", "127.9.9.9"};
  set_task(source_root() / "stuck");
  EXPECT_EQ(master().run("sync-master", stuck).status, 5);
  set_task(source_root() / "waiting");
  ASSERT_TRUE(eventually([&] {
    static_cast<void>(master().run("sync-master", stuck));
    return redis.cli({"hget", "sync:last", "outcome"}) == "overtaken";
  }));
  start_master({"--minions", "1"});
  start_minions();
  wait_for_end();
  expect_published(host, source_root() / "waiting");
}

TEST_F(Repair, MoreThan4096PiecesAreRefused) {
  write_file(source_root() / "large", random_bytes(4097, 1));
  set_task(source_root() / "large");
  const auto ran = master().run("sync-master", {"--minions", "1", "--piece-size", "1"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.output, HasSubstr("into more than 4096 pieces"));
}

TEST_F(Repair, AMinionReachesRedisByItsUnixSocket) {
  auto& host = add_host();
  const auto socket = host.folder() / "redis.sock";
  Background server({"redis-server", "--port", "0", "--unixsocket", socket.string(), "--save", ""},
                    host.folder() / "redis.log");
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(socket); }));
  const Words options{"--redis", "unix://" + socket.string() + "?db=3", "--linger", "1s"};
  const auto ran = host.run("sync-minion", options);
  EXPECT_EQ(ran.status, 0) << ran.output << ran.errors;
}

TEST_F(Repair, AWakeUpOfAWrongTypeMakesNoHotLoop) {
  auto& host = add_host();
  ASSERT_EQ(master().run("sync-master").status, 0);
  redis.cli({"set", "sync:wake:" + host.address(), "nonsense"});
  const auto before = redis.calls();
  const auto ran = host.run("sync-minion", {"--linger", "3s"});
  EXPECT_LT(redis.calls() - before, 40);
  EXPECT_EQ(ran.status, 0) << ran.output << ran.errors;
}

// Redis ends a blocked call when it becomes a replica.
TEST_F(Repair, AMinionWaitsAgainAfterRedisHasEndedItsWait) {
  auto& host = add_host();
  ASSERT_EQ(master().run("sync-master").status, 0);
  host.start("sync-minion", {"--linger", "60s"});
  const auto waiting = [&]() -> std::string {
    const auto clients = redis.cli({"client", "list", "type", "normal"});
    const auto end = clients.find(" cmd=blpop");
    if (end == std::string::npos) return "";
    const auto line = clients.rfind("id=", end) + 3;
    return clients.substr(line, clients.find(' ', line) - line);
  };
  ASSERT_TRUE(eventually([&] { return !waiting().empty(); }));
  // Between two waits Redis has none to end.
  ASSERT_TRUE(eventually([&] {
    return redis.cli({"client", "unblock", waiting(), "error"}) == "1";
  }));
  ASSERT_TRUE(eventually([&] { return host.log().find("UNBLOCKED") != std::string::npos; }));
  ASSERT_TRUE(eventually(
      [&] {
        return redis.cli({"info", "clients"}).find("blocked_clients:1") != std::string::npos;
      },
      std::chrono::seconds(30)));
}

TEST_F(Repair, OnlyAddressesAreExpectedHosts) {
  add_host();
  const auto now = redis.cli({"time"});
  redis.cli({"zadd", "sync:minions", now.substr(0, now.find('\n')) + "000", "x\nstanding ended"});
  write_file(source_root() / "kept", random_bytes(1'000'000, 9));
  set_task(source_root() / "kept");
  const Words options{"--piece-size", "1M"};
  ASSERT_EQ(master().run("sync-master", options).status, 0);
  const auto ran = master().run("sync-master", options);
  EXPECT_THAT(ran.output, Not(HasSubstr("mission complete")));
  EXPECT_EQ(redis.cli({"exists", "sync:run"}), "1");
}

TEST_F(Repair, AHostilePathFromRedisIsRefused) {
  auto& host = add_host();
  static_cast<void>(staged("honest", options_));
  redis.cli({"hset", "sync:run", "path", source_root().string() + "/honest\nrun 0\nprefix z"});
  const auto ran = host.run("sync-minion");
  EXPECT_EQ(ran.status, 3);
  EXPECT_THAT(ran.output, HasSubstr("the field path of the key sync:run holds"));
  EXPECT_TRUE(host.spools().empty());
}

}  // namespace
}  // namespace libsync::test
