// A host with the password of the user minion wants the others to publish its bytes. It writes
// hostile values to every key, and calls every function, that its user may write or call.

#include <gmock/gmock.h>

#include <csignal>
#include <set>
#include <thread>

#include "libsync/core/failure.h"
#include "libsync/core/pieces.h"
#include "redis_users.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;

// As README had them before the master's keys had rules of their own.
constexpr auto kFormerMinion =
    "acl setuser minion reset on >minion-password resetchannels %R~task ~synchronize_queue "
    "~running_queue ~finished_queue ~sync:* -@all +auth +select +ping +time +fcall +blpop +get "
    "+getrange +exists +expire +setrange +hget +hmget +hset +hsetnx +hdel +hexists +hgetall +hkeys "
    "+hlen +hincrby +hrandfield +sadd +srem +smembers +scard +srandmember +sismember +zadd +zrem "
    "+zscore +zrange +zrangebyscore +zcount +lpush +xadd";

class HostileMinion : public Fleet {
 protected:
  HostileMinion() : evil_(add_host()) {
    load_users(redis);
    // Its own run, under keys of its own, whose pieces its own daemon serves.
    std::filesystem::create_directories(source_root() / "evil");
    write_file(source_root() / "evil" / "model", random_bytes(3'000'000, 66));
    redis.cli({"set", "evil:task", (source_root() / "evil" / "model").string()});
    EXPECT_EQ(
        evil_.run("sync-master", {"--prefix", "evil:", "--minions", "9", "--piece-size", "1M"})
            .status,
        0);
    // The functions are there from now on, so lingering minions wait for a run.
    EXPECT_EQ(master().run("sync-master", options_of(master(), redis, "master")).status, 0);
    auto server = redis.server();
    server.user = "minion";
    server.password = "minion-password";
    connection_.emplace(server);
  }

  void start_good_hosts(const Words& more = {}) {
    for (auto* const host : good_) {
      auto options = options_of(*host, redis, "minion");
      options.insert(options.end(),
                     {"--linger", "60s", "--after-publish",
                      "cksum < \"$SYNC_FANOUT_PATH\" >> '" + hooks(*host).string() + "'"});
      options.insert(options.end(), more.begin(), more.end());
      host->start("sync-minion", options);
    }
  }
  void start_good_master() {
    auto options = options_of(master(), redis, "master");
    options.insert(options.end(), {"--minions", "2", "--piece-size", "1M", "--linger", "60s"});
    master().start("sync-master", options);
  }
  static std::filesystem::path hooks(const Host& host) { return host.folder() / "hooks"; }

  /// The answer to the hostile user, or nothing if it has no right to the command.
  std::optional<RedisValue> attempt(const RedisCommand& command) {
    try {
      auto answer = connection_->ask(command);
      const auto* const error = answer.error();
      if (error != nullptr && error->text.starts_with("NOPERM")) return std::nullopt;
      return answer;
    } catch (const Failure& failure) {
      EXPECT_THAT(failure.what(), HasSubstr("NOPERM")) << command.front();
      return std::nullopt;
    }
  }

  /// Makes the hostile run the one in progress, and its host the only source.
  void attack() {
    const auto run = redis.ask({"HGETALL", "evil:sync:run"});
    RedisCommand fields{"HSET", "sync:run"};
    for (const auto& field : *run.array()) fields.push_back(*field.text());
    std::vector<RedisCommand> commands{fields};
    for (const auto* const name : {"fingerprint", "bytes", "piece_bytes", "pieces", "manifest",
                                   "manifest_bytes", "state", "announced"}) {
      commands.push_back(
          {"HSET", "sync:run", name, *redis.ask({"HGET", "evil:sync:run", name}).text()});
    }
    commands.push_back(
        {"SETRANGE", "sync:digests", "0", *redis.ask({"GET", "evil:sync:digests"}).text()});
    commands.push_back({"HSET", "sync:have", evil_.address(), "\x07"});
    commands.push_back({"HSET", "sync:slots", evil_.address(), "9", master().address(), "0"});
    commands.push_back({"SREM", "synchronize_queue", master().address()});
    commands.push_back({"SADD", "synchronize_queue", evil_.address()});
    for (const auto* const host : good_) {
      commands.push_back({"HDEL", "sync:done", host->address()});
      commands.push_back({"LPUSH", "sync:wake:" + host->address(), "1"});
    }
    for (const auto& command : commands) static_cast<void>(attempt(command));
  }

