// Trees: parents, seats, and the hosts that lose their seat.

#include <gmock/gmock.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>

#include "function_caller.h"

namespace libsync::test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::Not;

constexpr unsigned kTrees = 8;
constexpr unsigned kPieces = 64;
constexpr auto kOrigin = "10.0.0.1";
constexpr auto kGatheringMs = 5'000;

// Indices of the elements of a FOLLOWED answer.
constexpr std::size_t kSeat = 6;
constexpr std::size_t kReportEvery = 7;
constexpr std::size_t kParents = 8;
constexpr std::size_t kFirstParent = 9;
constexpr std::size_t kDigests = kFirstParent + kTrees;

/// The hosts that pull from a host in a tree.
Texts below(const std::string& host, const std::map<std::string, std::string>& tree) {
  Texts found;
  for (const auto& [child, parent] : tree) {
    if (parent == host) found.push_back(child);
  }
  return found;
}

std::string host(unsigned number) { return "10.1.0." + std::to_string(number + 1); }

class TreeFunctions : public testing::Test {
 protected:
  TreeFunctions() { f.begin(run, kPieces, kOrigin, 5, {}, "trees"); }

  Texts follow(const std::string& who, const Texts& reports = {},
               const std::string& known = bits(kPieces, {})) {
    std::vector<std::string> arguments{run, who, bits(kPieces, {}), "2", "0", "0", known};
    arguments.insert(arguments.end(), reports.begin(), reports.end());
    return f("follow", arguments);
  }

  Texts parents_of(const std::string& who) {
    const auto answer = follow(who);
    return {answer.begin() + kFirstParent, answer.begin() + kFirstParent + kTrees};
  }

  void stage_all() {
    std::vector<unsigned> pieces(kPieces);
    std::iota(pieces.begin(), pieces.end(), 0U);
    f.stage(run, pieces, FunctionCaller::Last::yes);
  }

  /// Hosts come, and all ask again after a while. Returns the parent of each host, for each tree.
  std::vector<std::map<std::string, std::string>> gather(unsigned hosts) {
    for (unsigned i = 0; i < hosts; ++i) follow(host(i));
    f.now += kGatheringMs;
    std::vector<std::map<std::string, std::string>> trees(kTrees);
    for (unsigned i = 0; i < hosts; ++i) {
      const auto parents = parents_of(host(i));
      for (unsigned tree = 0; tree < kTrees; ++tree) trees[tree][host(i)] = parents[tree];
    }
    return trees;
  }

  std::string trees_of(unsigned hosts, unsigned pieces, const std::string& spread) {
    std::vector<std::string> expected;
    for (unsigned i = 0; i < hosts; ++i)
      expected.push_back("10.2." + std::to_string(i / 200) + "." + std::to_string(i % 200 + 1));
    f.ask({"FLUSHALL"});
    f.begin(run, pieces, kOrigin, 5, expected, spread);
    return f.one({"HGET", "sync:run", "trees"});
  }

  TestRedis redis;
  FunctionCaller f{redis};
  const std::string run = run_id(1);
};

TEST_F(TreeFunctions, AreForManyHostsAndPieces) {
  EXPECT_EQ(trees_of(100, kPieces, "auto"), "8");
  EXPECT_EQ(trees_of(99, kPieces, "auto"), "0");
  EXPECT_EQ(trees_of(100, kPieces - 1, "auto"), "0");
  EXPECT_EQ(trees_of(300, kPieces, "claims"), "0");
  EXPECT_EQ(trees_of(2, 1, "trees"), "8");
}

TEST_F(TreeFunctions, ARunWithoutThemHasNoSeats) {
  trees_of(2, kPieces, "claims");
  EXPECT_THAT(follow(host(0)), ElementsAre("STALE"));
  EXPECT_EQ(f.one({"EXISTS", "sync:seats"}), "0");
}

