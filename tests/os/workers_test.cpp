#include "os/workers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <future>
#include <thread>

#include "libsync/core/failure.h"

namespace libsync {
namespace {

using testing::ElementsAre;

bool is_readable(const Workers& workers, int milliseconds) {
  pollfd polled{workers.descriptor(), POLLIN, 0};
  return poll(&polled, 1, milliseconds) == 1;
}

// Waits by the descriptor alone and collects, until nothing is pending.
void collect_all(Workers& workers) {
  constexpr int kLong = 20'000;
  while (workers.pending() > 0) {
    ASSERT_TRUE(is_readable(workers, kLong));
    workers.collect();
  }
}

TEST(Workers, RunTheJobElsewhereAndItsContinuationHere) {
  Workers workers(1);
  std::thread::id worked_on;
  std::thread::id continued_on;
  workers.submit([](const std::stop_token&) { return std::this_thread::get_id(); },
                 [&](std::thread::id id) {
                   worked_on = id;
                   continued_on = std::this_thread::get_id();
                 });
  EXPECT_EQ(workers.pending(), 1U);
  collect_all(workers);
  EXPECT_EQ(continued_on, std::this_thread::get_id());
  EXPECT_NE(worked_on, std::this_thread::get_id());
  EXPECT_NE(worked_on, std::thread::id());
}

TEST(Workers, NoContinuationRunsBeforeCollect) {
  Workers workers(1);
  bool has_continued = false;
  workers.submit([](const std::stop_token&) { return 1; }, [&](int) { has_continued = true; });
  ASSERT_TRUE(is_readable(workers, 20'000));
  EXPECT_FALSE(has_continued);
  workers.collect();
  EXPECT_TRUE(has_continued);
  EXPECT_FALSE(is_readable(workers, 0));
}

TEST(Workers, OneThreadKeepsTheOrder) {
  Workers workers(1);
  std::vector<int> order;
  for (int i = 0; i < 5; ++i) {
    workers.submit([i](const std::stop_token&) { return i; }, [&](int n) { order.push_back(n); });
  }
  collect_all(workers);
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4));
}

TEST(Workers, TwoThreadsWorkAtOnce) {
  // Declared before the workers, whose threads use them until they end.
  std::promise<void> first;
  std::promise<void> second;
  Workers workers(2);
  int continued = 0;
  // Each can end only after the other has begun.
  workers.submit(
      [&](const std::stop_token&) {
        first.set_value();
        second.get_future().wait();
        return 1;
      },
      [&](int n) { continued += n; });
  workers.submit(
      [&](const std::stop_token&) {
        second.set_value();
        first.get_future().wait();
        return 1;
      },
      [&](int n) { continued += n; });
  collect_all(workers);
  EXPECT_EQ(continued, 2);
}

TEST(Workers, CollectThrowsTheFailureOfAJobAndTheOthersRemain) {
  Workers workers(1);
  std::vector<int> order;
  const auto add = [&](int n) {
    workers.submit([n](const std::stop_token&) { return n; }, [&](int m) { order.push_back(m); });
  };
  add(1);
  workers.submit(
      [](const std::stop_token&) -> int {
        throw Failure(ExitStatus::local, Remedy::try_again, "the disk is full");
      },
      [&](int) { order.push_back(-1); });
  add(3);
  EXPECT_THROW(
      {
        while (workers.pending() > 0) workers.collect();
      },
      Failure);
  collect_all(workers);
  EXPECT_THAT(order, ElementsAre(1, 3));
}

// The loop polls the descriptor, which must show the remaining continuations, too.
TEST(Workers, TheDescriptorShowsContinuationsThatAFailureLeft) {
  // Declared before the workers, whose threads use them until they end.
  std::promise<void> runs;
  std::promise<void> may_end;
  Workers workers(1);
  bool has_continued = false;
  workers.submit(
      [](const std::stop_token&) -> int {
        throw Failure(ExitStatus::local, Remedy::try_again, "the disk is full");
      },
      [](int) {});
  workers.submit([](const std::stop_token&) { return 1; }, [&](int) { has_continued = true; });
  // There is one thread. While this job runs, both others have results, and it has none.
  workers.submit(
      [&](const std::stop_token&) {
        runs.set_value();
        may_end.get_future().wait();
        return 1;
      },
      [](int) {});
  runs.get_future().wait();
  EXPECT_THROW(workers.collect(), Failure);
  EXPECT_TRUE(is_readable(workers, 0));
  workers.collect();
  EXPECT_TRUE(has_continued);
  may_end.set_value();
}

TEST(Workers, AContinuationMaySubmitMore) {
  Workers workers(1);
  int last = 0;
  workers.submit([](const std::stop_token&) { return 1; },
                 [&](int n) {
                   workers.submit([n](const std::stop_token&) { return n + 1; },
                                  [&](int m) { last = m; });
                 });
  collect_all(workers);
  EXPECT_EQ(last, 2);
}

TEST(Workers, DestructorStopsRunningJobsAndDropsTheOthers) {
  std::atomic<bool> was_stopped = false;
  std::atomic<bool> second_began = false;
  bool has_continued = false;
  {
    // Declared before the workers, whose threads use them until they end.
    std::promise<void> began;
    Workers workers(1);
    workers.submit(
        [&](const std::stop_token& stop) {
          began.set_value();
          while (!stop.stop_requested()) std::this_thread::yield();
          was_stopped = true;
          return 1;
        },
        [&](int) { has_continued = true; });
    workers.submit(
        [&](const std::stop_token&) {
          second_began = true;
          return 1;
        },
        [&](int) { has_continued = true; });
    began.get_future().wait();
  }
  EXPECT_TRUE(was_stopped);
  EXPECT_FALSE(second_began);
  EXPECT_FALSE(has_continued);
}

}  // namespace
}  // namespace libsync
