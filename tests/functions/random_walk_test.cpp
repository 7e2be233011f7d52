// A random walk: hosts claim, complete, die, return, repeat calls, and call for a run that is over,
// for thousands of steps. Then the test checks the invariants against the raw keys. The seed is in
// the name of the test; Redis adds some randomness of its own.

#include <gmock/gmock.h>

#include <map>
#include <optional>
#include <random>
#include <set>
#include <sstream>

#include "function_caller.h"
#include "libsync/core/pieces.h"

namespace libsync::test {
namespace {

constexpr unsigned kPieces = 12;
constexpr unsigned kHosts = 7;
constexpr unsigned kSlots = 2;
constexpr int kSteps = 1500;

using Map = std::map<std::string, std::string>;

struct Host {
  std::string address;
  PieceSet have{kPieces};
  std::map<std::string, std::vector<PieceNumber>> claims;  // By token.
};

class RandomWalk : public testing::TestWithParam<unsigned> {
 protected:
  RandomWalk() {
    f.begin(run, kPieces, "10.0.0.1", kSlots);
    for (unsigned i = 0; i < kHosts; ++i) hosts.push_back({"10.0.1." + std::to_string(i + 1)});
  }

  unsigned below(unsigned limit) {
    return std::uniform_int_distribution<unsigned>(0, limit - 1)(random);
  }

  Map hash(const std::string& key) {
    const auto all = f.ask({"HGETALL", key});
    Map map;
    for (std::size_t i = 0; i + 1 < all.size(); i += 2) map[all[i]] = all[i + 1];
    return map;
  }

  void step();
  void ask(Host& host, const std::string& run_named);
  void complete(Host& host);
  void record(Host& host, const Texts& answer);
  void check(int step);
  /// `uploads`: the claims on each source.
  void check_sources(std::map<std::string, unsigned>& uploads);

  PieceSet unwanted(const Host& host) const {
    auto all = host.have;
    for (const auto& [name, pieces] : host.claims) {
      for (const auto piece : pieces) all.insert(piece);
    }
    return all;
  }