  /// Every key and every function with hostile values.
  void write_everywhere() {
    const auto id = redis.cli({"hget", "sync:run", "id"});
    const auto& victim = good_.front()->address();
    const std::vector<std::string> values{"",
                                          "0",
                                          "-1",
                                          "nan",
                                          "1e308",
                                          victim,
                                          evil_.address(),
                                          id,
                                          std::string(512, '\xff'),
                                          std::string(100'000, 'x'),
                                          std::string("\xff\xfe\0 \n", 5)};
    const auto writes = [&](const std::string& key, const std::string& value) {
      return std::vector<RedisCommand>{{"EXPIRE", key, "0"},         {"HSET", key, value, value},
                                       {"HSET", key, victim, value}, {"SADD", key, value},
                                       {"EXPIRE", key, "0"},         {"ZADD", key, "9e15", value},
                                       {"EXPIRE", key, "0"},         {"SETRANGE", key, "0", value},
                                       {"EXPIRE", key, "0"},         {"XADD", key, "*", "a", value},
                                       {"EXPIRE", key, "0"},         {"LPUSH", key, value}};
    };
    for (auto key : rules_of("minion", "~")) {
      if (key.ends_with('*')) key.replace(key.size() - 1, 1, victim);
      for (const auto& value : values) {
        for (const auto& command : writes(key, value)) {
          EXPECT_TRUE(attempt(command)) << command[0] << " " << key;
        }
        expect_no_wrong_bytes();
      }
    }
    for (const auto& key : rules_of("minion", "%R~")) {
      for (const auto& command : writes(key, evil_.address())) {
        EXPECT_FALSE(attempt(command)) << command[0] << " " << key;
      }
    }
    for (const auto& function : rules_of("minion", "+fcall|")) {
      for (const auto& value : values) {
        for (const auto& run : {id, value}) {
          RedisCommand command{"FCALL", function, "0", "", "", run, victim};
          for (int i = 0; i < 8; ++i) command.push_back(value);
          EXPECT_TRUE(attempt(command)) << function;
        }
        expect_no_wrong_bytes();
      }
    }
    for (const auto& function : rules_of("master", "+fcall|")) {
      // Reading the state is for everybody.
      const std::set<std::string> reading{"libsync1_status", "libsync1_awaited", "libsync1_hosts",
                                          "libsync1_pulse", "libsync1_rights"};
      if (reading.contains(function)) continue;
      EXPECT_FALSE(attempt({"FCALL", function, "0", "", "", id, victim})) << function;
    }
  }

  static void end(Background& program) {
    if (program.has_ended()) return;
    program.signal(SIGTERM);
    static_cast<void>(program.wait());
  }

  void expect_no_wrong_bytes() {
    for (const auto* const host : good_) {
      const auto published = host->repo() / "model";
      if (std::filesystem::exists(published)) {
        EXPECT_EQ(content_of(published), good_bytes_) << host->address();
      }
    }
  }

  /// The hosts act on the attack meanwhile.
  void expect_no_wrong_bytes_for(std::chrono::seconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end && !HasFailure()) {
      expect_no_wrong_bytes();
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

  /// The checksums of the published files, as the hooks of the good hosts computed them.
  std::set<std::string> seen_by_hooks() {
    std::set<std::string> all;
    for (const auto* const host : good_) {
      if (std::filesystem::exists(hooks(*host))) all.insert(content_of(hooks(*host)));
    }
    return all;
  }

  void end_with_a_run() {
    for (auto* const host : good_) end(host->program());
    end(master().program());
    redis.cli({"flushdb"});
    set_task(payload_);
    start_good_master();
    start_good_hosts();
    wait_for_end();
    for (auto* const host : good_) expect_published(*host, payload_);
    // A hook may run after the run has ended.
    const auto sum = run({"sh", "-c", "cksum < " + payload_.string()}).output;
    EXPECT_TRUE(eventually([&] { return seen_by_hooks() == std::set<std::string>{sum}; }));
  }

  Host& evil_;
  std::vector<Host*> good_ = add_hosts(2);
  const std::filesystem::path payload_ = source_root() / "model";
  const std::string good_bytes_ = random_bytes(3'000'000, 1);
  std::optional<RedisConnection> connection_;
};

TEST_F(HostileMinion, CannotMakeAnybodyPublishWithoutARun) {
  write_file(payload_, good_bytes_);
  start_good_hosts();
  start_good_master();
  ASSERT_TRUE(eventually([&] { return std::stoi(redis.cli({"zcard", "sync:minions"})) >= 2; }));
  attack();
  expect_no_wrong_bytes_for(std::chrono::seconds(5));
  write_everywhere();
  attack();
  expect_no_wrong_bytes_for(std::chrono::seconds(3));
  for (const auto* const host : good_) {
    EXPECT_FALSE(std::filesystem::exists(host->repo() / "model")) << host->log();
  }
  EXPECT_TRUE(seen_by_hooks().empty());
  end_with_a_run();
}

TEST_F(HostileMinion, CannotMakeAnybodyPublishOtherBytesDuringARun) {
  write_file(payload_, good_bytes_);
  start_good_hosts({"--bwlimit", "50k"});
  start_good_master();
  set_task(payload_);
  ASSERT_TRUE(eventually([&] { return redis.cli({"hget", "sync:run", "state"}) == "staged"; }));
  attack();
  expect_no_wrong_bytes_for(std::chrono::seconds(8));
  ASSERT_EQ(redis.cli({"exists", "sync:run"}), "1") << "the run is in progress";
  write_everywhere();
  attack();
  expect_no_wrong_bytes_for(std::chrono::seconds(3));
  end_with_a_run();
}

// The attack is one, so the tests above can fail.
TEST_F(HostileMinion, CouldDoSoWithTheRightsOfFormerVersions) {
  EXPECT_EQ(redis.cli(split(kFormerMinion)), "OK");
  start_good_hosts();
  ASSERT_TRUE(eventually([&] { return std::stoi(redis.cli({"zcard", "sync:minions"})) >= 2; }));
  attack();
  const auto evil_bytes = content_of(source_root() / "evil" / "model");
  for (const auto* const host : good_) {
    EXPECT_TRUE(eventually([&] {
      return std::filesystem::exists(host->repo() / "model") &&
             content_of(host->repo() / "model") == evil_bytes;
    })) << host->log();
  }
}

// Some later Redis may know no rules for single functions. The rules for keys suffice.
TEST_F(HostileMinion, CallsNoFunctionOfTheMasterWithEffect) {
  EXPECT_EQ(redis.cli({"acl", "setuser", "minion", "+fcall"}), "OK");
  write_file(payload_, good_bytes_);
  auto options = options_of(master(), redis, "master");
  options.insert(options.end(), {"--minions", "2", "--piece-size", "1M"});
  set_task(payload_);
  ASSERT_EQ(master().run("sync-master", options).status, 0);
  const auto state = [&] {
    std::string all;
    for (const auto& key : rules_of("minion", "%R~")) {
      const auto dump = redis.ask({"DUMP", key});
      all += key + "=" + (dump.text() == nullptr ? "" : *dump.text()) + "\n";
    }
    return all;
  };
  const auto before = state();
  const auto id = redis.cli({"hget", "sync:run", "id"});
  const auto path = payload_.string();
  for (const RedisCommand& arguments :
       {RedisCommand{"begin", id, path, "model", id, "9", "9", "1", "6:blake3:00", "9", "10.0.0.9",
                     "master", id, "9", "1", "auto", "0"},
        RedisCommand{"stage", id, "1", "0", std::string(kStagedBytes, 'x')},
        RedisCommand{"end", id, "complete", "", "1"}, RedisCommand{"refuse", path, "why"},
        RedisCommand{"admit", id}, RedisCommand{"overtake", id, "/x"}, RedisCommand{"vouch", id},
        RedisCommand{"expect", id, "3", "add", "10.0.0.9"},
        RedisCommand{"expect", id, "3", "drop", "10.0.0.1"}, RedisCommand{"wake", "", "0"},
        RedisCommand{"repair", id, std::string(32, 'a'), "1", path, "model", id, "9", "9", "1",
                     "6:blake3:00", "9", id, "0", std::string(32, 'x'), "10.0.0.9"}}) {
    RedisCommand command{"FCALL", "libsync1_" + arguments.front(), "0", "", ""};
    command.insert(command.end(), arguments.begin() + 1, arguments.end());
    static_cast<void>(attempt(command));
    EXPECT_EQ(state(), before) << arguments.front();
  }
}

}  // namespace
}  // namespace libsync::test
