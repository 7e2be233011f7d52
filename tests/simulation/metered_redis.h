#pragma once

// A real Redis with the product's functions, as one serial server in virtual time. Calls wait in a
// queue, and each lasts as long as its measured CPU time.
//
// A measurement reads the CPU clock of the server's process before and after each call, to the
// nanosecond. It covers the command, the function and the answer, and no wait for a busy machine.
// A little work after an answer counts for the next call; the sum is right.
//
// In virtual time the fleet keeps the server busy. In real time the server sleeps while the
// simulation works, and its caches would be cold at every call, which would make it dearer. So
// another call, which does not count, warms them before each.

#include <cstddef>
#include <ctime>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "redis/coordinator.h"
#include "test_redis.h"

namespace libsync::simulation {

struct CallCosts {
  std::size_t calls = 0;
  double seconds = 0;
};

class MeteredRedis {
 public:
  /// `latency`: seconds from a host to the server, and as much back. With a seed a run replays
  /// exactly: the functions draw by the seed, and each call costs the same.
  MeteredRedis(double latency, std::optional<std::uint64_t> seed, const std::string& functions);

  /// Asks at `now`, which must not decrease. Returns the time at which the answer is back. `ask`
  /// keeps the answer itself.
  double call(const std::string& verb, double now,
              const std::function<void(RedisCoordinator&)>& ask);

  /// Asks before virtual time begins, at no cost.
  void prepare(const std::function<void(RedisCoordinator&)>& ask) { ask(coordinator_); }

  /// Begins to listen for a wake-up. `is_woken` if there was one already; the call removes it.
  struct Listening {
    bool is_woken;
    double answered;
  };
  Listening listen(const Address& host, double now);

  /// The hosts whose wake lists hold a wake-up. A host is named once; after listen(), again.
  std::vector<std::string> new_wakes();

  /// The time at which the server has answered every call so far.
  [[nodiscard]] double free_at() const { return free_at_; }
  [[nodiscard]] const std::map<std::string, CallCosts>& costs() const { return costs_; }
  /// This part of all calls lasted no longer than these seconds.
  [[nodiscard]] double quantile(double part) const;
  [[nodiscard]] std::size_t calls() const { return single_.size(); }
  [[nodiscard]] double seconds() const;

  // Faults.

  /// The clock of Redis steps by these seconds.
  void step_clock(double seconds) { clock_step_ += seconds; }
  /// Redis loses everything.
  void flush();
  /// All keys and their values.
  using Snapshot = std::map<std::string, std::string>;
  [[nodiscard]] Snapshot snapshot();
  /// Redis restarts from an older snapshot.
  void restart_from(const Snapshot& older);

  /// Asks for the checks at the end, at no cost.
  RedisValue ask(const RedisCommand& command) { return redis_.ask(command); }

 private:
  [[nodiscard]] double cpu_seconds() const;
  double serve(const std::string& verb, double now, const std::function<void()>& work);

  double latency_;
  std::optional<std::uint64_t> seed_;
  double clock_step_ = 0;
  test::TestRedis redis_;
  clockid_t cpu_clock_{};
  double serving_since_ = 0;
  RedisCoordinator coordinator_;
  double free_at_ = 0;
  std::map<std::string, CallCosts> costs_;
  std::vector<float> single_;
  std::map<std::string, bool> woken_;
};

}  // namespace libsync::simulation
