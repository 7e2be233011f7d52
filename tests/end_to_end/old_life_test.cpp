// The users of the Python pair see what they know: the five keys, the trigger, and the log lines.

#include <gmock/gmock.h>
#include <unistd.h>

#include <map>
#include <set>
#include <sstream>

#include "fleet.h"

namespace libsync::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

class OldLife : public Fleet {
 protected:
  std::set<std::string> members(const std::string& key) {
    const auto answer = redis.ask({"SMEMBERS", key});
    std::set<std::string> all;
    if (answer.array() == nullptr) return all;
    for (const auto& element : *answer.array()) all.insert(*element.text());
    return all;
  }
};

// The values that a poll of the keys has seen in a run. Old scripts and their users poll like this.
struct Seen {
  std::map<std::string, std::set<std::string>> types;
  std::set<std::string> running;
  std::set<std::string> sources;
  std::set<std::string> finished;
  bool origin_left = false;
  bool origin_came_back = false;
  std::string lookup;
};

TEST_F(OldLife, TheFiveKeysKeepTheirTypesAndMeaning) {
  const auto payload = source_root() / "watched";
  write_file(payload, random_bytes(6'000'000, 1));
  add_hosts(4);
  std::set<std::string> addresses;
  for (auto* const host : minions()) addresses.insert(host->address());
  // The run expects a fifth host, so it lasts until the poll has seen everything.
  start_master({"--minions", "5", "--piece-size", "1M", "--slots", "1"});
  start_minions({"--bwlimit", "4m", "--slots", "1"});
  ASSERT_TRUE(eventually([&] { return redis.cli({"zcard", "sync:minions"}) == "4"; }));
  set_task(payload);

  Seen seen;
  const auto poll = [&] {
    for (const auto* const key :
         {"task", "lookup", "synchronize_queue", "running_queue", "finished_queue"}) {
      const auto type = redis.ask({"TYPE", key});
      if (*type.text() != "none") seen.types[key].insert(*type.text());
    }
    const auto lookup = redis.ask({"GET", "lookup"});
    if (lookup.text() != nullptr) seen.lookup = *lookup.text();
    const auto queue = members("synchronize_queue");
    const auto running = members("running_queue");
    const bool is_origin_there = queue.contains(master().address());
    if (!running.empty() && !is_origin_there) seen.origin_left = true;
    if (seen.origin_left && is_origin_there) seen.origin_came_back = true;
    seen.sources.insert(queue.begin(), queue.end());
    seen.running.insert(running.begin(), running.end());
    seen.finished.merge(members("finished_queue"));
    return seen.finished.size() == 4 && seen.origin_came_back;
  };
  EXPECT_TRUE(eventually(poll));
  add_host().start("sync-minion", {"--linger", "60s"});
  ASSERT_TRUE(eventually([&] { return redis.cli({"exists", "task"}) == "0"; }));
  EXPECT_EQ(redis.cli({"exists", "task", "lookup", "synchronize_queue", "running_queue",
                       "finished_queue"}),
            "0");

  using Types = std::set<std::string>;
  EXPECT_EQ(seen.types["task"], Types{"string"});
  EXPECT_EQ(seen.types["lookup"], Types{"string"});
  EXPECT_EQ(seen.types["synchronize_queue"], Types{"set"});
  EXPECT_EQ(seen.types["running_queue"], Types{"set"});
  EXPECT_EQ(seen.types["finished_queue"], Types{"set"});
  EXPECT_EQ(seen.running, addresses);
  EXPECT_EQ(seen.finished, addresses);
  auto all_sources = addresses;
  all_sources.insert(master().address());
  EXPECT_EQ(seen.sources, all_sources);
  EXPECT_TRUE(seen.origin_left) << "while it was busy";
  EXPECT_TRUE(seen.origin_came_back) << "when it was free again";
  EXPECT_THAT(seen.lookup, testing::AnyOf("1", "2"));
}

