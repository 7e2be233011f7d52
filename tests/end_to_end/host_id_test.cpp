// Hosts that a person has copied or moved: a configuration, a disk, an address.

#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>

#include "fleet.h"

namespace libsync::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class HostIds : public Fleet {
 protected:
  /// The second host gets the sync.toml of the first, so the address, too. Its repo is its own.
  static void copy_configuration(const Host& first, const Host& second) {
    auto text = content_of(first.folder() / "sync.toml");
    const auto from = first.folder().string();
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + 1)) {
      text.replace(at, from.size(), second.folder().string());
    }
    write_file(second.folder() / "sync.toml", text);
  }
  static std::string id_of(const Host& host) { return content_of(host.state() / "minion"); }

  std::filesystem::path payload(std::size_t bytes) {
    write_file(source_root() / "model", random_bytes(bytes, 1));
    return source_root() / "model";
  }
  void wait_for_minions(const std::string& count) {
    ASSERT_TRUE(eventually([&] { return redis.cli({"zcard", "sync:minions"}) == count; }));
  }
};

TEST_F(HostIds, ASecondHostWithACopiedConfigurationIsRefusedByName) {
  auto& first = add_host();
  auto& second = add_host();
  copy_configuration(first, second);
  const auto path = payload(8'000'000);
  start_master({"--minions", "1", "--piece-size", "1M"});
  first.start("sync-minion", {"--linger", "120s", "--bwlimit", "2m"});
  wait_for_minions("1");
  set_task(path);
  ASSERT_TRUE(eventually([&] { return redis.cli({"scard", "running_queue"}) == "1"; }));
  const auto expect_refused = [&] {
    const auto ran = second.run("sync-minion", {"--linger", "60s"});
    EXPECT_EQ(ran.status, 2);
    EXPECT_THAT(ran.output, AllOf(HasSubstr("another live host uses the address " +
                                            first.address() + " (seen "),
                                  HasSubstr("give each host its own by --address")));
    EXPECT_EQ(std::count(ran.output.begin(), ran.output.end(), '\n'), 1) << ran.output;
  };
  expect_refused();
  wait_for_end();
  expect_published(first, path);
  EXPECT_THAT(first.log(), Not(HasSubstr("another")));
  EXPECT_FALSE(std::filesystem::exists(second.repo() / "model"));
  first.program().signal(SIGTERM);
  EXPECT_EQ(first.program().wait(), 0);
  expect_refused();  // Between two ticks of the first one, too.
}

TEST_F(HostIds, AHostWithACopiedStateFolderMakesItselfANewId) {
  auto& first = add_host();
  auto& second = add_host();
  first.start("sync-minion", {"--linger", "120s"});
  start_master({"--minions", "2", "--piece-size", "1M"});
  wait_for_minions("1");
  ASSERT_EQ(run({"cp", "-a", first.state().string(), second.repo().string()}).status, 0);
  ASSERT_EQ(id_of(first), id_of(second));
  second.start("sync-minion", {"--linger", "120s"});
  wait_for_minions("2");
  const auto path = payload(3'000'000);
  set_task(path);
  wait_for_end();
  for (auto* const host : {&first, &second}) expect_published(*host, path);
  EXPECT_THAT(second.log(),
              HasSubstr("the live host " + first.address() + " has the id of this one"));
  EXPECT_THAT(first.log(), Not(HasSubstr("has the id of this one")));
  EXPECT_NE(id_of(first), id_of(second));
  EXPECT_EQ(redis.cli({"hget", "sync:ids", first.address()}), id_of(first));
  EXPECT_EQ(redis.cli({"hget", "sync:ids", second.address()}), id_of(second));
}

TEST_F(HostIds, AHostThatMovedHoldsUpNoRun) {
  auto& host = add_host();
  ASSERT_EQ(master().run("sync-master").status, 0);
  ASSERT_EQ(host.run("sync-minion").status, 0);
  const auto path = payload(3'000'000);
  set_task(path);
  ASSERT_EQ(master().run("sync-master").status, 0);
  ASSERT_EQ(redis.cli({"smembers", "sync:expected"}), host.address());
  const auto elsewhere = test_address(99);
  const auto ran = host.run("sync-minion", {"--address", elsewhere});
  EXPECT_EQ(ran.status, 0) << ran.output;
  expect_published(host, path);
  const auto last = master().run("sync-master");
  EXPECT_EQ(last.status, 0) << last.output;
  EXPECT_THAT(last.output, AllOf(HasSubstr("finished_minion_count: 1"),
                                 HasSubstr("mission complete, clean task and queue")));
  EXPECT_EQ(redis.cli({"exists", "task"}), "0");
}

}  // namespace
}  // namespace libsync::test
