// Each key of a run is deleted alone, and the run ends.

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>
#include <numeric>
#include <set>

#include "function_caller.h"
#include "libsync/core/pieces.h"

namespace libsync::test {
namespace {

constexpr unsigned kPieces = 8;
constexpr unsigned kHosts = 5;
constexpr std::int64_t kStepMs = 500;
constexpr std::int64_t kLeaseMs = 45'000;
constexpr std::int64_t kMendMs = 10'000;
// A run of these hosts needs some seconds.
constexpr std::int64_t kUndisturbedMs = 20'000;
constexpr auto kYes = FunctionCaller::Last::yes;

struct LostKey {
  std::string key;
  std::string spread;
  friend std::ostream& operator<<(std::ostream& out, const LostKey& lost) {
    return out << lost.key << " " << lost.spread;
  }
};

struct Puller {
  std::string address;
  PieceSet have{kPieces};
  std::string token;
  std::vector<PieceNumber> pulls;
};

class LostKeyFunctions : public testing::TestWithParam<LostKey> {
 protected:
  LostKeyFunctions() {
    for (unsigned i = 0; i < kHosts; ++i) {
      hosts.push_back({"10.0.1." + std::to_string(i + 1), PieceSet(kPieces), "", {}});
    }
    for (const auto& host : hosts) join(host);
    f.begin(run, kPieces, "10.0.0.1", 2, {}, GetParam().spread);
    f.stage(run, {0, 1, 2, 3, 4, 5, 6, 7}, kYes);
  }

  void join(const Puller& host) {
    const std::string id(32, host.address.back());
    EXPECT_NE(f("join", {host.address, "0", "1", "60000", id}).front(), "OCCUPIED");
  }
  std::string next_token() { return token(++tokens); }
  std::string hold(const Puller& host) {
    return f.hold(run, host.address, host.have.bitmap()).front();
  }
  void note_claim(Puller& host, const Texts& answer) {
    host.token.clear();
    host.pulls.clear();
    if (answer.front() != "CLAIMED") return;
    host.token = answer.at(1);
    for (std::size_t i = 8; i + 1 < answer.size(); i += 2) {
      host.pulls.push_back(static_cast<PieceNumber>(std::stoul(answer[i])));
    }
  }
  /// A host does what a minion does at its next wake-up.
  void act(Puller& host) {
    const bool is_finished = f.one({"HEXISTS", "sync:done", host.address}) == "1";
    if (is_finished) return;
    join(host);
    if (host.have.is_complete()) {
      hold(host);
      f.finish(run, host.address, digest(0), host.have.bitmap());
    } else if (host.token.empty()) {
      note_claim(host,
                 f.claim(run, host.address, next_token(), host.have.bitmap(), host.have.bitmap()));
    } else {
      for (const auto piece : host.pulls) host.have.insert(piece);
      note_claim(host, f.complete(run, host.address, host.token, "good", host.have.bitmap(),
                                  next_token(), host.have.bitmap()));
    }
  }
  /// The master watches, and repairs every 10 s. True once the run is complete.
  bool is_complete() {
    if (f.now >= repair_at) {
      repair_at = f.now + kMendMs;
      std::string digests;
      for (unsigned piece = 0; piece < kPieces; ++piece) digests += digest(piece);
      std::vector<std::string> arguments{
          run,  run_id(2), "1", "/data/model.1", "model.1", std::string(32, 'f'),
          "80", "10",      "8", digest(0),       "100",     std::string(32, 'a'),
          "0",  digests};
      for (const auto& host : hosts) arguments.push_back(host.address);
      const auto repaired = f("repair", arguments);
      if (repaired.front() == "REPAIRED") run = repaired.at(1);
      f("admit", {run});
    }
    const auto all = f("watch");
    if (all.size() < 12) {  // The master begins again what Redis has lost.
      f.begin(run, kPieces, "10.0.0.1", 2, {}, GetParam().spread);
      f.stage(run, {0, 1, 2, 3, 4, 5, 6, 7}, kYes);
      return false;
    }
    return all.at(4) == std::to_string(kHosts) && all.at(3) == all.at(4);
  }

