// The users of cron/redis-users.conf have the rights that they need, and no more.

#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "fleet.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr auto kUsersFile = SOURCE_FOLDER "/cron/redis-users.conf";

class RedisUsers : public Fleet {};

TEST_F(RedisUsers, HaveTheRightsForARunAndNoMore) {
  auto& host = add_host();
  std::istringstream shipped(content_of(kUsersFile));
  std::set<std::string> users;
  for (std::string line; std::getline(shipped, line);) {
    // The test itself remains the default user.
    if (!line.starts_with("user ") || line.starts_with("user default ")) continue;
    std::istringstream split(line);
    Words words{std::istream_iterator<std::string>(split), {}};
    words.front() = "setuser";
    words.insert(words.begin(), "acl");
    EXPECT_EQ(redis.cli(words), "OK");
    users.insert(words[2]);
  }
  EXPECT_EQ(users, (std::set<std::string>{"admin", "master", "minion", "operator"}));
  const auto options = [&](const Host& of, const std::string& user) {
    const auto file = of.folder() / "redis.password";
    write_file(file, user + "-password\n");
    std::filesystem::permissions(file, std::filesystem::perms(0600));
    return Words{"--redis", redis.url(user), "--redis-password-file", file.string()};
  };
  auto of_master = options(master(), "master");
  of_master.insert(of_master.end(), {"--minions", "1", "--piece-size", "1M"});
  auto of_minion = options(host, "minion");
  of_minion.insert(of_minion.end(), {"--linger", "60s"});
  start_master(of_master);
  host.start("sync-minion", of_minion);
  write_file(source_root() / "guarded", random_bytes(5'000'000, 1));
  set_task(source_root() / "guarded");
  wait_for_end();
  expect_published(host, source_root() / "guarded");
  EXPECT_THAT(master().log() + host.log(), Not(HasSubstr("NOPERM")));
  // A minion may write to the keys of a run, but must not set a task, or end one.
  redis.cli({"set", "task", "/x"});
  for (const Words& words : {Words{"setrange", "task", "0", "/y"}, Words{"expire", "task", "0"},
                             Words{"setrange", "other", "0", "/y"}}) {
    Words command{"acl", "dryrun", "minion"};
    command.insert(command.end(), words.begin(), words.end());
    EXPECT_THAT(redis.cli(command), HasSubstr("no permissions to access")) << words[0];
  }
  EXPECT_THAT(master().log() + host.log(), Not(HasSubstr("-password")));
}

TEST_F(RedisUsers, LetTheOperatorSetATaskAndReadTheRun) {
  const auto address = test_address(250);
  const auto folder = master().folder();
  Background server({"redis-server", "--include", kUsersFile, "--bind", address, "--port", "6399",
                     "--save", "", "--dir", folder.string()},
                    folder / "users.log");
  const auto as = [&](const std::string& user, const Words& command) {
    Words words{"redis-cli", "-h", address, "-p", "6399", "--no-auth-warning"};
    if (!user.empty()) words.insert(words.end(), {"--user", user, "--pass", user + "-password"});
    words.insert(words.end(), command.begin(), command.end());
    return run(words).output;
  };
  ASSERT_TRUE(eventually([&] { return as("operator", {"ping"}) == "PONG\n"; }))
      << content_of(folder / "users.log");
  EXPECT_THAT(as("", {"get", "task"}), HasSubstr("NOAUTH"));
  EXPECT_EQ(as("admin", {"acl", "whoami"}), "admin\n");
  EXPECT_EQ(as("operator", {"set", "task", "/data1/x"}), "OK\n");
  for (const Words& command : {Words{"hset", "sync:run", "id", "x"}, Words{"set", "lookup", "7"},
                               Words{"fcall", "libsync1_end", "0"}, Words{"flushall"}}) {
    EXPECT_THAT(as("operator", command), HasSubstr("NOPERM")) << command.front();
  }
  const auto options = [&](const std::string& user) {
    const auto file = folder / (user + ".password");
    write_file(file, user + "-password\n");
    std::filesystem::permissions(file, std::filesystem::perms(0600));
    return Words{"--redis", "redis://" + user + "@" + address + ":6399/0", "--redis-password-file",
                 file.string()};
  };
  // The master loads the functions and begins a run.
  write_file(source_root() / "seen", random_bytes(1000, 1));
  EXPECT_EQ(as("operator", {"set", "task", (source_root() / "seen").string()}), "OK\n");
  EXPECT_EQ(master().run("sync-master", options("master")).status, 0);
  auto words = options("operator");
  words.push_back("status");
  const auto shown = master().run("sync-master", words);
  EXPECT_EQ(shown.status, 0) << shown.output << shown.errors;
  EXPECT_THAT(shown.output, HasSubstr("run      staged"));
  EXPECT_EQ(as("operator", {"del", "task"}), "1\n");
}

}  // namespace
}  // namespace libsync::test
