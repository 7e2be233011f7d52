#include "libsync/core/run_bound.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <utility>

#include "libsync/core/escaped_text.h"

namespace libsync {
namespace {

// Pulls that fail explain a slow host if one failed for so many good pieces, or fewer.
constexpr double kPiecesPerFailure = 10;
// A link below this part of the fastest one is slow.
constexpr double kSlowLink = 0.5;
// A host measures its link by this part of the stream at least. A few differences say nothing of
// it.
constexpr double kMeasuredPart = 0.1;

// A longer time counts as this one, since a file may hold any size and any rate.
constexpr double kLongestSeconds = 1e12;

Duration of_seconds(double seconds) {
  return Duration(
      static_cast<std::int64_t>(std::llround(1000 * std::min(seconds, kLongestSeconds))));
}

double piece_seconds(const Cut& cut, double bytes_per_second) {
  return static_cast<double>(cut.stream_bytes) / cut.pieces() / bytes_per_second;
}

double megabytes(double bytes) { return bytes / 1e6; }

// Where a host spent its time, in order. A part whose end is not known is empty.
struct Spent {
  Duration joining{};
  Duration waiting{};
  Duration pulling{};
  Duration publishing{};
};

Spent spent_by(const HostAccount& host) {
  const auto joined = host.joined.value_or(Duration(0));
  const auto first = std::max(joined, host.first_byte.value_or(joined));
  const auto last = std::max(first, host.last_byte.value_or(first));
  const auto published = std::max(last, host.published.value_or(last));
  return {joined, first - joined, last - first, published - last};
}

}  // namespace

std::optional<double> fastest_link(const RunAccount& account) {
  const auto least = kMeasuredPart * static_cast<double>(account.cut.stream_bytes);
  std::uint64_t fastest = 0;
  for (const auto& host : account.hosts) {
    if (static_cast<double>(host.pulls.wire_bytes) < least) continue;
    fastest = std::max(fastest, host.pulls.bytes_per_second);
  }
  if (fastest == 0) return std::nullopt;
  return static_cast<double>(fastest);
}

Duration bound_of(const Cut& cut, std::size_t hosts, double bytes_per_second) {
  const auto rounds = std::bit_width(std::max<std::size_t>(1, hosts));  // ⌈log2(N + 1)⌉
  return of_seconds((cut.pieces() + static_cast<double>(rounds) - 1) *
                    piece_seconds(cut, bytes_per_second));
}

std::vector<Completed> ideal_curve(const Cut& cut, std::size_t hosts, double bytes_per_second) {
  std::vector<Completed> curve;
  const auto piece = piece_seconds(cut, bytes_per_second);
  std::size_t done = 0;
  for (unsigned round = 1; done < hosts; ++round) {
    done = std::min(hosts, 2 * done + 1);
    curve.push_back({of_seconds((cut.pieces() + round - 1.0) * piece), done});
  }
  return curve;
}

std::vector<Completed> curve_of(const RunAccount& account) {
  std::vector<Duration> times;
  for (const auto& host : account.hosts) {
    if (host.published) times.push_back(*host.published);
  }
  std::sort(times.begin(), times.end());
  // Hosts that are left out of the account were faster than those in it.
  const auto finished = std::max(account.finished, times.size());
  auto done = std::min(account.left_out, finished - times.size());
  std::vector<Completed> curve;
  for (const auto time : times) curve.push_back({time, ++done});
  return curve;
}

Delay delay_of(const HostAccount& host, const RunAccount& account, std::optional<double> fastest) {
  if (!host.published) {
    if (!host.error.empty()) return Delay::failed;
    return host.has_come ? Delay::unfinished : Delay::never_came;
  }
  if (!host.has_account) return Delay::not_known;
  const auto spent = spent_by(host);
  const auto needed = fastest ? bound_of(account.cut, 1, *fastest) : Duration(0);
  const std::array<std::pair<Duration, Delay>, 4> lost = {{
      {spent.joining, Delay::joined_late},
      {spent.waiting, Delay::waited},
      {spent.pulling - needed, Delay::shared},
      {spent.publishing, Delay::slow_disk},
  }};
  const auto delay =
      std::max_element(lost.begin(), lost.end(), [](const auto& one, const auto& other) {
        return one.first < other.first;
      })->second;
  if (delay != Delay::shared) return delay;
  const auto pieces = static_cast<double>(host.pulls.pieces);
  if (host.pulls.failed > 0 &&
      static_cast<double>(host.pulls.failed) * kPiecesPerFailure >= pieces) {
    return Delay::failures;
  }
  const auto rate = static_cast<double>(host.pulls.bytes_per_second);
  return fastest && rate > 0 && rate < kSlowLink * *fastest ? Delay::slow_link : Delay::shared;
}

std::string why_slow(const HostAccount& host, const RunAccount& account,
                     std::optional<double> fastest) {
  const auto spent = spent_by(host);
  const auto rates = [&] {
    return fmt::format("{:.3g} MB/s of {:.3g} MB/s",
                       megabytes(static_cast<double>(host.pulls.bytes_per_second)),
                       megabytes(fastest.value_or(0)));
  };
  switch (delay_of(host, account, fastest)) {
    case Delay::never_came:
      return "it never came";
    case Delay::failed:
      return fmt::format("failed: {}", escaped(host.error));
    case Delay::unfinished:
      return fmt::format(
          "it has {} of {} pieces{}{}", host.placed, account.cut.pieces(),
          host.reason.empty() ? "" : "; its last failed pull: ", escaped(host.reason));
    case Delay::not_known:
      return "it gave no account";
    case Delay::joined_late:
      return fmt::format("joined late, after {:.1f} s", in_seconds(spent.joining));
    case Delay::waited:
      return fmt::format("waited {:.1f} s for its first byte", in_seconds(spent.waiting));
    case Delay::slow_link:
      return fmt::format("slow link: {}", rates());
    case Delay::shared:
      return fmt::format("pulled for {:.1f} s at {}", in_seconds(spent.pulling), rates());
    case Delay::failures:
      return fmt::format("{} pull{} failed: {}", host.pulls.failed,
                         host.pulls.failed == 1 ? "" : "s", escaped(host.reason));
    case Delay::slow_disk:
      break;
  }
  return fmt::format("slow disk: {:.1f} s to verify and publish", in_seconds(spent.publishing));
}

}  // namespace libsync