  TestRedis redis;
  FunctionCaller f{redis};
  std::string run = run_id(1);
  std::vector<Puller> hosts;
  unsigned tokens = 0;
  std::int64_t repair_at = 0;
};

TEST_P(LostKeyFunctions, TheRunEnds) {
  const auto start = f.now;
  std::int64_t ended = 0;
  for (int step = 0; ended == 0 && f.now < start + kUndisturbedMs + kLeaseMs + kMendMs; ++step) {
    f.now += kStepMs;
    if (step == 6) f.ask({"DEL", GetParam().key});
    // The second host dies with its claim, and comes back with its next tick.
    if (step == 5) hosts[1].token.clear();
    for (auto& host : hosts) {
      if (&host == &hosts[1] && step >= 5 && step < 20) continue;
      act(host);
    }
    if (is_complete()) ended = f.now;
  }
  EXPECT_GT(ended, 0) << "finished " << f.one({"HLEN", "sync:done"});
  // Nobody pulls, so nothing is in use.
  f.now += kLeaseMs + kMendMs + 1000;
  hold(hosts[0]);
  f.now += kMendMs + 1000;
  hold(hosts[0]);
  EXPECT_EQ(f.one({"EXISTS", "sync:uploads", "sync:pulls", "sync:claims", "sync:leases"}), "0");
  EXPECT_TRUE(f.members("running_queue").empty());
  EXPECT_EQ(f.members("finished_queue").size(), kHosts);
}

std::vector<LostKey> all_keys() {
  std::vector<LostKey> all;
  for (const auto* const spread : {"claims", "trees"}) {
    for (const auto* const key :
         {"none",         "lookup",       "synchronize_queue", "running_queue",   "finished_queue",
          "sync:run",     "sync:digests", "sync:expected",     "sync:others",     "sync:last",
          "sync:course",  "sync:joined",  "sync:ticking",      "sync:have",       "sync:copies",
          "sync:coming",  "sync:hungry",  "sync:slots",        "sync:uploads",    "sync:pulls",
          "sync:claims",  "sync:leases",  "sync:pace",         "sync:waiting",    "sync:woken",
          "sync:seats",   "sync:seat_of", "sync:done",         "sync:progress",   "sync:moves",
          "sync:unfed",   "sync:hooks",   "sync:blame",        "sync:quarantine", "sync:errors",
          "sync:minions", "sync:ids",     "sync:lingering",    "sync:events",     "sync:accounts",
          "sync:totals"}) {
      all.push_back({key, spread});
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Of, LostKeyFunctions, testing::ValuesIn(all_keys()), [](const auto& lost) {
  std::string name = lost.param.key + "_" + lost.param.spread;
  std::replace(name.begin(), name.end(), ':', '_');
  return name;
});

TEST(MendFunctions, CountsAreWhatTheyCountAfterTenSeconds) {
  for (const auto* const key : {"sync:uploads", "sync:pulls", "sync:coming", "sync:copies",
                                "sync:leases", "running_queue", "sync:claims"}) {
    TestRedis redis;
    FunctionCaller f(redis);
    const auto run = run_id(1);
    const auto none = bits(4, {});
    f.begin(run, 4, "10.0.0.1", 2, {"10.0.0.5"});
    f.stage(run, {0, 1, 2, 3}, kYes);
    f.hold(run, "10.0.0.6", bits(4, {1}));
    ASSERT_EQ(f.claim(run, "10.0.0.5", token(1), none, none).front(), "CLAIMED");
    const auto state = [&] {
      const auto counts = [&](const std::string& name) {
        auto text = f.one({"GET", name});
        text.resize(8);
        return text;
      };
      return Texts{f.one({"HGET", "sync:uploads", "10.0.0.1"}),
                   f.one({"HGET", "sync:pulls", "10.0.0.5"}),
                   counts("sync:coming"),
                   counts("sync:copies"),
                   f.one({"ZCARD", "sync:leases"}),
                   f.one({"SISMEMBER", "running_queue", "10.0.0.5"})};
    };
    const auto before = state();
    f.ask({"DEL", key});
    f.mend(run, "10.0.0.6", bits(4, {1}));
    if (key == std::string("sync:claims")) {
      EXPECT_EQ(f.one({"EXISTS", "sync:uploads", "sync:pulls", "running_queue"}), "0");
    } else {
      EXPECT_EQ(state(), before) << key;
    }
  }
}

TEST(MendFunctions, ALeaseWithoutAClaimGoes) {
  TestRedis redis;
  FunctionCaller f(redis);
  const auto run = run_id(1);
  const auto none = bits(4, {});
  f.begin(run, 4, "10.0.0.1", 2, {"10.0.0.5"});
  f.stage(run, {0, 1, 2, 3}, kYes);
  f.claim(run, "10.0.0.5", token(1), none, none);
  f.ask({"ZADD", "sync:leases", std::to_string(f.now + 10 * kLeaseMs), token(2)});
  f.mend(run, "10.0.0.6", none);
  EXPECT_THAT(f.ask({"ZRANGE", "sync:leases", "0", "-1"}), testing::ElementsAre(token(1)));
}

// With many claims one call counts the hosts of some last characters.
TEST(MendFunctions, ManyClaimsOfAllHostsAreCountedAgain) {
  constexpr unsigned kMany = 2500;
  TestRedis redis;
  FunctionCaller f(redis);
  const auto run = run_id(1);
  f.begin(run, 4, "10.0.0.1", 2, {"10.0.0.5"});
  f.stage(run, {0, 1, 2, 3}, kYes);
  std::map<std::string, unsigned> pulls;
  std::map<std::string, unsigned> uploads;
  for (unsigned i = 0; i < kMany; ++i) {
    const auto puller = fmt::format("fd00::{:x}", i % 400 + 1);
    const auto source = fmt::format("10.1.2.{}", i % 150 + 1);
    ++pulls[puller];
    ++uploads[source];
    f.ask({"HSET", "sync:claims", token(i), puller + " " + source + " 0"});
    f.ask({"ZADD", "sync:leases", std::to_string(f.now + 100 * kLeaseMs), token(i)});
  }
  f.ask({"HSET", "sync:pulls", "fd00::1", "7", "fd00::fff", "1"});
  f.ask({"HSET", "sync:uploads", "10.1.2.9", "1", "10.1.2.200", "1"});
  f.mend(run, "10.0.0.6", bits(4, {}));
  const auto counts = [&](const std::string& key) {
    std::map<std::string, unsigned> found;
    const auto all = f.ask({"HGETALL", key});
    for (std::size_t i = 0; i + 1 < all.size(); i += 2)
      found[all[i]] = static_cast<unsigned>(std::stoul(all[i + 1]));
    return found;
  };
  EXPECT_EQ(counts("sync:pulls"), pulls);
  EXPECT_EQ(counts("sync:uploads"), uploads);
}

// With many hosts one call counts a part of the pieces.
TEST(MendFunctions, CopiesOfAllPiecesAreCountedInPages) {
  constexpr unsigned kMany = 4000;
  constexpr unsigned kHundred = 100;
  TestRedis redis;
  FunctionCaller f(redis);
  const auto run = run_id(1);
  f.begin(run, kHundred, "10.0.0.1", 2, {"10.0.0.5"});
  std::vector<unsigned> all(kHundred);
  std::iota(all.begin(), all.end(), 0U);
  f.stage(run, all, kYes);
  // Host n has every piece that a bit of n names. No host but the origin has the pieces from 12 on.
  RedisCommand haves{"HSET", "sync:have"};
  std::vector<unsigned> copies(kHundred, 1);
  for (unsigned host = 0; host < kMany; ++host) {
    std::string bitmap = bits(kHundred, {});
    bitmap[0] = static_cast<char>(host & 255U);
    bitmap[1] = static_cast<char>(host >> 8U);
    for (unsigned piece = 0; piece < 12; ++piece) copies[piece] += host >> piece & 1U;
    haves.push_back("10.1." + std::to_string(host / 250) + "." + std::to_string(host % 250));
    haves.push_back(bitmap);
  }
  f.ask(haves);
  f.ask({"DEL", "sync:copies"});
  f.ask({"HSET", "sync:course", "fresh", bits(kHundred, {0, 1})});
  f.mend(run, "10.0.0.5", bits(kHundred, {}));
  std::string right;
  std::string fresh = bits(kHundred, {});
  for (unsigned piece = 0; piece < kHundred; ++piece) {
    right.push_back(static_cast<char>(copies[piece] >> 8U));
    right.push_back(static_cast<char>(copies[piece] & 255U));
    if (copies[piece] == 1) fresh[piece / 8] |= static_cast<char>(1U << piece % 8);
  }
  EXPECT_TRUE(f.one({"GET", "sync:copies"}) == right);
  EXPECT_EQ(f.one({"HGET", "sync:course", "fresh"}), fresh);
}

}  // namespace
}  // namespace libsync::test
