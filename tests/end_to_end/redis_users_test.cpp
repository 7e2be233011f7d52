// The users of cron/redis-users.conf have the rights that they need, and no more.

#include "redis_users.h"

#include <gmock/gmock.h>

#include <regex>
#include <set>

#include "redis/connection.h"
#include "redis/coordinator.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using testing::Not;

// The first rules that README had for minions, and its last ones for masters.
constexpr auto kFormerMinion =
    "acl setuser minion reset on >minion-password resetchannels ~* -@all +auth +select +ping +time "
    "+fcall +blpop +get +exists +expire +getrange +setrange +hget +hmget +hset +hsetnx +hdel "
    "+hexists +hgetall +hkeys +hlen +hincrby +hrandfield +sadd +srem +smembers +scard +srandmember "
    "+zadd +zrem +zscore +zrangebyscore +lpush +xadd";
constexpr auto kFormerMaster =
    "acl setuser master reset on >master-password resetchannels ~* -@all +auth +select +ping +time "
    "+fcall +function|list +function|load +get +getrange +set +del +exists +expire +incr +setrange "
    "+hget +hmget +hset +hsetnx +hdel +hexists +hgetall +hkeys +hlen +hincrby +hrandfield +sadd "
    "+srem +smembers +scard +srandmember +sismember +zadd +zrem +zscore +zrange +zrangebyscore "
    "+zcount +zremrangebyscore +lpush +xadd";

class RedisUsers : public Fleet {};

