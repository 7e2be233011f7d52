// ./tests/simulate: the product's functions and policy, in virtual time. See simulation.h.

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <exception>
#include <iostream>
#include <span>
#include <sstream>
#include <string>

#include "libsync/core/config.h"
#include "simulation.h"
#include "temporary_folder.h"

namespace libsync::simulation {
namespace {

// The bound is that of this many pieces, whatever the cut: fewer pieces must not seem better.
constexpr double kPiecesOfBound = 128;

double bound(const Scenario& scenario) {
  const double doublings = static_cast<int>(std::bit_width(scenario.hosts));  // ceil(log2(N + 1))
  return (kPiecesOfBound + doublings - 1) / kPiecesOfBound * scenario.file_time();
}

// PERCENT:VALUE
Part part_of(const std::string& option, const std::string& text) {
  const auto colon = text.find(':');
  try {
    if (colon == std::string::npos) throw std::invalid_argument(text);
    const Part part{std::stod(text.substr(0, colon)), std::stod(text.substr(colon + 1))};
    if (part.percent < 0 || part.percent > 100 || part.value <= 0)
      throw std::invalid_argument(text);
    return part;
  } catch (const std::logic_error&) {
    throw CLI::ValidationError(option, "'" + text + "' is not PERCENT:NUMBER");
  }
}

// K:A or K:A:B
std::vector<double> numbers_of(const std::string& option, const std::string& text,
                               std::size_t count, const std::string& form) {
  std::vector<double> numbers;
  std::istringstream rest(text);
  for (std::string field; std::getline(rest, field, ':');) {
    try {
      numbers.push_back(std::stod(field));
    } catch (const std::logic_error&) {
      numbers.push_back(-1);
    }
  }
  if (numbers.size() != count || *std::min_element(numbers.begin(), numbers.end()) < 0) {
    throw CLI::ValidationError(option, "'" + text + "' is not " + form);
  }
  return numbers;
}

struct Options {
  Scenario scenario;
  double rate_gbit = 1;
  double start_cost_ms = 30;
  double end_cost_ms = 25;
  double latency_ms = 0.1;
  std::string piece_size = "auto";
  unsigned slots = 0;
  std::string spread = "auto";
  std::string slow;
  std::string die;
  std::string late;
  std::string uplink;
  std::string freeze;
  std::string unplug;
  std::string seeds;
  std::string functions;
  bool faults = false;
  bool trace = false;
};

void declare(CLI::App& app, Options& options) {
  app.add_option("--hosts", options.scenario.hosts, "receivers")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--bytes", options.scenario.bytes, "size of the payload")
      ->check(CLI::Range(1.0, 1e14))
      ->capture_default_str();
  app.add_option("--rate", options.rate_gbit, "Gbit/s of every link, each way")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--start-cost", options.start_cost_ms,
                 "ms from an rsync's start to its first byte")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--end-cost", options.end_cost_ms, "ms from an rsync's last file to its exit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--latency", options.latency_ms, "ms to Redis, one way")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--staging-rate", options.scenario.staging_rate, "bytes/s that the origin cuts")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--hash-rate", options.scenario.hash_rate, "bytes/s that a host verifies; 0: free")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--piece-size", options.piece_size,
                 "SIZE, auto or whole, like that of sync-master")
      ->capture_default_str();
  app.add_option("--slots", options.slots,
                 "pulls of a host, and its uploads; 0: the product's default")
      ->capture_default_str();
  app.add_option("--spread", options.spread, "auto, claims or trees, like that of sync-master")
      ->capture_default_str();
  app.add_option("--seed", options.scenario.seed,
                 "seed of the simulation; Redis has a random seed of its own")
      ->capture_default_str();
  app.add_option("--slow", options.slow, "PERCENT:FACTOR, hosts with links slower by this factor");
  app.add_option("--die", options.die, "PERCENT:AT, hosts that die at AT x F/B");
  app.add_option("--late", options.late, "PERCENT:AT, hosts that join at AT x F/B");
  app.add_option("--uplink", options.uplink,
                 "K:FACTOR, K hosts whose link out is slower by this factor");
  app.add_option("--freeze", options.freeze,
                 "K:AT:FOR, K hosts that freeze at AT x F/B, for FOR x F/B; K 0: the origin");
  app.add_flag("--faults", options.faults, "small runs with faults, one for each of --seeds");
  app.add_option("--seeds", options.seeds, "A..B, for --faults");
  app.add_option("--functions", options.functions,
                 "a file with the text of the functions to try, with --faults")
      ->check(CLI::ExistingFile);
  app.add_flag(
      "--trace", options.trace,
      "with --faults, prints what happens, and a number that is the same whenever a seed runs");
  app.add_option("--unplug", options.unplug,
                 "K:AT, K hosts whose links carry nothing from AT x F/B on");
}

