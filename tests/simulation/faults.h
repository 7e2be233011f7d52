#pragma once

// The faults of one run, drawn from a seed. Calls of Redis are lost, files arrive with wrong bytes,
// hosts die or freeze, and Redis loses state. The faults end at a moment, and the run must end some
// time after it.

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace libsync::simulation {

/// The fate of one call of Redis.
enum class CallFate {
  normal,
  lost,         ///< Redis never got it.
  answer_lost,  ///< Redis did it, and the host does not hear of that.
  repeated,     ///< Redis did it twice with the same arguments.
};

/// Something that happens to the fleet at a moment.
enum class Mishap {
  death,        ///< A host's processes end, and its next tick begins some time later.
  freeze,       ///< A host stops for some seconds.
  slow_uplink,  ///< A host's link out is slow from now on.
  lost_key,     ///< Redis loses one key of the run.
  flush,        ///< Redis loses everything.
  intruder,     ///< Another program adds a member to synchronize_queue, or removes one.
  liar,         ///< A host reports pieces that it does not have.
};

class Faults {
 public:
  /// No faults from `until` on, in seconds.
  Faults(std::uint64_t seed, double until) : random_(seed), until_(until) {}

  [[nodiscard]] bool are_over(double now) const { return now >= until_; }

  [[nodiscard]] CallFate fate_of_call(double now);
  /// Whether a file arrives with wrong bytes.
  [[nodiscard]] bool is_rotten(double now);
  [[nodiscard]] Mishap next_mishap();

  /// A whole number below `limit`, which is at least 1.
  [[nodiscard]] std::size_t below(std::size_t limit);
  [[nodiscard]] double between(double least, double most);

 private:
  std::mt19937_64 random_;
  double until_;
};

/// The keys of sync:* of which one may vanish alone. The master repairs some of them, and the
/// functions derive the others again.
[[nodiscard]] const std::vector<std::string>& keys_to_lose();

}  // namespace libsync::simulation
