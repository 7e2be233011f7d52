#pragma once

// A real Redis with the product's functions, as one serial server in a virtual time: calls queue
// up, and each takes as long as it was measured to take.
//
// What is measured is the CPU time of the server's process before and after each call (its CPU
// clock, to the nanosecond): reading the command, the function, writing the answer; not the wait
// for a busy machine. A little work after an answer counts for the next call; the sum is right.
//
// In virtual time the server is as busy as a fleet makes it; in real time it sleeps most of the
// time, while the simulation works, and would find its caches cold at every call. So before each
// call it is asked for something that does not count: with 1,000 hosts a follow takes 203 us then,
// and 300 us without.

#include <cstddef>
#include <ctime>
#include <functional>
#include <map>
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
  /// `latency`: seconds from a host to the server, and as much back.
  explicit MeteredRedis(double latency);

  /// Asks at `now`. Calls must come in the order of time. Returns when the answer is back; what it
  /// is, `ask` has put where it belongs.
  double call(const std::string& verb, double now,
              const std::function<void(RedisCoordinator&)>& ask);

  /// Asks before the time begins: it costs nothing.
  void prepare(const std::function<void(RedisCoordinator&)>& ask) { ask(coordinator_); }

  /// Begins to listen for a wake-up. True if there is one already, which is then taken.
  struct Listening {
    bool is_woken;
    double answered;
  };
  Listening listen(const Address& host, double now);

  /// Wake lists that have something in them, once a list: since they last were here or were taken
  /// by listen().
  std::vector<std::string> new_wakes();

  /// When the server has done all that it has been asked.
  [[nodiscard]] double free_at() const { return free_at_; }
  [[nodiscard]] const std::map<std::string, CallCosts>& costs() const { return costs_; }
  /// Seconds that the given part of all calls took no longer than.
  [[nodiscard]] double quantile(double part) const;
  [[nodiscard]] std::size_t calls() const { return single_.size(); }
  [[nodiscard]] double seconds() const;

  /// For the checks at the end; costs nothing.
  RedisValue ask(const RedisCommand& command) { return redis_.ask(command); }

 private:
  [[nodiscard]] double cpu_seconds() const;
  double serve(const std::string& verb, double now, const std::function<void()>& work);

  double latency_;
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