// For any number of hosts: each tree reaches every host from the origin. No host feeds more hosts
// than there are trees, and the origin sends each piece once.
TEST_F(TreeFunctions, EverybodyIsFedAndNobodyCarriesMoreThanOthers) {
  for (unsigned hosts = 1; hosts <= 90; hosts += hosts < 20 ? 1 : 7) {
    f.ask({"FLUSHALL"});
    f.load();
    f.begin(run, kPieces, kOrigin, 5, {}, "trees");
    std::map<std::string, unsigned> fed;
    for (const auto& tree : gather(hosts)) {
      unsigned from_origin = 0;
      for (const auto& [who, parent] : tree) {
        ++fed[parent];
        if (parent == kOrigin) ++from_origin;
        auto at = parent;
        for (unsigned steps = 0; at != kOrigin; ++steps) {
          ASSERT_LT(steps, hosts) << who << " is fed in a circle, of " << hosts;
          ASSERT_TRUE(tree.contains(at)) << at << ", of " << hosts;
          at = tree.at(at);
        }
      }
      EXPECT_EQ(from_origin, 1U) << hosts;
    }
    for (const auto& [who, count] : fed) EXPECT_LE(count, kTrees) << who << ", of " << hosts;
  }
}

TEST_F(TreeFunctions, ARepeatedCallFindsTheSameSeat) {
  const auto once = parents_of(host(0));
  EXPECT_EQ(parents_of(host(0)), once);
  EXPECT_EQ(f.one({"HLEN", "sync:seats"}), "1");
}

TEST_F(TreeFunctions, AnExpectedParentThatHasNotComeIsNoneYet) {
  std::vector<std::string> expected;
  for (unsigned i = 0; i < 20; ++i) expected.push_back(host(i));
  f.ask({"FLUSHALL"});
  f.load();
  f.begin(run, kPieces, kOrigin, 5, expected, "trees");
  EXPECT_THAT(parents_of(host(0)), Contains(""));
  f.now += kGatheringMs;
  EXPECT_THAT(parents_of(host(0)), Each(kOrigin)) << "it came alone";
}

TEST_F(TreeFunctions, KnownDigestsAreNotSentAgain) {
  f.stage(run, {0, 1, 9});
  f.stage(run, {33, 35});
  const std::string none(kStagedBytes, '\0');
  const auto answer = follow(host(0), {}, bits(kPieces, {0, 1, 9}));
  EXPECT_THAT(Texts(answer.begin() + kDigests, answer.end()),
              ElementsAre("32", none + digest(33) + none + digest(35)));
  const auto all = follow(host(0), {}, bits(kPieces, {0, 1, 9, 33, 35}));
  EXPECT_THAT(Texts(all.begin() + kDigests, all.end()), ElementsAre("0", ""));
}

TEST_F(TreeFunctions, AHostGetsItsSeatWhenItJoins) {
  gather(9);
  stage_all();
  const auto joined = f("join", {host(7), "1", "1", "0"});
  const auto answer = follow(host(7));
  EXPECT_EQ(joined.at(3), "1");
  const Texts seat(answer.begin() + kSeat, answer.end());
  ASSERT_GT(joined.size(), 4 + seat.size());
  EXPECT_EQ(Texts(joined.begin() + 4, joined.begin() + 4 + static_cast<int>(seat.size())), seat);
  EXPECT_EQ(f("join", {host(8), "1", "0", "0"}).at(3), "0") << "it wants none";
  f.finish(run, host(7), digest(0));
  EXPECT_EQ(f("join", {host(7), "1", "1", "0"}).at(3), "0") << "it has all there is";
}

TEST_F(TreeFunctions, AHostThatWantsNoSeatHasNone) {
  f("join", {host(0), "1", "0", "0"});
  f("join", {kOrigin, "1", "1", "0"});
  EXPECT_EQ(f.one({"EXISTS", "sync:seats"}), "0");
  f("join", {host(0), "1", "1", "0"});
  EXPECT_EQ(f.members("running_queue"), Texts{host(0)});
  EXPECT_EQ(f.one({"HGET", "sync:seats", "0"}), host(0));
}

