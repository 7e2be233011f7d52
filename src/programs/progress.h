#pragma once

// How far a run is: a pure function of a snapshot. status, wait and the metrics show it.

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libsync/core/time.h"
#include "libsync/observer.h"

namespace libsync {

/// An expected host is in the first group that fits.
enum class HostGroup { finished, failed, never_came, silent, pulling, waiting };

/// All groups, in that order.
inline constexpr HostGroup kHostGroups[] = {HostGroup::finished,   HostGroup::failed,
                                            HostGroup::never_came, HostGroup::silent,
                                            HostGroup::pulling,    HostGroup::waiting};

/// For a person, for example `never came`.
[[nodiscard]] std::string_view name_of(HostGroup group);

/// A host has failed if it gave a reason and does not pull. It never came if Redis has not heard of
/// it in this run. It is silent without a word for 30 s in a tick, and for ten minutes else.
[[nodiscard]] HostGroup group_of(const HostStatus& host);

/// The rules of the master by which a run may end without every host.
struct EndRules {
  std::optional<unsigned> quorum_percent;
  std::optional<Duration> deadline;
  Duration grace{};
};

/// How far the bytes of a run are, and how fast.
struct Flow {
  double done = 0;                     ///< The part of the bytes that all expected hosts need.
  double bytes_per_second = 0;         ///< All hosts together.
  std::optional<double> seconds_left;  ///< At this rate; nothing if nothing moves.
};

/// The payload has `pieces` of `piece_bytes`, and `expected` hosts need them. `placed` are in
/// place, of these `placed_lately` since `span`, in seconds.
[[nodiscard]] Flow flow_of(double pieces, double piece_bytes, std::size_t expected, double placed,
                           std::size_t placed_lately, double span);

struct Progress {
  /// The expected hosts, and those that work in the run although it does not expect them.
  std::map<HostGroup, std::vector<const HostStatus*>> hosts;
  /// Hosts of --minions that Redis has no name for. They never came.
  std::size_t nameless = 0;
  Flow flow;                    ///< In the last kLately.
  double placed_bytes = 0;      ///< In all hosts together.
  double bytes_per_second = 0;  ///< The mean of all hosts together since the run began.
  /// Since when nothing has moved, although the run is not complete; nothing if it moves.
  std::optional<std::chrono::milliseconds> stuck_for;

  /// The number of hosts in a group, those without a name included.
  [[nodiscard]] std::size_t count(HostGroup group) const;
};

/// The progress of the run in `status`, which must have one.
[[nodiscard]] Progress progress_of(const Status& status);

/// Whether the host works at its own disk, as far as Redis knows.
[[nodiscard]] bool is_at_work(const HostStatus* host);

/// Whether Redis saw the host in the last ten minutes.
[[nodiscard]] bool is_seen(const HostStatus& host);

/// The number of such hosts.
[[nodiscard]] std::size_t seen_count(const Status& status);

/// The hosts and pieces that a stuck run waits for, and the rule that ends it: `nobody pulls; waits
/// for 1 failed; --deadline ends it in 40 s`.
[[nodiscard]] std::string why_stuck(const RunStatus& run, const Progress& progress,
                                    const EndRules& rules);

}  // namespace libsync
