// What minion_coordinator.h promises of wake-ups, of the fake and of Redis.

#include "contract_fixture.h"

namespace libsync::test {
namespace {

using namespace std::chrono_literals;

class WakeContract : public Contract {};

INSTANTIATE_TEST_SUITE_P(Of, WakeContract, all_backends(), name_of_backend);

TEST_P(WakeContract, ThereIsNoDescriptorWhileAHostDoesNotListen) {
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

TEST_P(WakeContract, AWakeUpBeforeListeningIsHeardStill) {
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
  listener.listen(host(2), 60s);  // It listens already.
  backend_->outlast(1s);
  EXPECT_EQ(heard_within(listener, 5s), Listening::lapsed);
  EXPECT_EQ(listener.wake_descriptor(), -1);
  listener.listen(host(2), 5s);
  EXPECT_EQ(listener.heard(), Listening::on);
}

}  // namespace
}  // namespace libsync::test