TEST_F(TreeFunctions, SeatsAreForHostsThatWaitForTheRunInTheOrderOfWaking) {
  f("end", {run, "complete", "", "0"});
  f.linger(host(1), 20'000);
  f.linger(host(3), 19'000);
  f.linger(host(2), 18'000);
  f.linger(host(5), 18'500);
  f.linger(host(5), 0);  // It waits no more.
  f.linger(kOrigin, 20'000);
  f.now += 18'000;
  f.linger(host(4), 20'000);
  f.begin(run, kPieces, kOrigin, 5, {}, "trees");
  EXPECT_THAT(f.ask({"HMGET", "sync:seats", "0", "1", "2"}),
              ElementsAre(host(3), host(1), host(4)));
  EXPECT_EQ(f.one({"HLEN", "sync:seats"}), "3");
  EXPECT_EQ(f.one({"HGET", "sync:seat_of", host(1)}), "1");
  EXPECT_EQ(f.one({"LLEN", "sync:wake:" + host(4)}), "1");
  EXPECT_EQ(f.one({"LLEN", "sync:wake:" + host(2)}), "1") << "it may still be there";
}

TEST_F(TreeFunctions, ThoseWithASeatAreWokenAsOthersCome) {
  constexpr unsigned kHosts = 240;
  f("end", {run, "complete", "", "0"});
  for (unsigned i = 0; i < kHosts; ++i) f.linger(host(i), 20'000);
  f.ask({"DEL", "sync:minions"});  // Redis wakes hosts in this set at once.
  for (unsigned i = 0; i < kHosts; ++i) f.ask({"DEL", "sync:wake:" + host(i)});
  f.begin(run, kPieces, kOrigin, 5, {}, "trees");
  const auto on_seat = [&](unsigned seat) {
    return f.one({"HGET", "sync:seats", std::to_string(seat)});
  };
  const auto is_woken = [&](unsigned seat) {
    return f.one({"EXISTS", "sync:wake:" + on_seat(seat)}) == "1";
  };
  EXPECT_TRUE(is_woken(99));
  EXPECT_FALSE(is_woken(100));
  f.now += 10;
  f.stage(run, {0});
  EXPECT_FALSE(is_woken(100)) << "nobody has come";
  const auto join = [&](unsigned seat) { f("join", {on_seat(seat), "1", "1", "0"}); };
  for (const unsigned seat : {9U, 0U, 1U, 2U, 3U, 4U, 5U, 5U, 6U, 7U}) join(seat);
  f.stage(run, {1});
  EXPECT_FALSE(is_woken(100)) << "one by one costs more";
  join(8);
  f.stage(run, {1});
  EXPECT_TRUE(is_woken(109));
  EXPECT_FALSE(is_woken(110));
  f.now += 140;
  follow(on_seat(0));
  EXPECT_TRUE(is_woken(149)) << "whoever has come";
  EXPECT_FALSE(is_woken(150));
  f.now += 1'000;
  join(0);
  EXPECT_TRUE(is_woken(kHosts - 1));
}

TEST_F(TreeFunctions, ASeatedHostThatDoesNotComeLosesItsSeat) {
  f("end", {run, "complete", "", "0"});
  for (unsigned i = 0; i < 12; ++i) f.linger(host(i), 20'000);
  f.begin(run, kPieces, kOrigin, 5, {}, "trees");
  const auto lost = f.one({"HGET", "sync:seats", "0"});
  for (unsigned i = 0; i < 12; ++i) {
    if (host(i) != lost) f("join", {host(i), "1", "1", "0"});
  }
  EXPECT_EQ(f.one({"HGET", "sync:seats", "0"}), lost);
  f.now += kGatheringMs;
  for (unsigned i = 0; i < 12; ++i) {
    if (host(i) == lost) continue;
    EXPECT_THAT(parents_of(host(i)), Not(Contains(lost)));
  }
  EXPECT_EQ(f.one({"HLEN", "sync:seats"}), "11");
  EXPECT_THAT(parents_of(lost), Not(Contains(""))) << "it comes after all";
  EXPECT_EQ(f.one({"HGET", "sync:seat_of", lost}), "11");
}

TEST_F(TreeFunctions, AHostThatWaitedForTheRunAndCannotServeLosesItsSeat) {
  f("end", {run, "complete", "", "0"});
  for (unsigned i = 0; i < 3; ++i) f.linger(host(i), 20'000);
  f.begin(run, kPieces, kOrigin, 5, {}, "trees");
  f.hold(run, host(0), bits(kPieces, {}), 0);
  EXPECT_EQ(f.one({"HLEN", "sync:seats"}), "2");
  EXPECT_THAT(parents_of(host(1)), Not(Contains(host(0))));
}

TEST_F(TreeFunctions, AHostThatAdoptedMostPiecesFeedsNobodyWhenItIsDone) {
  gather(12);
  stage_all();
  f.finish(run, host(0), digest(0), bits(kPieces, {1}), 2);
  f.finish(run, host(1), digest(0), all_bits(kPieces), 2);
  EXPECT_THAT(parents_of(host(9)), AllOf(Not(Contains(host(0))), Contains(host(1))));
  EXPECT_EQ(f.one({"HLEN", "sync:seats"}), "11");
}

TEST_F(TreeFunctions, AHostThatGivesUpFeedsNobody) {
  gather(12);
  stage_all();
  f.finish(run, host(1), digest(0), all_bits(kPieces), 2);
  f("leave", {run, host(0), "claims", "no space"});
  f("leave", {run, host(1), "claims", "the hook failed"});
  EXPECT_THAT(parents_of(host(9)), AllOf(Not(Contains(host(0))), Contains(host(1))));
  f("leave", {run, host(1), "all", ""});
  EXPECT_THAT(parents_of(host(9)), Not(Contains(host(1))));
}

TEST_F(TreeFunctions, AHostThatReverifiedItsSpoolKeepsItsSeat) {
  gather(12);
  const auto parents = parents_of(host(9));
  f("hold", {run, host(0), all_bits(kPieces), "2", std::to_string(kPieces), "1"});
  EXPECT_EQ(f.one({"HGET", "sync:seats", "0"}), host(0));
  EXPECT_EQ(parents_of(host(9)), parents);
}

TEST_F(TreeFunctions, AMasterThatGoesOnOffersNoMoreThanAtFirst) {
  const auto at_first = f.one({"HGET", "sync:slots", kOrigin});
  EXPECT_THAT(f.begin(run, kPieces, kOrigin, 5, {}, "trees"), ElementsAre("SAME"));
  EXPECT_EQ(f.one({"HGET", "sync:slots", kOrigin}), at_first);
}

TEST_F(TreeFunctions, ThousandsOfHostsHaveSeats) {
  constexpr unsigned kHosts = 4'500;
  const auto one = [](unsigned i) {
    return "10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
  };
  f("end", {run, "complete", "", "0"});
  for (unsigned i = 0; i < kHosts; ++i) f.linger(one(i), 20'000);
  f.begin(run, kPieces, kOrigin, 5, {}, "trees");
  for (std::string page; page != "0";) page = f("wake", {page, "1"}).at(1);
  EXPECT_EQ(f.one({"HLEN", "sync:seats"}), std::to_string(kHosts));
  const auto last = f.one({"HGET", "sync:seats", std::to_string(kHosts - 1)});
  EXPECT_THAT(parents_of(last), Not(Contains(""))) << "all are there from the beginning";
  EXPECT_EQ(follow(last).at(kReportEvery), "4500") << "a thousand a second";
  f.now += kGatheringMs;
  for (unsigned i = 0; i < kHosts / 100; ++i) follow(last);
  f.now += kGatheringMs - 1;
  follow(last);
  EXPECT_EQ(f.one({"HLEN", "sync:seats"}), std::to_string(kHosts)) << "the last are on their way";
  f.now += 1;
  for (unsigned i = 0; i <= kHosts / 20; ++i) follow(last);  // A call removes 20 hosts.
  EXPECT_EQ(f.one({"HLEN", "sync:seats"}), "1") << "nobody else has come";
}

TEST_F(TreeFunctions, ASeatedHostIsRunningUntilItIsDone) {
  stage_all();
  follow(host(0));
  EXPECT_EQ(f.members("running_queue"), Texts{host(0)});
  f.finish(run, host(0), digest(0));
  follow(host(0));
  EXPECT_EQ(f.members("running_queue"), Texts{});
}

TEST_F(TreeFunctions, AParentThatTwoCannotReachGivesItsSeatToAHostBelow) {
  const auto before = gather(30)[0];
  const auto top = host(0);
  const auto children = below(top, before);
  ASSERT_EQ(children.size(), kTrees);
  follow(children[0], {top, "unreachable", "no route"});
  EXPECT_EQ(parents_of(children[0])[0], top) << "not by the word of one";
  follow(children[1], {top, "unreachable", "no route"});
  std::map<std::string, unsigned> fed;
  for (unsigned i = 1; i < 30; ++i) {
    const auto parents = parents_of(host(i));
    EXPECT_THAT(parents, Not(Contains(top)));
    ++fed[parents[0]];
  }
  EXPECT_EQ(fed[kOrigin], 1U);
  const auto own = parents_of(top);
  EXPECT_THAT(own, Not(Contains(top))) << "it pulls on, if it is alive";
  EXPECT_THAT(own, Not(Contains("")));
}

TEST_F(TreeFunctions, AHostWhoseParentChangesIsWoken) {
  // The last rank is incomplete, and its first seat is below host 77.
  constexpr unsigned kHosts = 197;
  for (const unsigned top : {0U, 3U, 9U, 17U, 77U}) {
    f.ask({"FLUSHALL"});
    f.load();
    f.begin(run, kPieces, kOrigin, 5, {}, "trees");
    const auto before = gather(kHosts);
    const auto is_woken = [&](const std::string& who) {
      return f.one({"EXISTS", "sync:wake:" + who}) == "1";
    };
    for (unsigned i = 0; i < kHosts; ++i) f.ask({"DEL", "sync:wake:" + host(i)});
    const auto children = below(host(top), before[top % kTrees]);
    ASSERT_GE(children.size(), 2U);
    follow(children[0], {host(top), "slow", ""});
    EXPECT_FALSE(is_woken(children[1]));
    follow(children[1], {host(top), "slow", ""});
    unsigned moved = 0, woken = 0;
    for (unsigned i = 0; i < kHosts; ++i) woken += is_woken(host(i)) ? 1U : 0U;
    for (unsigned i = 0; i < kHosts; ++i) {
      if (i == top) continue;
      const auto parents = parents_of(host(i));
      bool has_moved = false;
      for (unsigned tree = 0; tree < kTrees; ++tree) {
        has_moved = has_moved || parents[tree] != before[tree].at(host(i));
      }
      if (!has_moved) continue;
      ++moved;
      EXPECT_TRUE(is_woken(host(i))) << host(i) << " below " << top;
    }
    EXPECT_GE(moved, children.size());
    EXPECT_LT(woken, kHosts / 2) << "the others go on";
  }
}

TEST_F(TreeFunctions, TheHostWithMostPiecesMovesUp) {
  const auto before = gather(30)[0];
  const auto children = below(host(0), before);
  const auto is_leaf = [&](const std::string& who) {
    return std::stoul(f.one({"HGET", "sync:seat_of", who})) % kTrees != 0;
  };
  Texts inner, leaves;
  std::ranges::partition_copy(children, std::back_inserter(leaves), std::back_inserter(inner),
                              is_leaf);
  ASSERT_GE(inner.size(), 2U);
  ASSERT_GE(leaves.size(), 3U);
  const auto has = [&](const std::string& who, const std::string& in_place) {
    f("follow", {run, who, bits(kPieces, {}), "2", in_place, "0", bits(kPieces, {})});
  };
  for (const auto& who : inner) has(who, who == inner[1] ? "10" : "9");
  has(leaves[2], "20");
  for (unsigned i = 0; i < 2; ++i) follow(leaves[i], {host(0), "slow", ""});
  EXPECT_EQ(f.one({"HGET", "sync:seats", "0"}), inner[1]) << "and leaves cannot";
}

TEST_F(TreeFunctions, AParentThatTwoFindSlowGivesUpItsSeat) {
  const auto before = gather(30)[0];
  const auto children = below(host(0), before);
  follow(children[0], {host(0), "slow", ""});
  follow(children[0], {host(0), "slow", ""});
  EXPECT_EQ(parents_of(children[1])[0], host(0)) << "one host's word counts once";
  follow(children[1], {host(0), "slow", ""});
  EXPECT_THAT(parents_of(children[1]), Not(Contains(host(0))));
  EXPECT_EQ(f.one({"HGET", "sync:slots", host(0)}), "0") << "nor is it claimed from";
  follow(host(0));
  EXPECT_EQ(f.one({"HGET", "sync:slots", host(0)}), "0");
}

TEST_F(TreeFunctions, OnlyAHostBelowCanBlameAParent) {
  gather(30);
  for (unsigned i = 1; i < 30; ++i) follow(host(i), {host(29), "slow", ""});
  f.ask({"HDEL", "sync:blame", "slow " + host(29)});
  const auto answer = follow(host(3), {"10.9.9.9", "corrupt", "x"});
  EXPECT_EQ(answer.at(0), "FOLLOWED");
  EXPECT_EQ(f.one({"HEXISTS", "sync:blame", "strike 10.9.9.9"}), "0");
}

TEST_F(TreeFunctions, AnotherRunGivesNoSeat) {
  EXPECT_THAT(
      f("follow", {run_id(2), host(0), bits(kPieces, {}), "2", "0", "0", bits(kPieces, {})}),
      ElementsAre("STALE"));
  EXPECT_EQ(f.one({"EXISTS", "sync:seats"}), "0");
}

TEST_F(TreeFunctions, ARunLeavesNoSeatBehind) {
  gather(3);
  f("end", {run, "complete", "", "0"});
  EXPECT_EQ(f.one({"EXISTS", "sync:seats", "sync:seat_of"}), "0");
}

}  // namespace
}  // namespace libsync::test
