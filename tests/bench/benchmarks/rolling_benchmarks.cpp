// ./tests/bench/micro --benchmark_filter=Rolling: the sums of pieces, and the search for them.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "libsync/core/rolling_sum.h"
#include "temporary_folder.h"

namespace libsync::test {
namespace {

constexpr std::size_t kLength = std::size_t{256} << 10U;  // The smallest piece.
constexpr std::size_t kText = std::size_t{64} << 20U;
constexpr std::size_t kPart = std::size_t{256} << 10U;  // As OldStream reads.

RollingSum sum_of(std::string_view block) {
  RollingSummer summer;
  summer.add(block);
  return summer.sum();
}

// The sums of blocks that begin at each multiple of `step`.
std::vector<RollingSum> sums_of(std::string_view text, std::size_t blocks, std::size_t step) {
  std::vector<RollingSum> sums;
  for (std::size_t i = 0; i < blocks; ++i) sums.push_back(sum_of(text.substr(i * step, kLength)));
  return sums;
}

// Many sums that no block has.
std::vector<RollingSum> random_sums(std::size_t count) {
  const auto bytes = random_bytes(8 * count, 3);
  std::vector<RollingSum> sums;
  for (std::size_t i = 0; i < count; ++i) sums.push_back(sum_of(bytes.substr(8 * i, 8)));
  return sums;
}

std::string periodic(std::string_view period) {
  std::string text;
  while (text.size() < kText) text += period;
  text.resize(kText);
  return text;
}

// One pass over the text. Returns the number of offsets that it gives.
std::size_t scan(std::string_view text, const std::vector<RollingSum>& sums) {
  BlockFinder finder(kLength, sums);
  finder.begin(0);
  std::vector<BlockFinder::Block> found;
  for (std::size_t at = 0; at < text.size(); at += kPart) {
    finder.add(text.substr(at, kPart), text.substr(at < kLength ? at : at - kLength, kPart), found);
  }
  return found.size();
}

void scan(benchmark::State& state, std::string_view text, const std::vector<RollingSum>& sums) {
  std::size_t found = 0;
  for ([[maybe_unused]] const auto _ : state) found = scan(text, sums);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
  state.counters["found"] = static_cast<double>(found);
}

void RollingSumOfAPiece(benchmark::State& state) {
  const auto piece = random_bytes(kLength, 1);
  for ([[maybe_unused]] const auto _ : state) benchmark::DoNotOptimize(sum_of(piece));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kLength));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(RollingSumOfAPiece)->Unit(benchmark::kMillisecond);

// The argument is the number of sums that are wanted.
void RollingScanWithoutMatch(benchmark::State& state) {
  scan(state, random_bytes(kText, 1), random_sums(static_cast<std::size_t>(state.range(0))));
}
BENCHMARK(RollingScanWithoutMatch)->Arg(1)->Arg(1000)->Arg(4096)->Unit(benchmark::kMillisecond);

// The text has every block that is wanted.
void RollingScanOfMovedPieces(benchmark::State& state) {
  const auto text = random_bytes(kText, 1);
  scan(state, text, sums_of(std::string_view(text).substr(4321), kText / kLength - 1, kLength));
}
BENCHMARK(RollingScanOfMovedPieces)->Unit(benchmark::kMillisecond);

// Each byte ends a block that was wanted, until its offsets are used up. The argument is the length
// of the period: 1 is zeros alone.
void RollingScanOfAPeriod(benchmark::State& state) {
  const auto period = static_cast<std::size_t>(state.range(0));
  const auto text = periodic(period == 1 ? std::string(1, '\0') : random_bytes(period, 2));
  scan(state, text, sums_of(text, period, 1));
}
BENCHMARK(RollingScanOfAPeriod)->Arg(1)->Arg(16)->Arg(1000)->Unit(benchmark::kMillisecond);

// A hostile master knows the old payload, and announces sums that are nearly those of its blocks.
// Each byte needs a search among them, and none is found.
void RollingScanOfNearSums(benchmark::State& state) {
  constexpr std::size_t kPeriod = 1024;
  const auto text = periodic(random_bytes(kPeriod, 2));
  auto sums = sums_of(text, kPeriod, 1);
  const auto own = sums;
  for (const RollingSum low : {1U, 2U, 3U}) {
    for (const auto sum : own) sums.push_back(sum ^ low);
  }
  sums.erase(sums.begin(), sums.begin() + kPeriod);
  scan(state, text, sums);
}
BENCHMARK(RollingScanOfNearSums)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace libsync::test
