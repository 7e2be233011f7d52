// A master with a fake fleet: which run begins and ends, what is counted and logged, and what a
// failing call leaves for the next tick.

#include "master/master.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "master_fixture.h"

namespace libsync::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class MasterTick : public MasterFixture {};

TEST_F(MasterTick, DistributesATaskAndEndsTheRunWhenItsMinionHasFinished) {
  set_task();
  clock_.at_wait = [this] { minion_.act(); };
  config_.host.linger = std::chrono::seconds(3);
  EXPECT_EQ(tick(), ExitStatus::done);
  ASSERT_THAT(shared_.ended(), SizeIs(1));
  EXPECT_EQ(shared_.ended().front().outcome, "complete");
  EXPECT_EQ(shared_.task, std::nullopt);
  EXPECT_EQ(logged("file_name: " + task().string()), 2U) << "once found, once ended";
  EXPECT_EQ(logged("mission complete, clean task and queue"), 1U);
}

// FINDINGS P35.
TEST_F(MasterTick, CountsAndLogsATaskThatIsSetBetweenItsFirstLookAndItsFirstWatch) {
  coordinator_.faults.at_call = [this](std::string_view verb) {
    if (verb == "watch" && shared_.begun().empty()) set_task();
  };
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_THAT(shared_.begun(), SizeIs(1));
  EXPECT_EQ(shared_.lookups(), 1U);
  EXPECT_EQ(logged("file_name: " + task().string()), 1U);
  EXPECT_EQ(logged("no task, exit"), 0U);
}

}  // namespace
}  // namespace libsync::test
