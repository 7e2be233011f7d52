// The promises of minion_coordinator.h about wake-ups, for the fake and for Redis.

#include "contract_fixture.h"

namespace libsync::test {
namespace {

using namespace std::chrono_literals;

class WakeContract : public Contract {};

INSTANTIATE_TEST_SUITE_P(Of, WakeContract, all_backends(), name_of_backend);

TEST_P(WakeContract, AHostThatDoesNotListenHasNoDescriptor) {
  auto& listener = minion(host(2));
  EXPECT_EQ(listener.wake_descriptor(), -1);
  EXPECT_EQ(listener.heard(), Listening::on) << "or not begun";
  listener.listen(host(2), 5s);
  EXPECT_GE(listener.wake_descriptor(), 0);
  EXPECT_EQ(listener.heard(), Listening::on) << "and it does not block";
}

TEST_P(WakeContract, AWakeUpEndsListeningOnce) {
  const auto info = begin(0, {}, Spread::claims, OriginKind::minion);
  auto& listener = minion(origin());
  listener.listen(origin(), 5s);
  EXPECT_EQ(listener.heard(), Listening::on);
  stage(info, {0});
  EXPECT_EQ(heard_within(listener, 5s), Listening::woken);
  EXPECT_EQ(listener.wake_descriptor(), -1);
  EXPECT_EQ(listener.heard(), Listening::on);
}

TEST_P(WakeContract, AWakeUpIsForItsHostAlone) {
  const auto info = begin(0, {}, Spread::claims, OriginKind::minion);
  EXPECT_TRUE(is_left_alone(host(2)));
  stage(info, {0});
  EXPECT_TRUE(is_left_alone(host(2)));
  EXPECT_TRUE(is_woken(origin()));
}

TEST_P(WakeContract, AWakeUpBeforeListeningIsNotLost) {
  const auto info = begin(0, {}, Spread::claims, OriginKind::minion);
  stage(info, {0});
  stage(info, {1});
  auto& listener = minion(origin());
  listener.listen(origin(), 5s);
  EXPECT_EQ(heard_within(listener, 5s), Listening::woken);
  EXPECT_TRUE(is_left_alone(origin())) << "two wake-ups that nobody heard are one";
}

TEST_P(WakeContract, ListeningLapsesAfterItsPatience) {
  auto& listener = minion(host(2));
  listener.listen(host(2), 1s);
  listener.listen(host(2), 60s);  // The host listens already.
  backend_->outlast(1s);
  EXPECT_EQ(heard_within(listener, 5s), Listening::lapsed);
  EXPECT_EQ(listener.wake_descriptor(), -1);
  listener.listen(host(2), 5s);
  EXPECT_EQ(listener.heard(), Listening::on);
}

// --- Waiting for a source ---

TEST_P(WakeContract, AHostThatWaitsIsWokenWhenASlotIsFree) {
  const auto info = begin(1);
  stage_all(info);
  const auto held = granted(info, host(2), pieces({}));
  const auto outcome = claim(info, host(3), pieces({}));
  ASSERT_TRUE(std::holds_alternative<Wait>(outcome));
  EXPECT_EQ(std::get<Wait>(outcome).view.state, RunState::staged);
  EXPECT_GE(std::get<Wait>(outcome).patience, 1s);
  EXPECT_TRUE(is_left_alone(host(3)));
  static_cast<void>(complete(info, host(2), held.token, PullEnd::good, pieces({0})));
  EXPECT_TRUE(is_woken(host(3)));
  static_cast<void>(granted(info, host(3), pieces({})));
}

TEST_P(WakeContract, AHostThatLeavesWakesAnotherAndNotItself) {
  const auto info = begin(2);
  stage_all(info);
  static_cast<void>(granted(info, host(2), pieces({})));
  static_cast<void>(granted(info, host(3), pieces({})));
  for (const auto& waiting : {host(2), host(4)}) {
    EXPECT_TRUE(std::holds_alternative<Wait>(claim(info, waiting, pieces({}))));
    EXPECT_TRUE(is_left_alone(waiting));
  }
  minion(host(2)).leave(info.id, host(2), Retreat::claims_only, "disk full");
  EXPECT_TRUE(is_woken(host(4)));
  EXPECT_TRUE(is_left_alone(host(2)));
}

TEST_P(WakeContract, OneFreeSlotWakesOneHost) {
  const auto info = begin(1);
  stage_all(info);
  const auto held = granted(info, host(2), pieces({}));
  for (const auto& by : {host(3), host(4)}) {
    EXPECT_TRUE(std::holds_alternative<Wait>(claim(info, by, pieces({}))));
    EXPECT_TRUE(is_left_alone(by));
  }
  static_cast<void>(complete(info, host(2), held.token, PullEnd::good, pieces({0})));
  const bool is_first = is_left_alone(host(4));
  EXPECT_EQ(is_left_alone(host(3)), !is_first);
}

TEST_P(WakeContract, AHostThatWaitsIsWokenWhenAPieceIsAnnounced) {
  const auto info = begin();
  stage(info, {0});
  EXPECT_TRUE(std::holds_alternative<Wait>(claim(info, host(2), pieces({0}))));
  EXPECT_TRUE(is_left_alone(host(2)));
  stage(info, {1});
  EXPECT_TRUE(is_woken(host(2)));
}

TEST_P(WakeContract, AHostThatWaitsIsWokenWhenAnotherReportsAPieceThatItLacks) {
  const auto info = begin(1);
  stage_all(info);
  static_cast<void>(granted(info, host(9), pieces({})));
  EXPECT_TRUE(std::holds_alternative<Wait>(claim(info, host(2), pieces({0}))));
  static_cast<void>(report(info, host(3), pieces({0}), 1));
  EXPECT_TRUE(is_left_alone(host(2))) << "it has that";
  static_cast<void>(report(info, host(3), pieces({0, 2}), 1));
  EXPECT_TRUE(is_woken(host(2)));
}

TEST_P(WakeContract, PatienceGrowsWithTheNumberOfHostsThatWait) {
  const auto info = begin(1);
  stage(info, {0});
  std::chrono::seconds last{0};
  for (unsigned number = 0; number < 1001; ++number) {
    const auto address = Address::parse("10.0." + std::to_string(1 + number / 200) + "." +
                                        std::to_string(1 + number % 200))
                             .value();
    const auto outcome =
        minion(host(2)).claim(info.id, address, {pieces({0}), 1}, want(1, pieces({0})));
    ASSERT_TRUE(std::holds_alternative<Wait>(outcome));
    EXPECT_GE(std::get<Wait>(outcome).patience, last);
    last = std::get<Wait>(outcome).patience;
  }
  EXPECT_GT(last, 1s);
}

}  // namespace
}  // namespace libsync::test