Scenario scenario_of(Options options) {
  auto& scenario = options.scenario;
  scenario.rate = options.rate_gbit * 1e9 / 8;
  scenario.start_cost = options.start_cost_ms / 1000;
  scenario.end_cost = options.end_cost_ms / 1000;
  scenario.latency = options.latency_ms / 1000;
  const auto piece_size = parse_piece_size(options.piece_size);
  if (!piece_size) {
    throw CLI::ValidationError("--piece-size",
                               "'" + options.piece_size + "' is not SIZE, auto or whole");
  }
  if (piece_size->kind == PieceSize::Kind::whole) {
    scenario.piece_bytes = static_cast<std::uint64_t>(scenario.bytes);
  } else if (piece_size->kind == PieceSize::Kind::fixed) {
    scenario.piece_bytes = piece_size->bytes;
  }
  if (options.slots > 0) scenario.slots = options.slots;
  const auto spread = parse_spread(options.spread);
  if (!spread) throw CLI::ValidationError("--spread", "'" + options.spread + "' is unknown");
  scenario.spread = *spread;
  if (!options.slow.empty()) scenario.slow = part_of("--slow", options.slow);
  if (!options.die.empty()) scenario.die = part_of("--die", options.die);
  if (!options.late.empty()) scenario.late = part_of("--late", options.late);
  if (!options.uplink.empty()) {
    const auto numbers = numbers_of("--uplink", options.uplink, 2, "K:FACTOR");
    scenario.uplink = {static_cast<std::size_t>(numbers[0]), std::max(1.0, numbers[1])};
  }
  if (!options.freeze.empty()) {
    const auto numbers = numbers_of("--freeze", options.freeze, 3, "K:AT:FOR");
    scenario.freeze = {static_cast<std::size_t>(numbers[0]), numbers[1], numbers[2]};
  }
  if (!options.unplug.empty()) {
    const auto numbers = numbers_of("--unplug", options.unplug, 2, "K:AT");
    scenario.unplug = {static_cast<std::size_t>(numbers[0]), numbers[1], 0};
  }
  return scenario;
}

