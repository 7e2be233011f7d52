// Small runs of the product's functions and puller in virtual time. The invariants of simulation.h
// must hold, whatever the hosts do. ./tests/simulate measures the speed.

#include "simulation.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <tuple>

namespace libsync::simulation {
namespace {

enum class Trouble { none, deaths, slow_hosts, late_hosts, slow_uplink, frozen, unplugged };

std::string name_of(Trouble trouble) {
  constexpr std::array kNames = {"Clean",      "Deaths", "SlowHosts", "LateHosts",
                                 "SlowUplink", "Frozen", "Unplugged"};
  return kNames.at(static_cast<std::size_t>(trouble));
}

using Case = std::tuple<Spread, Trouble, std::uint64_t>;

constexpr std::size_t kHosts = 16;
constexpr std::uint64_t kPieces = 128;
constexpr std::uint64_t kPieceBytes = std::uint64_t{4} << 20U;

Scenario scenario_of(const Case& which) {
  const auto& [spread, trouble, seed] = which;
  Scenario scenario;
  scenario.hosts = kHosts;
  scenario.bytes = static_cast<double>(kPieces * kPieceBytes);
  scenario.piece_bytes = kPieceBytes;
  scenario.spread = spread;
  scenario.seed = seed;
  if (trouble == Trouble::deaths) scenario.die = {20, 0.5};
  if (trouble == Trouble::slow_hosts) scenario.slow = {20, 10};
  if (trouble == Trouble::late_hosts) scenario.late = {20, 0.6};
  if (trouble == Trouble::slow_uplink) scenario.uplink = {1, 100};
  if (trouble == Trouble::frozen) scenario.freeze = {1, 0.5, 3};
  if (trouble == Trouble::unplugged) scenario.unplug = {1, 0.5, 0};
  return scenario;
}

std::string title_of(const testing::TestParamInfo<Case>& info) {
  const auto spread = std::get<Spread>(info.param);
  return (spread == Spread::claims ? "Claims" : "Trees") + name_of(std::get<Trouble>(info.param)) +
         std::to_string(std::get<std::uint64_t>(info.param));
}

class SimulationTest : public testing::TestWithParam<Case> {};

TEST_P(SimulationTest, EveryLivingHostHasThePayload) {
  const auto scenario = scenario_of(GetParam());
  Simulation simulation(scenario);
  const auto outcome = simulation.run();
  const auto trouble = std::get<Trouble>(GetParam());
  const std::size_t dead = trouble == Trouble::deaths ? 3 : trouble == Trouble::unplugged ? 1 : 0;
  EXPECT_EQ(outcome.pieces, kPieces);
  EXPECT_EQ(outcome.finished, kHosts - dead);
  // Without other sources the origin would upload the payload once for each host.
  EXPECT_LT(outcome.origin_bytes, 8 * scenario.bytes);
}

INSTANTIATE_TEST_SUITE_P(All, SimulationTest,
                         testing::Combine(testing::Values(Spread::claims, Spread::trees),
                                          testing::Values(Trouble::none, Trouble::deaths,
                                                          Trouble::slow_hosts, Trouble::late_hosts,
                                                          Trouble::slow_uplink, Trouble::frozen,
                                                          Trouble::unplugged),
                                          testing::Values(1U, 2U, 3U)),
                         title_of);

// The times here are virtual, so a busy machine does not change them. Redis draws some numbers of
// its own: the bounds are wider than the promises in sync-master.8, which ./tests/simulate
// measures.
class SimulatedTime : public testing::TestWithParam<Spread> {
 protected:
  // The links carry the payload in 43 s, and 3 s of silence are little of that.
  [[nodiscard]] static Scenario scenario() {
    auto scenario = scenario_of({GetParam(), Trouble::none, 1});
    scenario.rate /= 10;
    return scenario;
  }
  // When the last host without a trouble of its own has finished, in F/B.
  [[nodiscard]] static double time_of(const Scenario& scenario) {
    return Simulation(scenario).run().last_undisturbed / scenario.file_time();
  }
};

TEST_P(SimulatedTime, OneBadHostDelaysTheOthersLittle) {
  const auto undisturbed = time_of(scenario());
  EXPECT_LT(undisturbed, 1.4);
  auto slow = scenario();
  slow.uplink = {1, 100};
  EXPECT_LT(time_of(slow), 1.4 * undisturbed);
  for (const auto at : {0.1, 0.5, 0.9}) {
    auto unplugged = scenario();
    unplugged.unplug = {1, at, 0};
    EXPECT_LT(time_of(unplugged), 1.4 * undisturbed) << at;
    auto frozen = scenario();
    frozen.freeze = {1, at, 10};
    EXPECT_LT(time_of(frozen), 1.4 * undisturbed) << at;
  }
}

// Half of the pieces are elsewhere by then. The rest waits for the origin and for nothing else.
TEST_P(SimulatedTime, AFrozenOriginCostsTheTimeForWhichItIsFrozen) {
  const auto undisturbed = time_of(scenario());
  auto frozen = scenario();
  frozen.freeze = {0, 0.5, 2};
  const auto time = time_of(frozen);
  EXPECT_GT(time, 2.5);
  EXPECT_LT(time, undisturbed + 2 + 0.4);
}

INSTANTIATE_TEST_SUITE_P(Spreads, SimulatedTime, testing::Values(Spread::claims, Spread::trees),
                         [](const auto& tested) {
                           return std::string(tested.param == Spread::claims ? "Claims" : "Trees");
                         });

// A payload in one piece: the hosts that pull from the slow one go elsewhere.
TEST(SimulatedTimeOfOnePiece, NoHostWaitsForASlowSource) {
  auto scenario = scenario_of({Spread::claims, Trouble::none, 1});
  scenario.piece_bytes = static_cast<std::uint64_t>(scenario.bytes);
  const auto undisturbed = Simulation(scenario).run().last_undisturbed;
  scenario.uplink = {1, 1000};
  EXPECT_LT(Simulation(scenario).run().last_undisturbed, 2.5 * undisturbed);
}

// A pull by claims that has brought all its pieces is over before rsync's exit.
TEST(SimulatedTimeAlongTrees, CountsTheExitOfRsync) {
  auto scenario = scenario_of({Spread::trees, Trouble::none, 1});
  const auto usual = Simulation(scenario).run().last;
  scenario.end_cost = 1;
  EXPECT_GT(Simulation(scenario).run().last, 1.2 * usual);
}

// ./tests/check runs more seeds.
class FaultsTest : public testing::TestWithParam<std::uint64_t> {};

TEST_P(FaultsTest, EveryHostFinishesOnceTheFaultsAreOver) {
  const auto scenario = faulty_scenario(GetParam());
  EXPECT_EQ(Simulation(scenario).run().finished, scenario.hosts);
}

INSTANTIATE_TEST_SUITE_P(Seeds, FaultsTest, testing::Range<std::uint64_t>(1, 9));

// Neither the order in which Redis returns hashes and sets nor the time of its calls may count.
TEST(SimulationReplay, ASeedThatRunsTwiceHasTheSameTrace) {
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U}) {
    const auto first = Simulation(faulty_scenario(seed)).run().trace;
    EXPECT_EQ(Simulation(faulty_scenario(seed)).run().trace, first) << "seed " << seed;
  }
}

TEST(SimulationReplay, SeedsDiffer) {
  const auto first = Simulation(faulty_scenario(1)).run().trace;  // One server at a time.
  EXPECT_NE(Simulation(faulty_scenario(2)).run().trace, first);
}

}  // namespace
}  // namespace libsync::simulation
