// The master distributes a task from one host to all.

#include <gmock/gmock.h>

#include <map>
#include <set>

#include "fleet.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Distribution : public Fleet {};

TEST_F(Distribution, AFileReachesEveryHost) {
  const auto payload = source_root() / "model.20181220011501";
  write_file(payload, random_bytes(20'000'000, 1));
  add_hosts(4);
  start_master({"--minions", "4", "--piece-size", "1M"});
  start_minions();
  set_task(payload);
  wait_for_end();
  for (auto* const host : minions()) expect_published(*host, payload);
}

TEST_F(Distribution, AnEmptyFileReachesEveryHost) {
  const auto payload = source_root() / "empty";
  write_file(payload, "");
  add_hosts(2);
  start_master({"--minions", "2"});
  start_minions();
  set_task(payload);
  wait_for_end();
  for (auto* const host : minions()) expect_published(*host, payload);
}

TEST_F(Distribution, WholePiecesFromOneSlotDoubleTheSources) {
  const auto payload = source_root() / "whole";
  write_file(payload, random_bytes(3'000'000, 1));
  add_hosts(7);
  start_master({"--minions", "7", "--piece-size", "whole", "--slots", "1"});
  // All pulls last equally long, so there are the rounds of the Python pair: 1, 2, 4, 8 sources.
  start_minions({"--slots", "1", "--bwlimit", "2m"});
  set_task(payload);
  wait_for_end();
  std::map<std::string, int> pulls;
  for (auto* const host : minions()) {
    expect_published(*host, payload);
    const auto log = host->log();
    const auto at = log.find("start rsync from ");
    ASSERT_NE(at, std::string::npos);
    const auto source = log.substr(at + 17, log.find('\n', at) - at - 17);
    ++pulls[source];
  }
  EXPECT_EQ(pulls[master().address()], 3) << "one in each of three rounds";
  std::multiset<int> counts;
  for (const auto& [source, count] : pulls) counts.insert(count);
  EXPECT_EQ(counts, (std::multiset<int>{1, 1, 2, 3}));
}

TEST_F(Distribution, APushSeedsThroughAnotherHost) {
  const auto payload = source_root() / "pushed";
  write_file(payload, random_bytes(9'000'000, 2));
  add_hosts(3);
  auto& target = *minions().front();
  target.open_for_pushes();
  master().stop_daemon();
  start_minions();
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(target.state() / "push"); }));
  start_master({"--minions", "3", "--piece-size", "1M", "--push-to", target.address()});
  set_task(payload);
  wait_for_end();
  for (auto* const host : minions()) expect_published(*host, payload);
  EXPECT_THAT(minions().back()->log(), Not(HasSubstr("from " + master().address())));
}

TEST_F(Distribution, AMinionOnTheMastersOwnHostPublishesFromTheSameSpool) {
  const auto payload = source_root() / "shared";
  write_file(payload, random_bytes(5'000'000, 3));
  add_hosts(1);
  start_master({"--minions", "2", "--piece-size", "1M"});
  Background local({program_path("sync-minion"), "--config",
                    (master().folder() / "sync.toml").string(), "--linger", "120s"},
                   master().folder() / "local.log");
  start_minions();
  set_task(payload);
  wait_for_end();
  expect_published(master(), payload);
  expect_published(*minions().front(), payload);
}

TEST_F(Distribution, TheCronLinesDistributeATask) {
  const auto payload = source_root() / "by-cron";
  write_file(payload, random_bytes(1'000'000, 4));
  auto& host = add_host();
  const auto with_path = [](const std::filesystem::path& script) {
    return Words{"env", "-i", std::string("PATH=") + PROGRAM_FOLDER + ":/usr/bin:/bin", "/bin/sh",
                 script.string()};
  };
  Background minion(with_path(host.folder() / "minion.sh"), host.folder() / "cron.out");
  Background distributor(with_path(master().folder() / "master.sh"), host.folder() / "cron.out");
  ASSERT_TRUE(eventually([&] { return redis.cli({"zcard", "sync:minions"}) == "1"; }));
  set_task(payload);
  wait_for_end();
  expect_published(host, payload);
  EXPECT_TRUE(eventually([&] {
    return content_of(host.folder() / "minion.log").find("rsync complete:") != std::string::npos;
  }));
  EXPECT_EQ(content_of(host.folder() / "cron.out"), "");
}

}  // namespace
}  // namespace libsync::test
