#pragma once

// The faults of one run, drawn from a seed. Calls of Redis are lost, files arrive with wrong bytes,
// hosts die or freeze, and Redis loses state. The faults end at a moment, and the run must end some
// time after it.

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "scenario.h"

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
  death,         ///< A host's processes end, and its next tick begins some time later.
  freeze,        ///< A host stops for some seconds.
  slow_uplink,   ///< A host's link out is slow from now on.
  one_way,       ///< For some seconds a host cannot connect to another one.
  bit_rot,       ///< A piece in the spool of a host changes.
  liar,          ///< A host reports pieces that it does not have.
  clock_step,    ///< The clock of Redis steps, in either direction.
  old_token,     ///< A call repeats the token of an earlier claim, or of another host's.
  newer_task,    ///< The master ends the run, and begins one of another payload.
  lost_key,      ///< Redis loses one key of the run.
  intruder,      ///< Another program adds a member to synchronize_queue, or removes one.
  flush,         ///< Redis loses everything.
  old_snapshot,  ///< Redis keeps what it knows now, and some seconds later restarts from that.
};

[[nodiscard]] std::string_view name_of(Mishap mishap);

class Faults {
 public:
  /// No faults from `until` on, in seconds. With half of the seeds Redis loses nothing, because the
  /// invariants of the state do not hold for some time after a loss.
  Faults(std::uint64_t seed, double until)
      : random_(seed), until_(until), does_redis_lose_(below(2) == 0) {}

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
  bool does_redis_lose_;
};

/// A small run with faults, drawn from the seed.
[[nodiscard]] Scenario faulty_scenario(std::uint64_t seed);

/// The keys of sync:* of which one may vanish alone. The master repairs some of them, and the
/// functions derive the others again.
[[nodiscard]] const std::vector<std::string>& keys_to_lose();

}  // namespace libsync::simulation
