// A tick that begins while Redis is out of reach waits for it, as one does that has begun.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "fake_coordinator.h"
#include "hand_clock.h"
#include "libsync/core/failure.h"
#include "os/stop_signal.h"
#include "programs/options.h"

namespace libsync::test {
namespace {

using namespace std::chrono_literals;

class OwnAddressTest : public testing::Test {
 protected:
  OwnAddressTest() {
    clock_.let_waits_pass(std::chrono::milliseconds(0));
    config_.linger = 115s;
    observer_.address = Address::parse("10.0.0.7").value();
  }
  ~OwnAddressTest() override {
    sigset_t stopping;
    sigemptyset(&stopping);
    sigaddset(&stopping, SIGTERM);
    const timespec at_once{};
    static_cast<void>(sigtimedwait(&stopping, nullptr, &at_once));  // Not for the next test.
  }
  [[nodiscard]] std::optional<Address> wait() {
    return wait_for_own_address(config_, observer_, clock_, stop_);
  }
  /// Redis is out of reach for so many waits of the tick.
  void stay_away(int waits) {
    observer_.faults.break_off();
    clock_.at_wait = [this, waits]() mutable {
      if (--waits == 0) observer_.faults.recover();
    };
  }

  FakeSharedState state_;
  FakeObserver observer_{state_};
  HandClock clock_;
  StopSignal stop_;
  HostConfig config_;
};

TEST_F(OwnAddressTest, IsAskedForUntilRedisAnswers) {
  stay_away(30);
  const auto begun = clock_.now();
  EXPECT_EQ(wait(), observer_.address);
  EXPECT_EQ(clock_.now() - begun, 30s);
  EXPECT_EQ(config_.linger, 85s) << "the tick still ends before the next one begins";
}

TEST_F(OwnAddressTest, IsAskedForNoLongerThanTheTickLingers) {
  observer_.faults.break_off();
  const auto begun = clock_.now();
  EXPECT_THROW(static_cast<void>(wait()), Failure);
  EXPECT_EQ(clock_.now() - begun, 115s);
  config_.linger = {};
  EXPECT_THROW(static_cast<void>(wait()), Failure) << "one pass asks once";
  EXPECT_EQ(clock_.now() - begun, 115s);
}

TEST_F(OwnAddressTest, ASignalEndsTheWait) {
  observer_.faults.break_off();
  clock_.at_wait = [this] {
    if (clock_.waits() == 3) raise(SIGTERM);
  };
  EXPECT_EQ(wait(), std::nullopt);
  EXPECT_EQ(clock_.waits(), 3U);
}

}  // namespace
}  // namespace libsync::test
