// ./tests/bench/micro: the costs of single parts.

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "libsync/core/digest.h"
#include "libsync/core/manifest.h"
#include "libsync/core/slots.h"
#include "minion/pace.h"
#include "os/file_ranges.h"
#include "os/files.h"
#include "os/random.h"
#include "redis/coordinator.h"
#include "temporary_folder.h"
#include "test_redis.h"

namespace libsync::test {
namespace {

constexpr std::size_t kHosts = 1000;
constexpr PieceNumber kPieces = 512;
constexpr std::size_t kEntries = 100'000;
constexpr std::uint64_t kPieceBytes = std::uint64_t{8} << 20U;

// The middle of a run: every host has a random half of the pieces, and one claim.
class RunInTheMiddle {
 public:
  RunInTheMiddle() : coordinator_({.server = redis_.server()}) {
    coordinator_.load_functions();
    const RunInfo run{.id = run_,
                      .task = std::get<TaskPath>(TaskPath::parse("/data/payload")),
                      .fingerprint = random_name<Fingerprint>(),
                      .cut = {std::uint64_t{kPieces} * kPieceBytes, kPieceBytes},
                      .manifest = digest_of("manifest"),
                      .origin = address_of(0),
                      .master = random_name<MasterId>()};
    static_cast<void>(coordinator_.begin(run, slots(), {}, TaskKey::leave, Spread::claims));
    std::vector<StagedPiece> all;
    for (PieceNumber piece = 0; piece < kPieces; ++piece) {
      all.push_back({piece, digest_of(std::to_string(piece))});
    }
    static_cast<void>(coordinator_.stage(run_, all, RunState::staged));
    std::bernoulli_distribution has(0.5);
    for (std::size_t i = 1; i <= kHosts; ++i) {
      Host host{address_of(i), PieceSet(kPieces), {}};
      for (PieceNumber piece = 0; piece < kPieces; ++piece) {
        if (has(random_)) host.have.insert(piece);
      }
      static_cast<void>(coordinator_.report(run_, host.address, {host.have, host.have.size()},
                                            slots(), Clearance::none));
      hosts_.push_back(std::move(host));
    }
    for (auto& host : hosts_) {
      host.token = token_of(coordinator_.claim(run_, host.address, {host.have, host.have.size()},
                                               {random_name<Token>(), 1, host.have}));
    }
    clock_getcpuclockid(redis_.pid(), &cpu_clock_);
  }

  // A random host completes its claim and gets the next in one call.
  void complete_and_claim() {
    auto& host = hosts_[std::uniform_int_distribution<std::size_t>(0, kHosts - 1)(random_)];
    host.token = token_of(coordinator_.complete(run_, host.address, host.token, PullEnd::good, "",
                                                {host.have, host.have.size()},
                                                Want{random_name<Token>(), 1, host.have}));
  }

  // A random host completes its claim, then asks for another in a second call.
  void complete_then_claim() {
    auto& host = hosts_[std::uniform_int_distribution<std::size_t>(0, kHosts - 1)(random_)];
    static_cast<void>(coordinator_.complete(run_, host.address, host.token, PullEnd::good, "",
                                            {host.have, host.have.size()}, std::nullopt));
    host.token = token_of(coordinator_.claim(run_, host.address, {host.have, host.have.size()},
                                             {random_name<Token>(), 1, host.have}));
  }

  [[nodiscard]] double cpu_microseconds() const {
    timespec time{};
    clock_gettime(cpu_clock_, &time);
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
  }

 private:
  struct Host {
    Address address;
    PieceSet have;
    Token token;
  };

  static unsigned slots() { return default_slots(Cut{2, 1}); }

  static Address address_of(std::size_t number) {
    return *Address::parse(fmt::format("10.0.{}.{}", number >> 8U, number & 255U));
  }

  static Token token_of(const ClaimOutcome& outcome) {
    const auto* const claimed = std::get_if<Claimed>(&outcome);
    if (claimed == nullptr) throw std::runtime_error("no claim was granted");
    return claimed->claim.token;
  }

