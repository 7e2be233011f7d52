// A large run's way of spreading, on a few hosts: along trees.

#include <gmock/gmock.h>

#include "fleet.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;

class Trees : public Fleet {
 protected:
  std::filesystem::path payload(std::size_t bytes) {
    write_file(sources() / "payload", random_bytes(bytes, 7));
    return sources() / "payload";
  }

  std::size_t claims() { return std::stoul(redis.cli({"hlen", "sync:claims"})); }
};

TEST_F(Trees, AFileReachesEveryHostWithoutAClaim) {
  const auto file = payload(12'000'000);
  add_hosts(4);
  start_master({"--minions", "4", "--piece-size", "512K", "--spread", "trees"});
  start_minions();
  set_task(file);
  ASSERT_TRUE(eventually([&] { return redis.cli({"hlen", "sync:seats"}) == "4"; }));
  EXPECT_EQ(claims(), 0U);
  wait_for_end();
  for (auto* const host : minions()) expect_published(*host, file);
  EXPECT_THAT(redis.cli({"info", "commandstats"}), testing::Not(HasSubstr("cmdstat_eval")));
}

TEST_F(Trees, AHostWhoseDaemonEndsDoesNotHoldUpTheOthers) {
  const auto file = payload(24'000'000);
  add_hosts(4);
  start_master({"--minions", "4", "--piece-size", "512K", "--spread", "trees"});
  start_minions({"--bwlimit", "500"});
  set_task(file);
  ASSERT_TRUE(eventually([&] { return redis.cli({"hlen", "sync:seats"}) == "4"; }));
  minions().front()->stop_daemon();
  wait_for_end(std::chrono::seconds(120));
  for (auto* const host : minions()) expect_published(*host, file);
}

TEST_F(Trees, AHostWithSlotsOfItsOwnClaims) {
  const auto file = payload(6'000'000);
  add_hosts(3);
  start_master({"--minions", "3", "--piece-size", "512K", "--spread", "trees"});
  for (auto* const host : minions()) {
    host->start("sync-minion", host == minions().front() ? Words{"--linger", "120s", "--slots", "1"}
                                                         : Words{"--linger", "120s"});
  }
  ASSERT_TRUE(eventually([&] { return redis.cli({"zcard", "sync:minions"}) == "3"; }));
  set_task(file);
  wait_for_end();
  for (auto* const host : minions()) expect_published(*host, file);
  EXPECT_THAT(minions().front()->log(), HasSubstr("rsync complete:"));
}

}  // namespace
}  // namespace libsync::test
