// A few hosts spread a payload along trees, as a large run does.

#include <gmock/gmock.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "fleet.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;

class Trees : public Fleet {
 protected:
  std::filesystem::path payload(std::size_t bytes) {
    write_file(source_root() / "payload", random_bytes(bytes, 7));
    return source_root() / "payload";
  }

  void start_master_of(int hosts, const std::string& piece_size = "512K") {
    add_hosts(hosts);
    start_master(
        {"--minions", std::to_string(hosts), "--piece-size", piece_size, "--spread", "trees"});
  }

  std::size_t claims() { return std::stoul(redis.cli({"hlen", "sync:claims"})); }
};

TEST_F(Trees, AFileReachesEveryHostWithoutAClaim) {
  const auto file = payload(12'000'000);
  start_master_of(4);
  start_minions({"--bwlimit", "2m"});
  set_task(file);
  ASSERT_TRUE(eventually([&] { return redis.cli({"hlen", "sync:seats"}) == "4"; }));
  EXPECT_EQ(claims(), 0U);
  wait_for_end();
  for (auto* const host : minions()) expect_published(*host, file);
  EXPECT_THAT(redis.cli({"info", "commandstats"}), testing::Not(HasSubstr("cmdstat_eval")));
}

TEST_F(Trees, AHostWhoseDaemonEndsDoesNotHoldUpTheOthers) {
  const auto file = payload(24'000'000);
  start_master_of(4);
  start_minions({"--bwlimit", "500"});
  set_task(file);
  ASSERT_TRUE(eventually([&] { return redis.cli({"hlen", "sync:seats"}) == "4"; }));
  minions().front()->stop_daemon();
  wait_for_end(std::chrono::seconds(120));
  for (auto* const host : minions()) expect_published(*host, file);
}

TEST_F(Trees, AHostThatFreezesDoesNotHoldUpTheOthers) {
  const auto file = payload(24'000'000);
  start_master_of(4);
  start_minions({"--bwlimit", "500"});
  set_task(file);
  ASSERT_TRUE(eventually([&] { return redis.cli({"hlen", "sync:seats"}) == "4"; }));
  auto& frozen = *minions().front();
  frozen.freeze_daemon();
  EXPECT_TRUE(eventually([&] { return std::stoi(redis.cli({"scard", "finished_queue"})) >= 3; }));
  frozen.thaw_daemon();
  wait_for_end();
  std::string logs;
  for (auto* const host : minions()) {
    expect_published(*host, file);
    logs += host->log();
  }
  EXPECT_THAT(logs, HasSubstr("rsync with " + frozen.address() + " brought nothing while others"));
  EXPECT_THAT(logs, testing::Not(HasSubstr("has moved nothing for 60 s")));
}

TEST_F(Trees, AHostThatDiedWaitingLosesItsSeatAndIsServedWhenItComes) {
  const auto file = payload(6'000'000);
  start_master_of(4);
  auto& killed = minions().front()->start("sync-minion", {"--linger", "120s"});
  for (auto* const host : minions()) {
    // They pull so slowly that GATHERING_MS, the time in which a waiting host must join, has
    // passed.
    if (host != minions().front())
      host->start("sync-minion", {"--linger", "120s", "--bwlimit", "150"});
  }
  ASSERT_TRUE(eventually([&] { return redis.cli({"zcard", "sync:lingering"}) == "4"; }));
  killed.signal(SIGKILL);
  static_cast<void>(killed.wait());
  set_task(file);
  ASSERT_TRUE(eventually(
      [&] {
        return redis.cli({"scard", "finished_queue"}) == "3";
      },
      std::chrono::seconds(30)));
  EXPECT_EQ(redis.cli({"hlen", "sync:seats"}), "3");
  minions().front()->start("sync-minion", {"--linger", "120s"});
  wait_for_end();
  for (auto* const host : minions()) expect_published(*host, file);
}

// The processor time of a process, without its children.
std::chrono::duration<double> processor_time(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string word;
  for (int field = 1; field <= 13; ++field) file >> word;
  double user = 0;
  double system = 0;
  file >> user >> system;
  return std::chrono::duration<double>((user + system) / static_cast<double>(sysconf(_SC_CLK_TCK)));
}

// Until its daemon serves, the host claims and reports its pieces. With small pieces such a report
// is nearly always due. An overdue one must not make the loop spin once the host has a seat.
TEST_F(Trees, AHostWithALateDaemonGetsASeatAndSleepsLikeOthers) {
  const auto file = payload(24'000'000);
  start_master_of(2, "32K");
  auto& late = *minions().front();
  late.stop_daemon();
  start_minions({"--bwlimit", "150"});
  set_task(file);
  const auto has_seat = [&] {
    return redis.cli({"hexists", "sync:seat_of", late.address()}) == "1";
  };
  ASSERT_TRUE(eventually([&] { return late.log().find("offers nothing") != std::string::npos; }));
  ASSERT_TRUE(eventually([&] { return !has_seat(); }));
  late.start_daemon();
  ASSERT_TRUE(eventually(has_seat));
  ASSERT_EQ(redis.cli({"sismember", "finished_queue", late.address()}), "0");
  const auto before = processor_time(late.program().pid());
  std::this_thread::sleep_for(std::chrono::seconds(2));
  EXPECT_LT((processor_time(late.program().pid()) - before).count(), 0.5);
  wait_for_end();
  for (auto* const host : minions()) expect_published(*host, file);
}

// Without the manifest the host cannot know which parts of the old copy are useful.
TEST_F(Trees, AHostWithAnOlderCopyPullsTheNewPieces) {
  const auto file = payload(4'000'000);
  start_master_of(2);
  start_minions();
  set_task(file);
  wait_for_end();
  write_file(file, random_bytes(3'000'000, 8));
  set_task(file);
  wait_for_end();
  for (auto* const host : minions()) expect_published(*host, file);
}

// The hosts with a published copy serve no piece, and the new host has them as its parents.
TEST_F(Trees, ANewHostAmongHostsWithACopyPullsFromTheOrigin) {
  const auto file = payload(16 << 19);
  start_master_of(10);
  auto* const fresh = minions().back();
  for (auto* const host : minions()) {
    if (host == fresh) continue;
    write_file(host->repo() / "payload", content_of(file));
    ASSERT_EQ(run({"touch", "-r", file.string(), (host->repo() / "payload").string()}).status, 0);
  }
  start_minions();
  ASSERT_TRUE(eventually([&] { return redis.cli({"zcard", "sync:lingering"}) == "10"; }));
  set_task(file);
  wait_for_end();
  expect_published(*fresh, file);
}

TEST_F(Trees, AHostWithConfiguredSlotsClaims) {
  const auto file = payload(6'000'000);
  start_master_of(3);
  for (auto* const host : minions()) {
    host->start("sync-minion", host == minions().front() ? Words{"--linger", "120s", "--slots", "1"}
                                                         : Words{"--linger", "120s"});
  }
  ASSERT_TRUE(eventually([&] { return redis.cli({"zcard", "sync:minions"}) == "3"; }));
  set_task(file);
  wait_for_end();
  for (auto* const host : minions()) expect_published(*host, file);
  EXPECT_TRUE(eventually(
      [&] { return minions().front()->log().find("rsync complete:") != std::string::npos; }));
}

}  // namespace
}  // namespace libsync::test
