// Every key × wrong types and wrong values: each function goes on, none runs for long, and the
// programs can read each answer.

#include <gmock/gmock.h>

#include <chrono>
#include <string>
#include <vector>

#include "function_caller.h"
#include "redis/coordinator.h"

namespace libsync::test {
namespace {

constexpr auto kYes = FunctionCaller::Last::yes;

// The keys that are hashes, with fields that functions read.
struct Hash {
  std::string key;
  std::vector<std::string> fields;
};

const std::string kSource = "10.0.0.8";
const std::string kPuller = "10.0.0.9";

std::vector<Hash> hashes() {
  std::vector<Hash> all{
      {"sync:run",
       {"state",     "path",     "name",           "fingerprint", "bytes",       "piece_bytes",
        "pieces",    "manifest", "manifest_bytes", "origin",      "origin_kind", "master",
        "announced", "expected", "known",          "trees",       "started",     "seated",
        "overtaken", "waiting",  "judged",         "slots"}},
      {"sync:last", {"run", "path", "started", "ended", "finished"}},
      {"sync:course",
       {"left", "joined", "reaped", "mended", "woken", "woken_at", "gathered", "clock", "reached",
        "mending", "fresh"}},
      {"sync:claims", {token(1), token(2)}},
      {"sync:moves", {"placed", "last", "0", "5", "work", "work 10.0.0.2"}},
      {"sync:totals", {"accounts", "wire", "pieces", "failed", "twice"}},
      {"sync:ids", {kSource, kPuller, run_id(77)}},
      {"sync:pace", {"usual", kSource}},
      {"sync:seats", {"0", "1", "5"}},
      {"sync:blame",
       {"avoid " + kPuller + " " + kSource, "strike " + kSource, "by " + kSource,
        "accused " + kPuller, "rounds " + kSource, "verified " + kSource, "slow " + kSource}},
  };
  for (const auto* const key : {"have", "slots", "uploads", "pulls", "waiting", "woken", "seat_of",
                                "done", "progress", "errors", "unfed", "hooks", "accounts"}) {
    all.push_back({std::string("sync:") + key, {"10.0.0.1", kSource, kPuller}});
  }
  return all;
}

const std::vector<std::string> kTexts{"lookup", "sync:digests", "sync:copies", "sync:coming"};
const std::vector<std::string> kSets{"synchronize_queue", "running_queue", "finished_queue",
                                     "sync:expected",     "sync:joined",   "sync:others",
                                     "sync:ticking"};
const std::vector<std::string> kSortedSets{"sync:hungry", "sync:leases", "sync:quarantine",
                                           "sync:minions", "sync:lingering"};

std::vector<std::string> all_keys() {
  std::vector<std::string> keys{"task",
                                "sync:events",
                                "sync:wake:" + kPuller,
                                "sync:last_expected",
                                "sync:last_others",
                                "sync:last_done",
                                "sync:last_errors",
                                "sync:last_hooks",
                                "sync:last_accounts",
                                "sync:last_totals",
                                "sync:last_progress"};
  for (const auto& hash : hashes()) keys.push_back(hash.key);
  for (const auto* const more : {&kTexts, &kSets, &kSortedSets}) {
    keys.insert(keys.end(), more->begin(), more->end());
  }
  return keys;
}

const std::vector<std::string> kWrong{"",
                                      "0",
                                      "abc",
                                      "5000000000",
                                      "-5000000000",
                                      "1e300",
                                      "nan",
                                      "inf",
                                      "0x10",
                                      "1.5",
                                      std::string("\xff\xfe\0", 3),
                                      std::string(400, '9'),
                                      std::string(100'000, 'x')};

class WrongValues : public testing::TestWithParam<const char*> {
 protected:
  static constexpr unsigned kPieces = 64;

  void begin() {
    f.ask({"FLUSHDB"});
    f.ask({"SET", "task", "/data/model.1"});
    f.linger(kPuller, 100'000);
    f.begin(run, kPieces, "10.0.0.1", 2, {kSource, kPuller}, GetParam());
    std::vector<unsigned> pieces;
    for (unsigned piece = 0; piece < kPieces; ++piece) pieces.push_back(piece);
    f.stage(run, pieces, kYes);
    f("join", {kSource, "1", "1", "0"});
    f("join", {kPuller, "1", "1", "0"});
    f.hold(run, kSource, all_bits(kPieces));
    f.claim(run, kPuller, token(1), bits(kPieces, {}), bits(kPieces, {1}));
    f.claim(run, kSource, token(2), bits(kPieces, {}), bits(kPieces, {1}));
    f.claim(run, "10.0.0.7", token(3), bits(kPieces, {}), all_bits(kPieces));
  }

  // Calls every function. The run may be another one in Redis by now, which is STALE.
  void expect_no_error(const std::string& what) {
    const auto none = bits(kPieces, {});
    const auto from = std::chrono::steady_clock::now();
    const auto check = [&](const std::string& verb, const Texts& answer) {
      EXPECT_FALSE(answer.at(0).starts_with("(error)")) << what << ": " << verb << answer.at(0);
    };
    const auto call = [&](const std::string& verb, const std::vector<std::string>& arguments) {
      check(verb, f(verb, arguments));
    };
    call("watch", {});
    call("status", {});
    call("pulse", {});
    call("refuse", {"another", "why"});
    call("fault", {run, kPuller, "feed", "why"});
    for (const auto* const role : {"master", "minion"}) call("rights", {role});
    for (const auto* const list :
         {"progress", "pulls", "uploads", "done", "errors", "waiting", "minions", "expected",
          "joined", "running", "others", "silent"}) {
      call("hosts", {run, list, "0"});
    }
    for (const auto* const host : {"10.0.0.9", "10.0.0.6"}) call("join", {host, "1", "1", "5000"});
    check("hold", f.hold(run, kSource, all_bits(kPieces)));
    check("claim", f.claim(run, kPuller, token(4), none, none, 4));
    call("follow", {run, kPuller, none, "2", "1", "0", none, kSource, "refused", "why"});
    check("complete", f.complete(run, kPuller, token(1), "refused", none, token(5), none));
    check("complete", f.complete(run, kSource, token(2), "good", all_bits(kPieces)));
    check("complete", f.complete(run, kPuller, token(5), "corrupt", none));
    call("renew", {run, kPuller, token(4)});
    call("doubt", {run, "10.0.0.1", "why"});
    call("digests", {run, "0", "63", "64", "5000000000", "x"});
    check("finish", f.finish(run, kSource, digest(0), all_bits(kPieces)));
    f.now += 120'000;
    // Each call does one step of mend.lua.
    for (int step = 0; step < 20; ++step) {
      check("hold", f.hold(run, kSource, all_bits(kPieces)));
      f.now += 101;
    }
    call("leave", {run, kPuller, "all", "why"});
    const auto account = [&](const std::string& of) {
      call("account",
           {of, kPuller, "9", "8", "2", "1", "40", "4", "1", "0", "7", "10.0.0.1=4", "why"});
    };
    account(run);
    check("stage", f.stage(run, {0, 1}, kYes));
    call("vouch", {run});
    call("overtake", {run, "/x"});
    call("expect", {run, "3", "add", kSource, kPuller});
    call("expect", {run, "3", "drop", kPuller});
    call("awaited", {});
    call("admit", {run, ""});
    call("wake", {"", "0"});
    call("wake", {"", "1"});
    call("repair", {run, run_id(2), "0", "/data/model.1", "model.1", std::string(32, 'f'), "640",
                    "10", "64", digest(0), "100", std::string(32, 'a'), "0", ""});
    const auto now = f.one({"HGET", "sync:run", "id"});
    check("end", f("end", {now, "complete", "", "1"}));
    account(now);
    for (const auto* const list : {"last_accounts", "last_totals", "last_progress"}) {
      call("hosts", {"", list, "0"});
    }
    check("begin", f.begin(run_id(3), kPieces));
    EXPECT_LT(std::chrono::steady_clock::now() - from, std::chrono::seconds(2)) << what;
  }

  TestRedis redis;
  FunctionCaller f{redis};
  const std::string run = run_id(1);
};

TEST_P(WrongValues, AKeyOfAnotherTypeStopsNoFunction) {
  for (const auto& key : all_keys()) {
    for (const auto& command :
         {RedisCommand{"SET", key, "x"}, RedisCommand{"LPUSH", key, "x"},
          RedisCommand{"HSET", key, "x", "y"}, RedisCommand{"SADD", key, "x"},
          RedisCommand{"ZADD", key, "1", "x"}, RedisCommand{"XADD", key, "*", "x", "y"}}) {
      begin();
      f.ask({"DEL", key});
      f.ask(command);
      expect_no_error(key + " by " + command.at(0));
    }
    begin();
    f.ask({"DEL", key});
    expect_no_error(key + " is missing");
  }
}

TEST_P(WrongValues, AFieldWithAnyValueStopsNoFunction) {
  for (const auto& hash : hashes()) {
    for (const auto& field : hash.fields) {
      for (const auto& value : kWrong) {
        begin();
        f.ask({"HSET", hash.key, field, value});
        expect_no_error(hash.key + " " + field + " = " + value.substr(0, 20));
      }
    }
  }
}

TEST_P(WrongValues, ATextOrAMemberWithAnyValueStopsNoFunction) {
  for (const auto& value : kWrong) {
    const auto what = " = " + value.substr(0, 20);
    for (const auto& key : kTexts) {
      begin();
      f.ask({"SET", key, value});
      expect_no_error(key + what);
    }
    for (const auto& key : kSets) {
      begin();
      f.ask({"SADD", key, value});
      expect_no_error(key + what);
    }
    for (const auto& key : kSortedSets) {
      for (const auto* const score : {"-inf", "0", "1e300", "inf"}) {
        begin();
        f.ask({"ZADD", key, score, value, score, kSource});
        expect_no_error(key + what);
      }
    }
  }
}

// The answers that a program decides by, or that a person reads. Nobody but the master writes
// sync:run.
TEST_P(WrongValues, TheProgramsCanReadTheAnswersWhateverMinionsWrite) {
  RedisCoordinator reader({.server = redis.server(),
                           .prefix = "",
                           .time = [this] { return std::to_string(f.now); },
                           .functions = timed_functions()});
  const auto read_all = [&] {
    static_cast<void>(reader.watch());
    static_cast<void>(reader.status());
    static_cast<void>(reader.pulse());
    static_cast<void>(reader.awaited());
    static_cast<void>(reader.last_account());
    static_cast<void>(reader.state_of(RunId::parse(run).value()));
  };
  for (const auto& hash : hashes()) {
    if (hash.key == "sync:run" || hash.key == "sync:last") continue;
    for (const auto& field : hash.fields) {
      for (const auto& value : kWrong) {
        begin();
        f.ask({"HSET", hash.key, field, value});
        EXPECT_NO_THROW(read_all()) << hash.key << " " << field << " = " << value.substr(0, 20);
      }
    }
  }
}

// A time that lies ahead, however it came to be, keeps no lease for long.
TEST_P(WrongValues, ACourseWithAnyValueKeepsNoLease) {
  for (const auto* const field : {"left", "joined", "reaped", "mended", "woken", "woken_at",
                                  "gathered", "mending", "fresh"}) {
    for (const auto& value : kWrong) {
      begin();
      f.ask({"HSET", "sync:course", field, value});
      ASSERT_NE(f.one({"HLEN", "sync:claims"}), "0");
      f.now += 60'000;
      f.hold(run, kSource, all_bits(kPieces));
      EXPECT_EQ(f.one({"HLEN", "sync:claims"}), "0") << field << " = " << value.substr(0, 20);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Spreads, WrongValues, testing::Values("claims", "trees"),
                         [](const auto& tested) { return std::string(tested.param); });

class WrongTask : public testing::Test {
 protected:
  TestRedis redis;
  FunctionCaller f{redis};
};

TEST_F(WrongTask, AListIsNamedAndStays) {
  f.ask({"LPUSH", "task", "x"});
  EXPECT_EQ(f("watch").at(1), "list");
  EXPECT_EQ(f("refuse", {"x", "why"}), Texts{"CHANGED"});
  EXPECT_EQ(f.one({"TYPE", "task"}), "list");
}

TEST_F(WrongTask, AnEmptyTextIsATask) {
  EXPECT_EQ(f("watch").at(1), "(nil)");
  f.ask({"SET", "task", ""});
  EXPECT_EQ(f("watch").at(1), "");
  EXPECT_EQ(f("refuse", {"", "why"}), Texts{"REFUSED"});
  EXPECT_EQ(f.one({"EXISTS", "task"}), "0");
}

TEST_F(WrongTask, OneTrailingSlashIsNoPartOfIt) {
  for (const auto& [text, task] : {std::pair{"/data/model.1/", "/data/model.1"},
                                   std::pair{"/a//", "/a/"}, std::pair{"/", "/"}}) {
    f.ask({"SET", "task", text});
    EXPECT_EQ(f("watch").at(1), task);
  }
  f.ask({"SET", "task", "/data/model.1/"});
  f.begin(run_id(1), 4);
  f("end", {run_id(1), "complete", "", "1"});
  EXPECT_EQ(f.one({"EXISTS", "task"}), "0") << "it was the task of this run";
}

TEST_F(WrongTask, ABrokenLookupCountsAnew) {
  RedisCoordinator coordinator({.server = redis.server()});
  f.ask({"SET", "task", "/a/"});
  for (const auto& command :
       {RedisCommand{"SET", "lookup", "abc"}, RedisCommand{"SADD", "lookup", "x"}}) {
    f.ask({"DEL", "lookup", "finished_queue"});
    f.ask(command);
    f.ask({"SET", "finished_queue", "x"});
    const auto found = coordinator.discover();
    EXPECT_EQ(found.task, "/a");
    EXPECT_TRUE(found.has_slash);
    EXPECT_EQ(f.one({"GET", "lookup"}), "1");
  }
}

}  // namespace
}  // namespace libsync::test