  TestRedis redis_;
  RedisCoordinator coordinator_;
  RunId run_ = random_name<RunId>();
  std::mt19937 random_{1};
  std::vector<Host> hosts_;
  clockid_t cpu_clock_{};
};

template <void (RunInTheMiddle::*step)()>
void measure(benchmark::State& state) {
  RunInTheMiddle run;
  const double before = run.cpu_microseconds();
  for ([[maybe_unused]] const auto _ : state) (run.*step)();
  state.counters["redis_cpu_us"] =
      benchmark::Counter(run.cpu_microseconds() - before, benchmark::Counter::kAvgIterations);
}

void CompleteAndClaim(benchmark::State& state) {
  measure<&RunInTheMiddle::complete_and_claim>(state);
}
void CompleteThenClaim(benchmark::State& state) {
  measure<&RunInTheMiddle::complete_then_claim>(state);
}
BENCHMARK(CompleteAndClaim)->Unit(benchmark::kMicrosecond);
BENCHMARK(CompleteThenClaim)->Unit(benchmark::kMicrosecond);

Manifest large_manifest() {
  std::vector<Entry> entries;
  entries.reserve(kEntries);
  entries.push_back({.kind = EntryKind::folder, .mode = 0755});
  for (std::size_t i = 1; i < kEntries; ++i) {
    entries.push_back({.mode = 0644,
                       .mtime = {1'600'000'000, 123'456'789},
                       .size = 4096,
                       .name = fmt::format("file-{:06}.dat", i)});
  }
  return Manifest(std::move(entries));
}

void ManifestEncode(benchmark::State& state) {
  const auto manifest = large_manifest();
  for ([[maybe_unused]] const auto _ : state) benchmark::DoNotOptimize(manifest.encode());
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kEntries));
}
BENCHMARK(ManifestEncode)->Unit(benchmark::kMillisecond);

void ManifestDecode(benchmark::State& state) {
  const auto bytes = large_manifest().encode();
  for ([[maybe_unused]] const auto _ : state) {
    auto decoded = Manifest::decode(bytes);
    if (!std::holds_alternative<Manifest>(decoded)) state.SkipWithError("not decoded");
    benchmark::DoNotOptimize(decoded);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kEntries));
}
BENCHMARK(ManifestDecode)->Unit(benchmark::kMillisecond);

// The kernel or the disk copies the file of a piece into another file, as Assembly does it.
void PieceSplice(benchmark::State& state) {
  const TemporaryFolder folder;
  write_file(folder.path() / "piece", random_bytes(kPieceBytes, 1));
  const auto from = open_file(folder.path() / "piece", O_RDONLY);
  const auto to = open_file(folder.path() / "tree", O_RDWR | O_CREAT, 0600);
  for ([[maybe_unused]] const auto _ : state) {
    if (ftruncate(to.number(), 0) != 0) state.SkipWithError("not emptied");
    if (!copy_range_past_cache(from, 0, to, kPieceBytes, kPieceBytes, Density::dense))
      state.SkipWithError("not copied");
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kPieceBytes));
}
BENCHMARK(PieceSplice)->Unit(benchmark::kMillisecond);

void Blake3OfAPiece(benchmark::State& state) {
  const auto bytes = random_bytes(kPieceBytes, 1);
  for ([[maybe_unused]] const auto _ : state) benchmark::DoNotOptimize(digest_of(bytes));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kPieceBytes));
}
BENCHMARK(Blake3OfAPiece)->Unit(benchmark::kMillisecond);

// The alternative to BLAKE3 (digest.h). OpenSSL uses the SHA instructions of the processor.
void Sha256OfAPiece(benchmark::State& state) {
  const auto bytes = random_bytes(kPieceBytes, 1);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  for ([[maybe_unused]] const auto _ : state) {
    if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1)
      state.SkipWithError("not hashed");
    benchmark::DoNotOptimize(digest);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kPieceBytes));
}
BENCHMARK(Sha256OfAPiece)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace libsync::test

BENCHMARK_MAIN();