  TestRedis redis;
  FunctionCaller f{redis};
  const std::string run = run_id(1);
  std::mt19937 random{GetParam()};
  std::vector<Host> hosts;
  unsigned next_token = 0;
  unsigned staged = 0;
};

void RandomWalk::record(Host& host, const Texts& answer) {
  if (answer.at(0) != "CLAIMED") return;
  auto& pieces = host.claims[answer.at(1)];
  pieces.clear();
  for (std::size_t i = 8; i < answer.size(); i += 2) {
    const auto piece = static_cast<PieceNumber>(std::stoul(answer[i]));
    EXPECT_FALSE(host.have.contains(piece)) << host.address << " was given what it has";
    pieces.push_back(piece);
  }
}

void RandomWalk::ask(Host& host, const std::string& run_named) {
  const auto name = token(++next_token);
  const auto most = below(4);
  const auto wanted = unwanted(host).bitmap();
  const auto answer = f.claim(run_named, host.address, name, host.have.bitmap(), wanted, most);
  if (run_named != run) {
    EXPECT_EQ(answer, Texts{"STALE"});
    return;
  }
  // A lost reply: the same call again gives the same claim.
  if (answer.at(0) == "CLAIMED" && below(4) == 0) {
    EXPECT_EQ(f.claim(run, host.address, name, host.have.bitmap(), wanted, most), answer);
  }
  record(host, answer);
}

void RandomWalk::complete(Host& host) {
  if (host.claims.empty()) return;
  const auto claim =
      std::next(host.claims.begin(), below(static_cast<unsigned>(host.claims.size())));
  const auto ended = claim->first;
  static const std::vector<std::string> outcomes{"good", "good", "good",  "good",        "good",
                                                 "good", "busy", "local", "unreachable", "corrupt"};
  const auto& outcome = outcomes[below(10)];
  if (outcome == "good") {
    for (const auto piece : claim->second) host.have.insert(piece);
  }
  host.claims.erase(claim);
  const auto next = below(2) == 0 ? token(++next_token) : "";
  const auto have = host.have.bitmap();
  const auto answer =
      f.complete(run, host.address, ended, outcome, have, next, unwanted(host).bitmap());
  if (below(4) == 0) {
    f.complete(run, host.address, ended, outcome, have, next, unwanted(host).bitmap());
  }
  record(host, answer);
}

void RandomWalk::step() {
  f.now += below(3000);
  Host& host = hosts[below(kHosts)];
  switch (below(12)) {
    case 0:
      if (staged < kPieces) {
        f.stage(run, {staged},
                staged + 1 == kPieces ? FunctionCaller::Last::yes : FunctionCaller::Last::no);
        ++staged;
      }
      break;
    case 1:  // The host dies, and no other host notices.
      host.claims.clear();
      break;
    case 2:  // A new tick of the same host.
      host.claims.clear();
      f("join", {host.address, "1", "0", "0"});
      break;
    case 3:
      f.hold(run, host.address, host.have.bitmap(), kSlots);
      break;
    case 4: {
      std::vector<std::string> words{run, host.address};
      for (const auto& [name, pieces] : host.claims) words.push_back(name);
      f("renew", words);
      break;
    }
    case 5:
      ask(host, run_id(9));
      break;
    case 6:  // The disk of the host loses a piece.
      host.have.erase(below(kPieces));
      f("hold", {run, host.address, host.have.bitmap(), std::to_string(kSlots), "0", "1"});
      break;
    case 7:
    case 8:
      complete(host);
      break;
    default:
      if (host.claims.size() < 3) ask(host, run);
  }
}

void RandomWalk::check(int step) {
  SCOPED_TRACE("step " + std::to_string(step));
  // The next call ends lapsed claims and quarantines that are over, if the last call to do so was
  // 100 ms ago (REAP_MS).
  f.now += 100;
  f.hold(run, "10.9.9.9", PieceSet(kPieces).bitmap(), 0);
  std::map<std::string, unsigned> uploads;
  std::map<std::string, unsigned> pulls;
  std::set<std::string> tokens;
  for (const auto& [name, claim] : hash("sync:claims")) {
    std::istringstream words(claim);
    std::string puller;
    std::string source;
    words >> puller >> source;
    ++pulls[puller];
    ++uploads[source];
    tokens.insert(name);
    EXPECT_NE(puller, source);
  }
  const auto counts = [](const std::map<std::string, unsigned>& numbers) {
    Map map;
    for (const auto& [name, number] : numbers) map[name] = std::to_string(number);
    return map;
  };
  EXPECT_EQ(hash("sync:uploads"), counts(uploads));
  EXPECT_EQ(hash("sync:pulls"), counts(pulls));
  const auto leases = f.ask({"ZRANGE", "sync:leases", "0", "-1"});
  EXPECT_EQ(std::set<std::string>(leases.begin(), leases.end()), tokens);
  std::set<std::string> running;
  for (const auto& [host, number] : pulls) running.insert(host);
  const auto shown = f.members("running_queue");
  EXPECT_EQ(std::set<std::string>(shown.begin(), shown.end()), running);
  check_sources(uploads);
}

void RandomWalk::check_sources(std::map<std::string, unsigned>& uploads) {
  std::vector<unsigned> copies(kPieces, 0);
  std::set<std::string> offered;
  const auto slots = hash("sync:slots");
  const auto blame = hash("sync:blame");
  const bool is_staged = f.one({"HGET", "sync:run", "state"}) == "staged";
  for (const auto& [host, bitmap] : hash("sync:have")) {
    const auto have = PieceSet::from_bitmap(kPieces, bitmap);
    ASSERT_TRUE(have);
    for (const auto piece : have->members()) ++copies[piece];
    const auto limit = slots.contains(host) ? std::stoul(slots.at(host)) : 0;
    EXPECT_LE(uploads[host], std::max<std::size_t>(limit, uploads[host] > 0 ? kSlots : 0));
    const auto out = f.one({"ZSCORE", "sync:quarantine", host});
    const bool is_out = out != "(nil)" && std::stod(out) > static_cast<double>(f.now);
    // The master reverifies the origin once the run is staged.
    const bool is_held = blame.contains("verify " + host) && (host != "10.0.0.1" || is_staged);
    if (have->size() > 0 && uploads[host] < limit && !is_out && !is_held) {
      offered.insert(host);
    }
  }
  const auto queue = f.members("synchronize_queue");
  EXPECT_EQ(std::set<std::string>(queue.begin(), queue.end()), offered);
  const auto packed = f.one({"GETRANGE", "sync:copies", "0", "-1"});
  for (PieceNumber piece = 0; piece < kPieces; ++piece) {
    const auto byte = [&](std::size_t at) {
      return at < packed.size() ? static_cast<unsigned char>(packed[at]) : 0U;
    };
    EXPECT_EQ(byte(std::size_t{2} * piece) * 256 + byte(std::size_t{2} * piece + 1), copies[piece])
        << piece;
  }
}

TEST_P(RandomWalk, KeepsEveryInvariant) {
  for (int i = 0; i < kSteps && !HasFailure(); ++i) {
    step();
    if (i % 10 == 0) check(i);
  }
}

TEST_P(RandomWalk, EndsWithEverybodyCompleteOnceFaultsStop) {
  for (int i = 0; i < 300; ++i) step();
  while (staged < kPieces) {
    f.stage(run, {staged},
            staged + 1 == kPieces ? FunctionCaller::Last::yes : FunctionCaller::Last::no);
    ++staged;
  }
  for (auto& host : hosts) {
    host.claims.clear();
    f("join", {host.address, "1", "0", "0"});
    f("hold", {run, host.address, host.have.bitmap(), std::to_string(kSlots), "0", "1"});
  }
  f("vouch", {run});  // The master has reverified the origin.
  unsigned rounds = 0;
  const auto is_anybody_short = [&] {
    return std::any_of(hosts.begin(), hosts.end(),
                       [](const Host& host) { return !host.have.is_complete(); });
  };
  for (; is_anybody_short() && rounds < 1000; ++rounds) {
    f.now += 1000;
    for (auto& host : hosts) {
      const auto name = token(++next_token);
      record(host, f.claim(run, host.address, name, host.have.bitmap(), host.have.bitmap(), 4));
      for (const auto& [held, pieces] : host.claims) {
        for (const auto piece : pieces) host.have.insert(piece);
        f.complete(run, host.address, held, "good", host.have.bitmap());
      }
      host.claims.clear();
    }
  }
  EXPECT_FALSE(is_anybody_short()) << "after " << rounds << " rounds";
  EXPECT_TRUE(f.members("running_queue").empty());
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomWalk, testing::Values(1U, 2U, 3U, 4U));

}  // namespace
}  // namespace libsync::test