TEST_F(OldLife, LookupCountsTheTicksAndTheMasterLogsIt) {
  const auto payload = source_root() / "model.7";
  write_file(payload, random_bytes(100'000, 1));
  auto& host = add_host();
  const Words options{"--minions", "1"};
  EXPECT_THAT(master().run("sync-master", options).output,
              ContainsRegex("^[0-9]{2}-[A-Z][a-z]{2}-[0-9]{2} [0-9:]{8} - try to find a task\n"
                            "[^\n]* - no task, exit\n$"));
  set_task(payload);
  EXPECT_THAT(master().run("sync-master", options).output,
              ContainsRegex("^[^\n]* - try to find a task\n"
                            "[^\n]* - file_name: " +
                            payload.string() +
                            ", finished_minion_count: 0\n"
                            "[^\n]* - found new task, start rsync and set redis queue\n"
                            "[^\n]* - start rsync to minion: " +
                            payload.string() +
                            "\n"
                            "[^\n]* - rsync complete:\n"));
  EXPECT_EQ(redis.cli({"get", "lookup"}), "1");
  EXPECT_THAT(master().run("sync-master", options).output, HasSubstr(" - nothing to do\n"));
  EXPECT_EQ(redis.cli({"get", "lookup"}), "2");

  const auto minion = host.run("sync-minion");
  EXPECT_EQ(minion.status, 0);
  EXPECT_THAT(minion.output,
              ContainsRegex("^[^\n]* - try to get a available rsync source\n"
                            "[^\n]* - add lock to running_queue\n"
                            "[^\n]* - start rsync from " +
                            master().address() +
                            "\n"
                            "[^\n]* - START rsync:\n  syn_queue:[0-9]+\n  fin_queue:0\n\n"
                            "[^\n]* - rsync complete:\n  received [0-9]+ bytes[^$]*"
                            "[^\n]* - END rsync:\n  syn_queue:[0-9]+\n  fin_queue:[0-9]+\n"));
  EXPECT_EQ(host.run("sync-minion").output, "") << "it has finished, and logs nothing";

  const auto last = master().run("sync-master", options);
  EXPECT_EQ(last.status, 0);
  EXPECT_THAT(last.output, ContainsRegex("finished_minion_count: 1\n"
                                         "[^\n]* - mission complete, clean task and queue\n"));
  EXPECT_EQ(redis.cli({"exists", "task", "lookup", "synchronize_queue", "running_queue",
                       "finished_queue"}),
            "0");
  expect_published(host, payload);
}

// A daemon older than 3.2 knows only one digest. RSYNC_CHECKSUM_LIST makes this one like it.
TEST_F(OldLife, ADaemonOlderThanRsync32IsNamedWithTheWayOut) {
  master().stop_daemon();
  setenv("RSYNC_CHECKSUM_LIST", "md5", 1);
  master().start_daemon();
  auto& host = add_host();
  unsetenv("RSYNC_CHECKSUM_LIST");
  write_file(source_root() / "model.6", random_bytes(5'000'000, 6));
  set_task(source_root() / "model.6");
  ASSERT_EQ(master().run("sync-master", {"--minions", "1", "--piece-size", "1M"}).status, 0);
  const auto ran = host.run("sync-minion");
  EXPECT_EQ(ran.status, 5) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("rsync with " + master().address() +
                                    ": Failed to negotiate a checksum choice.: its rsync is older "
                                    "than 3.2: update it to 3.2.7 or newer"));
}

TEST_F(OldLife, TheModuleOfThePythonPairIsEnough) {
  const auto payload = source_root() / "model.8";
  write_file(payload, random_bytes(5'000'000, 8));
  add_hosts(3);
  const bool is_root = geteuid() == 0;
  for (auto* const host : minions()) {
    // The module is that of the Python pair's README. The other lines belong to this test's host.
    write_file(host->folder() / "rsyncd.conf",
               "address = " + host->address() +
                   "\nport = 8730\npid file = " + (host->folder() / "rsyncd.pid").string() +
                   "\nlog file = " + (host->folder() / "rsyncd.log").string() + "\n[repo]\n" +
                   (is_root ? "uid = nobody\ngid = nogroup\n" : "use chroot = no\n") + "path = " +
                   host->repo().string() + "\nread only = no\nauth users = sre\nsecrets file = " +
                   (host->folder() / "rsyncd.secrets").string() + "\n");
    host->stop_daemon();
    host->start_daemon();
  }
  master().stop_daemon();
  start_minions();
  start_master(
      {"--minions", "3", "--push-to", minions().front()->address(), "--push-module", "repo"});
  set_task(payload);
  wait_for_end();
  for (auto* const host : minions()) expect_published(*host, payload);
}

TEST_F(OldLife, AnOldMinionThatIsStillRunningFinishesNothing) {
  const auto payload = source_root() / "mixed";
  write_file(payload, random_bytes(100'000, 1));
  auto& host = add_host();
  set_task(payload);
  EXPECT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
  // The Python minion pops a source, and adds itself and the source to both sets.
  redis.cli({"spop", "synchronize_queue"});
  redis.cli({"sadd", "finished_queue", master().address(), "10.1.1.1"});
  redis.cli({"sadd", "synchronize_queue", "10.1.1.1"});
  EXPECT_THAT(master().run("sync-master", {"--minions", "1"}).output, HasSubstr("nothing to do"));
  redis.cli({"sadd", "synchronize_queue", master().address()});
  EXPECT_EQ(host.run("sync-minion").status, 0);
  expect_published(host, payload);
  EXPECT_THAT(master().run("sync-master", {"--minions", "1"}).output,
              HasSubstr("mission complete"));
}

TEST_F(OldLife, EveryLineBeginsWithItsTimeAndSecretsAreNeverLogged) {
  const auto payload = source_root() / "quiet";
  write_file(payload, random_bytes(100'000, 1));
  auto& host = add_host();
  set_task(payload);
  std::string all = master().run("sync-master", {"--minions", "1", "--log-level", "debug"}).output;
  all += host.run("sync-minion", {"--log-level", "debug"}).output;
  EXPECT_THAT(all, Not(HasSubstr("secret-of-the-tests")));
  std::istringstream lines(all);
  for (std::string text; std::getline(lines, text);) {
    EXPECT_THAT(text, MatchesRegex("[0-9]{2}-[A-Z][a-z]{2}-[0-9]{2} [0-9:]{8} - .*|  .*|"));
  }
}

}  // namespace
}  // namespace libsync::test
