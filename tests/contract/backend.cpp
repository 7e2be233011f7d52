#include "backend.h"

#include <map>
#include <thread>

#include "fake_coordinator.h"
#include "redis/coordinator.h"
#include "test_redis.h"
#include "timed_functions.h"

namespace libsync::test {
namespace {

class FakeBackend final : public Backend {
 public:
  FakeBackend() { state_.has_functions = false; }

  MasterCoordinator& master() override { return master_; }
  MinionCoordinator& minion(const Address& host) override {
    auto& known = minions_[host];
    if (!known) known = std::make_unique<FakeMinionCoordinator>(state_);
    return *known;
  }
  std::unique_ptr<MinionCoordinator> minion_with(std::vector<Network> peers) override {
    return std::make_unique<FakeMinionCoordinator>(state_, std::move(peers));
  }
  Observer& observer() override { return observer_; }

  void set_task(const std::optional<std::string>& task) override { state_.task = task; }
  std::optional<std::string> task() override { return state_.task; }
  std::size_t lookups() override { return state_.lookups(); }
  void spoil_functions() override { state_.has_functions = false; }
  void remove_functions() override { state_.has_functions = false; }
  void advance(Duration by) override { state_.advance(by); }
  void outlast(std::chrono::seconds patience) override { state_.advance(patience); }

 private:
  FakeSharedState state_;
  FakeMasterCoordinator master_{state_};
  FakeObserver observer_{state_};
  std::map<Address, std::unique_ptr<FakeMinionCoordinator>> minions_;
};

class RedisBackend final : public Backend {
 public:
  MasterCoordinator& master() override { return master_; }
  MinionCoordinator& minion(const Address& host) override {
    auto& known = minions_[host];
    if (!known) known = std::make_unique<RedisCoordinator>(options());
    return *known;
  }
  std::unique_ptr<MinionCoordinator> minion_with(std::vector<Network> peers) override {
    auto all = options();
    all.peers = std::move(peers);
    return std::make_unique<RedisCoordinator>(all);
  }
  Observer& observer() override { return master_; }

  void set_task(const std::optional<std::string>& task) override {
    static_cast<void>(task ? redis_.ask({"SET", "task", *task}) : redis_.ask({"DEL", "task"}));
  }
  std::optional<std::string> task() override {
    const auto answer = redis_.ask({"GET", "task"});
    return answer.text() == nullptr ? std::nullopt : std::optional(*answer.text());
  }
  std::size_t lookups() override {
    const auto answer = redis_.ask({"GET", "lookup"});
    return answer.text() == nullptr ? 0 : std::stoul(*answer.text());
  }
  void spoil_functions() override {
    static_cast<void>(
        redis_.ask({"FUNCTION", "LOAD", "REPLACE",
                    "#!lua name=libsync1\nredis.register_function('libsync1_join', function() "
                    "return {'ANOTHER VERSION'} end)"}));
  }
  void remove_functions() override { static_cast<void>(redis_.ask({"FUNCTION", "FLUSH"})); }
  void advance(Duration by) override { now_ms_ += by.count(); }
  void outlast(std::chrono::seconds patience) override { std::this_thread::sleep_for(patience); }

 private:
  [[nodiscard]] RedisCoordinatorOptions options() {
    return {.server = redis_.server(),
            .prefix = "",
            .time = [this] { return std::to_string(now_ms_); },
            .functions = timed_functions()};
  }

  TestRedis redis_;
  std::int64_t now_ms_ = 1'000'000'000'000;
  RedisCoordinator master_{options()};
  std::map<Address, std::unique_ptr<RedisCoordinator>> minions_;
};

}  // namespace

std::unique_ptr<Backend> make_fake_backend() { return std::make_unique<FakeBackend>(); }
std::unique_ptr<Backend> make_redis_backend() { return std::make_unique<RedisBackend>(); }

}  // namespace libsync::test
