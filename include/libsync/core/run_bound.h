#pragma once

// How fast a run could have been, and why it was not: pure functions of its account.
//
// A payload of F bytes has k pieces, and each link moves B bytes a second. No schedule is faster
// than the bound. It is (k + ⌈log2(N + 1)⌉ - 1) / k · F / B seconds for N hosts. B is the fastest
// rate that a host of the run measured, so the bound is an estimate. A run on faster links may be
// below it. A run that shared its links may be far above.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "libsync/core/run_account.h"

namespace libsync {

/// The fastest rate that a host of the run measured, in bytes a second. Nothing if none did: the
/// hosts had old copies, and pulled less than a tenth of the stream each.
[[nodiscard]] std::optional<double> fastest_link(const RunAccount& account);

/// The time in which `hosts` hosts could all have had the payload.
[[nodiscard]] Duration bound_of(const Cut& cut, std::size_t hosts, double bytes_per_second);

/// A moment, and the number of hosts that are complete from then on.
struct Completed {
  Duration at{};
  std::size_t hosts = 0;
};

/// The hosts that could have been complete at each time: at most 2^j - 1 of them after k + j - 1
/// piece times.
[[nodiscard]] std::vector<Completed> ideal_curve(const Cut& cut, std::size_t hosts,
                                                 double bytes_per_second);

/// The hosts that were.
[[nodiscard]] std::vector<Completed> curve_of(const RunAccount& account);

/// The part of a run in which a host lost the most time.
enum class Delay {
  never_came,
  failed,      ///< It gave a reason.
  unfinished,  ///< It came, and gave none.
  not_known,   ///< It published, and gave no account.
  joined_late,
  waited,     ///< For the first byte.
  slow_link,  ///< It pulled, below half of the fastest rate.
  shared,     ///< It pulled, above that: sources had no more to give.
  failures,   ///< It pulled, and many pulls failed.
  slow_disk,  ///< It verified, assembled and published.
};

/// The delay of one host. `fastest` is fastest_link().
[[nodiscard]] Delay delay_of(const HostAccount& host, const RunAccount& account,
                             std::optional<double> fastest);

/// The same in words, with the numbers of the host: `slow link: 12 MB/s of 182 MB/s`. Text that
/// came from outside is escaped.
[[nodiscard]] std::string why_slow(const HostAccount& host, const RunAccount& account,
                                   std::optional<double> fastest);

}  // namespace libsync