void print(const Scenario& scenario, const Outcome& outcome, const MeteredRedis& redis,
           double wall) {
  const double file_time = scenario.file_time();
  fmt::print("payload      {:.3f} GB in {} pieces, {} slots; F/B = {:.2f} s; bound {:.2f} s\n",
             scenario.bytes / 1e9, outcome.pieces, outcome.slots, file_time, bound(scenario));
  fmt::print("time / (F/B) {:.3f}\n", outcome.last / file_time);
  fmt::print("time / bound {:.3f}\n", outcome.last / bound(scenario));
  fmt::print("half of them {:.2f} s\n", outcome.median);
  const bool is_disturbed =
      scenario.slow.percent > 0 || scenario.late.percent > 0 ||
      scenario.uplink.hosts + scenario.freeze.hosts + scenario.unplug.hosts > 0;
  if (is_disturbed) {
    fmt::print("the others   {:.2f} s, {:.3f} x the bound (hosts without a trouble)\n",
               outcome.last_undisturbed, outcome.last_undisturbed / bound(scenario));
  }
  fmt::print("origin       {:.3f} x F uploaded; every piece had left it after {:.3f} x F/B\n",
             outcome.origin_bytes / scenario.bytes, outcome.last_first_copy / file_time);
  // A run of small pieces spends its time on starting rsync, and has thousands of twentieths.
  constexpr std::size_t kMostShown = 60;
  const auto shown =
      std::span(outcome.fullness).first(std::min(kMostShown, outcome.fullness.size()));
  fmt::print("links in     {:.2f} full, in each twentieth of F/B{}\n", fmt::join(shown, " "),
             shown.size() < outcome.fullness.size() ? ", the first 60 of them" : "");
  fmt::print("rsyncs       {} ({:.1f} a host, {:.1f} pieces each), {} of them second attempts\n",
             outcome.pulls,
             static_cast<double>(outcome.pulls) / static_cast<double>(scenario.hosts),
             static_cast<double>(outcome.pieces) * static_cast<double>(outcome.finished) /
                 static_cast<double>(std::max<std::size_t>(1, outcome.pulls)),
             outcome.second_attempts);
  fmt::print(
      "Redis        {} calls, CPU a call p50 {:.0f} us, p99 {:.0f} us; {:.2f} s in all, {:.2f} of "
      "a core\n",
      redis.calls(), redis.quantile(0.5) * 1e6, redis.quantile(0.99) * 1e6, redis.seconds(),
      redis.seconds() / outcome.last);
  for (const auto& [verb, costs] : redis.costs()) {
    fmt::print("  {:<10} {:>8} calls, {:>6.0f} us each\n", verb, costs.calls,
               costs.seconds / static_cast<double>(costs.calls) * 1e6);
  }
  fmt::print("simulated in {:.1f} s\n", wall);
  fmt::print("{} hosts: {:.1f} s, {:.2f} x F/B, {:.2f} x the bound\n", scenario.hosts, outcome.last,
             outcome.last / file_time, outcome.last / bound(scenario));
}

// The simulation and Redis work in turn. On a core of its own Redis would sleep in between, and
// cold caches would make each call dearer than on a busy Redis.
void stay_on_this_core() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(static_cast<unsigned>(std::max(0, sched_getcpu())), &cores);
  static_cast<void>(sched_setaffinity(0, sizeof cores, &cores));
}

int run_faults(const Options& options) {
  const std::string seeds = options.seeds.empty() ? "1..20" : options.seeds;
  const auto range = seeds.find("..");
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  try {
    first = std::stoull(seeds.substr(0, range));
    last = range == std::string::npos ? first : std::stoull(seeds.substr(range + 2));
  } catch (const std::logic_error&) {
    throw CLI::ValidationError("--seeds", "'" + seeds + "' is not A..B");
  }
  std::size_t failed = 0;
  double healed_after = 0;
  for (auto seed = first; seed <= last; ++seed) {
    try {
      auto scenario = faulty_scenario(seed);
      if (options.trace) scenario.trace = Trace::Shown::yes;
      if (!options.functions.empty()) scenario.functions = test::content_of(options.functions);
      const auto outcome = Simulation(scenario).run();
      healed_after =
          std::max(healed_after, outcome.last - scenario.faults_until * scenario.file_time());
      if (options.trace) fmt::print("seed {}: trace {:016x}\n", seed, outcome.trace);
    } catch (const std::exception& error) {
      ++failed;
      fmt::print("seed {}: {}\n  ./tests/simulate --faults --seeds {}..{}\n", seed, error.what(),
                 seed, seed);
      static_cast<void>(std::fflush(stdout));
    }
  }
  fmt::print("{} of {} runs failed; all hosts had finished {:.0f} s after the last fault at most\n",
             failed, last - first + 1, healed_after);
  return failed == 0 ? 0 : 1;
}

int simulate(int count, char** words) {
  Options options;
  CLI::App app("The product's Redis Functions and policy, with virtual hosts in virtual time");
  declare(app, options);
  try {
    app.parse(count, words);
    if (options.faults) return run_faults(options);
    const auto scenario = scenario_of(options);
    stay_on_this_core();
    const auto begun = std::chrono::steady_clock::now();
    Simulation simulation(scenario);
    const auto outcome = simulation.run();
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begun;
    print(scenario, outcome, simulation.redis(), wall.count());
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return 0;
}

}  // namespace
}  // namespace libsync::simulation

int main(int count, char** words) {
  try {
    return libsync::simulation::simulate(count, words);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