TEST_F(RedisUsers, HaveTheRightsForARunAndNoMore) {
  auto& host = add_host();
  load_users(redis);
  auto of_master = options_of(master(), redis, "master");
  of_master.insert(of_master.end(), {"--minions", "1", "--piece-size", "1M"});
  auto of_minion = options_of(host, redis, "minion");
  of_minion.insert(of_minion.end(), {"--linger", "60s"});
  start_master(of_master);
  host.start("sync-minion", of_minion);
  write_file(source_root() / "guarded", random_bytes(5'000'000, 1));
  set_task(source_root() / "guarded");
  wait_for_end();
  expect_published(host, source_root() / "guarded");
  EXPECT_THAT(master().log() + host.log(), Not(HasSubstr("NOPERM")));
  of_minion.emplace_back("status");
  const auto shown = host.run("sync-minion", of_minion);
  EXPECT_EQ(shown.status, 0) << shown.output;
  EXPECT_THAT(shown.output, HasSubstr(", finished by this host\n")) << "it reads the last run";
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

TEST_F(RedisUsers, NamesEachUserOnce) {
  std::multiset<std::string> names;
  for (const auto& line : user_lines(kUsersFile)) names.insert(line[1]);
  EXPECT_EQ(names,
            (std::multiset<std::string>{"admin", "default", "master", "minion", "operator"}));
}

TEST_F(RedisUsers, MayRunEachFunctionAndItsCommands) {
  const std::string source(functions_source());
  const auto all_of = [&](const std::string& text, const std::string& pattern) {
    const std::regex wanted(pattern);
    std::set<std::string> found;
    for (std::sregex_iterator at(text.begin(), text.end(), wanted), end; at != end; ++at) {
      auto name = (*at)[1].str();
      for (auto& letter : name) letter = static_cast<char>(std::tolower(letter));
      found.insert(name);
    }
    return found;
  };
  const auto rules_from = [](const std::string& user, const std::string& start) {
    const auto rules = rules_of(user, start);
    return std::set<std::string>(rules.begin(), rules.end());
  };
  // The parts of the source: what all calls share, the calls of the master, those of minions.
  const auto of_master = source.find("-- The functions that the master calls");
  const auto of_minions = source.find("-- The functions that minions call");
  ASSERT_LT(of_master, of_minions);
  const auto shared = source.substr(0, of_master);
  const std::string command = "redis\\.call\\('([A-Z]+)'";
  const std::string function = "\nregister\\('(\\w+)'";
  const struct {
    const char* user;
    std::string calls;
  } roles[] = {{"master", source.substr(of_master, of_minions - of_master)},
               {"minion", source.substr(of_minions)}};
  for (const auto& role : roles) {
    const auto granted = rules_from(role.user, "+");
    for (const auto& needed : all_of(shared + role.calls, command)) {
      EXPECT_TRUE(granted.contains(needed)) << role.user << " needs +" << needed;
    }
    std::set<std::string> callable;
    for (const auto& verb : all_of(role.calls, function)) callable.insert("libsync1_" + verb);
    callable.insert({"libsync1_status", "libsync1_awaited", "libsync1_hosts", "libsync1_pulse",
                     "libsync1_rights"});
    EXPECT_EQ(rules_from(role.user, "+fcall|"), callable) << role.user;
  }
}

// `check` finds a right that is missing by the lists in the function rights.
TEST_F(RedisUsers, HaveJustTheRightsThatCheckAsksFor) {
  load_users(redis);
  ASSERT_EQ(master().run("sync-master").status, 0);
  for (const std::string role : {"master", "minion"}) {
    const auto missing = [&] {
      auto server = redis.server();
      server.user = role;
      server.password = role + "-password";
      RedisConnection connection(server);
      const auto answer = connection.ask({"FCALL", "libsync1_rights", "0", "", "", role});
      std::set<std::string> rules;
      const auto* const values = answer.array();
      if (values == nullptr) ADD_FAILURE() << "no list";
      for (std::size_t i = 3; values != nullptr && i < values->size(); ++i) {
        rules.insert(*(*values)[i].text());
      }
      return rules;
    };
    EXPECT_EQ(missing(), std::set<std::string>()) << role;
    // With these rules alone every other one of the file is missing.
    redis.cli({"acl", "setuser", role, "-@all", "resetkeys", "+auth", "+select",
               "+fcall|libsync1_rights", "+hget", "+hset"});
    const auto rules = rules_of(role, "");
    std::set<std::string> expected(rules.begin() + 4, rules.end());
    for (const auto* const other :
         {"resetchannels", "resetkeys", "-@all", "+auth", "+select", "+ping", "+info|memory",
          "+fcall|libsync1_rights", "+hget", "+hset", "~*"}) {
      expected.erase(other);
    }
    auto found = missing();
    // The file grants every key to the master.
    if (role == "master") {
      std::erase_if(found, [](const auto& rule) { return rule.starts_with("~"); });
    }
    EXPECT_EQ(found, expected) << role;
  }
}

TEST_F(RedisUsers, OfAFormerVersionLackARightThatOneLineNamesWithTheWayOut) {
  auto& host = add_host();
  write_file(source_root() / "guarded", random_bytes(100'000, 1));
  set_task(source_root() / "guarded");
  ASSERT_EQ(master().run("sync-master", {"--minions", "2"}).status, 0);
  for (const auto* const rules : {kFormerMinion, kFormerMaster}) {
    EXPECT_EQ(redis.cli(split(rules)), "OK");
  }
  auto of_master = options_of(master(), redis, "master");
  of_master.insert(of_master.end(), {"--minions", "2"});
  auto ran = master().run("sync-master", of_master);
  EXPECT_EQ(ran.status, 3);
  EXPECT_THAT(ran.output, HasSubstr("no right (SSCAN sync:expected in libsync1_hosts)"));
  const std::string command =
      "sed -n 's/ >[^ ]*//; s/^user m/acl setuser m/p' "
      "/usr/share/doc/sync-fanout/examples/redis-users.conf | redis-cli";
  EXPECT_THAT(ran.output, HasSubstr(command));
  const auto of_minion = options_of(host, redis, "minion");
  ran = host.run("sync-minion", of_minion);
  EXPECT_EQ(ran.status, 3);
  EXPECT_THAT(ran.output, HasSubstr("no right (SISMEMBER sync:expected in libsync1_join)"));
  EXPECT_THAT(ran.output, HasSubstr(command));
  // The way out keeps the passwords.
  const auto rules = test::run({"sed", "-n", "s/ >[^ ]*//; s/^user m/acl setuser m/p", kUsersFile});
  EXPECT_EQ(redis.cli({}, rules.output), "OK\nOK");
  ran = master().run("sync-master", of_master);
  EXPECT_EQ(ran.status, 0) << ran.output;
  ran = host.run("sync-minion", of_minion);
  EXPECT_EQ(ran.status, 0) << ran.output;
  for (const auto* const key :
       {"sync:run", "sync:digests", "sync:expected", "sync:others", "sync:last", "task"}) {
    EXPECT_THAT(redis.cli({"acl", "dryrun", "minion", "expire", key, "0"}),
                HasSubstr("no permissions to access"))
        << key;
  }
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
  EXPECT_THAT(shown.output, HasSubstr(", staged for"));
  EXPECT_EQ(as("operator", {"del", "task"}), "1\n");
}

}  // namespace
}  // namespace libsync::test
