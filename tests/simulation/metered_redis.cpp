#include "metered_redis.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "repeatable_functions.h"
#include "timed_functions.h"

namespace libsync::simulation {
namespace {

// The functions count milliseconds since 1970. The simulation may begin at any moment.
constexpr double kEpochMs = 1e12;
// A call's processor time in a run that must replay, in seconds.
constexpr double kCost = 0.0002;
constexpr std::string_view kWakeKeys = "sync:wake:";

}  // namespace

MeteredRedis::MeteredRedis(double latency, std::optional<std::uint64_t> seed,
                           const std::string& functions)
    : latency_(latency),
      seed_(seed),
      coordinator_(RedisCoordinatorOptions{
          .server = redis_.server(),
          .prefix = "",
          .time =
              [this] {
                return std::to_string(
                    std::llround(std::floor(kEpochMs + (serving_since_ + clock_step_) * 1000)));
              },
          .functions = seed ? test::repeatable_functions(*seed, functions)
                            : test::timed_functions(test::CallersTime::time, functions)}) {
  if (clock_getcpuclockid(redis_.pid(), &cpu_clock_) != 0) {
    throw std::runtime_error("cannot read the CPU clock of the redis-server");
  }
  coordinator_.load_functions();
}

double MeteredRedis::cpu_seconds() const {
  timespec time{};
  clock_gettime(cpu_clock_, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double MeteredRedis::serve(const std::string& verb, double now, const std::function<void()>& work) {
  serving_since_ = std::max(now + latency_, free_at_);
  // The first call after a pause costs more.
  if (!seed_) static_cast<void>(coordinator_.watch());
  const double before = cpu_seconds();
  work();
  const double cost = seed_ ? kCost : cpu_seconds() - before;
  free_at_ = serving_since_ + cost;
  auto& costs = costs_[verb];
  ++costs.calls;
  costs.seconds += cost;
  single_.push_back(static_cast<float>(cost));
  return free_at_ + latency_;
}

double MeteredRedis::call(const std::string& verb, double now,
                          const std::function<void(RedisCoordinator&)>& ask) {
  return serve(verb, now, [&] { ask(coordinator_); });
}

// LPOP does not block. A blocked BLPOP costs the same, but would need a connection for each host.
// new_wakes() finds later wake-ups.
MeteredRedis::Listening MeteredRedis::listen(const Address& host, double now) {
  const auto key = std::string(kWakeKeys) + host.text();
  bool is_woken = false;
  const double answered = serve("listen", now, [&] {
    is_woken = redis_.ask({"LPOP", key}).text() != nullptr;
  });
  woken_.erase(key);
  return {is_woken, answered};
}

std::vector<std::string> MeteredRedis::new_wakes() {
  std::vector<std::string> hosts;
  const auto keys = redis_.ask({"KEYS", std::string(kWakeKeys) + "*"});
  if (keys.array() == nullptr) return hosts;
  for (const auto& key : *keys.array()) {
    if (key.text() == nullptr || !woken_.emplace(*key.text(), true).second) continue;
    hosts.push_back(key.text()->substr(kWakeKeys.size()));
  }
  std::sort(hosts.begin(), hosts.end());
  return hosts;
}

void MeteredRedis::flush() {
  static_cast<void>(redis_.ask({"FLUSHALL"}));
  woken_.clear();
}

MeteredRedis::Snapshot MeteredRedis::snapshot() {
  Snapshot all;
  const auto keys = redis_.ask({"KEYS", "*"});
  for (const auto& key : *keys.array()) {
    all.emplace(*key.text(), *redis_.ask({"DUMP", *key.text()}).text());
  }
  return all;
}

void MeteredRedis::restart_from(const Snapshot& older) {
  flush();
  for (const auto& [key, value] : older) {
    static_cast<void>(redis_.ask({"RESTORE", key, "0", value}));
  }
}

double MeteredRedis::quantile(double part) const {
  if (single_.empty()) return 0;
  auto sorted = single_;
  const auto at = static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1));
  const auto nth = sorted.begin() + static_cast<std::ptrdiff_t>(at);
  std::nth_element(sorted.begin(), nth, sorted.end());
  return *nth;
}

double MeteredRedis::seconds() const {
  return std::accumulate(single_.begin(), single_.end(), 0.0);
}

}  // namespace libsync::simulation
