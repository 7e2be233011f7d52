// Trees: who pulls from whom without a claim, and who is taken out of them.

#include <gmock/gmock.h>

#include <map>

#include "function_caller.h"

namespace libsync::test {
namespace {

using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::Not;

constexpr unsigned kTrees = 8;
constexpr unsigned kPieces = 64;
constexpr auto kOrigin = "10.0.0.1";
constexpr auto kGatheringMs = 5'000;

// The elements of a FOLLOWED answer, by place.
constexpr std::size_t kParents = 6;
constexpr std::size_t kFirstParent = 7;
constexpr std::size_t kFirstPiece = kFirstParent + kTrees;

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

  /// So many hosts come; a while later all have asked again. Who pulls from whom, a tree each.
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

TEST_F(TreeFunctions, ARunWithoutThemTellsNoParents) {
  trees_of(2, kPieces, "claims");
  const auto answer = follow(host(0));
  EXPECT_EQ(answer.at(0), "FOLLOWED");
  EXPECT_EQ(answer.at(kParents), "0");
  EXPECT_EQ(f.one({"EXISTS", "sync:seats"}), "0");
}

// However many hosts there are, in each tree everybody gets what the origin sends, nobody feeds
// more than as many as there are trees, and the origin sends each piece once.
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

TEST_F(TreeFunctions, ARepeatedCallFindsTheSamePlace) {
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

TEST_F(TreeFunctions, DigestsAreToldOnce) {
  f.stage(run, {0, 1, 9});
  const auto answer = follow(host(0), {}, bits(kPieces, {1}));
  EXPECT_THAT(Texts(answer.begin() + kFirstPiece, answer.end()),
              ElementsAre("0", digest(0), "9", digest(9)));
}

TEST_F(TreeFunctions, WhoFollowsIsRunningUntilItIsDone) {
  f.stage(run, {0}, FunctionCaller::Last::yes);
  follow(host(0));
  EXPECT_EQ(f.members("running_queue"), Texts{host(0)});
  f("finish", {run, host(0), digest(0)});
  follow(host(0));
  EXPECT_EQ(f.members("running_queue"), Texts{});
}

TEST_F(TreeFunctions, AParentThatThreeCannotReachGivesUpItsPlaceToWhoIsBelow) {
  const auto before = gather(30)[0];
  const auto top = host(0);
  std::vector<std::string> children;
  for (const auto& [who, parent] : before) {
    if (parent == top) children.push_back(who);
  }
  ASSERT_EQ(children.size(), kTrees);
  for (unsigned i = 0; i < 2; ++i) {
    follow(children[i], {top, "unreachable", "no route"});
    EXPECT_EQ(parents_of(children[i])[0], top) << "not by the word of one or two";
  }
  follow(children[2], {top, "unreachable", "no route"});
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

TEST_F(TreeFunctions, AParentThatTwoFindSlowGivesUpItsPlace) {
  const auto before = gather(30)[0];
  std::vector<std::string> children;
  for (const auto& [who, parent] : before) {
    if (parent == host(0)) children.push_back(who);
  }
  follow(children[0], {host(0), "slow", ""});
  follow(children[0], {host(0), "slow", ""});
  EXPECT_EQ(parents_of(children[1])[0], host(0)) << "one host's word counts once";
  follow(children[1], {host(0), "slow", ""});
  EXPECT_THAT(parents_of(children[1]), Not(Contains(host(0))));
  EXPECT_EQ(f.one({"HGET", "sync:slots", host(0)}), "0") << "nor is it claimed from";
  follow(host(0));
  EXPECT_EQ(f.one({"HGET", "sync:slots", host(0)}), "0");
}

TEST_F(TreeFunctions, NobodyIsBlamedByWhoDoesNotPullFromIt) {
  gather(30);
  for (unsigned i = 1; i < 30; ++i) follow(host(i), {host(29), "slow", ""});
  f.ask({"HDEL", "sync:blame", "slow " + host(29)});
  const auto answer = follow(host(3), {"10.9.9.9", "corrupt", "x"});
  EXPECT_EQ(answer.at(0), "FOLLOWED");
  EXPECT_EQ(f.one({"HEXISTS", "sync:blame", "strike 10.9.9.9"}), "0");
}

TEST_F(TreeFunctions, AnotherRunIsNotFollowed) {
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
