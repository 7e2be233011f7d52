#include "os/stop_signal.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "test_process.h"

namespace libsync {
namespace {

TEST(StopSignal, IsSeenByThoseThatWaitAndByThoseThatWork) {
  {
    const StopSignal stop;
    EXPECT_FALSE(stop.requested());
    EXPECT_FALSE(stop.token().stop_requested());
  }  // Ends without a signal.
  const StopSignal stop;
  const auto token = stop.token();
  ASSERT_EQ(kill(getpid(), SIGTERM), 0);
  EXPECT_TRUE(stop.requested());
  EXPECT_TRUE(test::eventually([&] { return token.stop_requested(); }));
  sigset_t stopping;
  sigemptyset(&stopping);
  sigaddset(&stopping, SIGTERM);
  const timespec at_once{};
  EXPECT_EQ(sigtimedwait(&stopping, nullptr, &at_once), SIGTERM);  // Not for the next test.
}

}  // namespace
}  // namespace libsync
