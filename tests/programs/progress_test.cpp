#include "programs/progress.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "status_values.h"

namespace libsync {
namespace {

using namespace std::chrono_literals;

HostStatus joined() { return test::joined_host("10.0.0.2"); }

// 100 s after the beginning.
Status run_of(std::vector<HostStatus> hosts, std::size_t expected) {
  Status status;
  status.run = test::staged_run(100s, 10, expected);
  status.hosts = std::move(hosts);
  return status;
}

TEST(GroupOf, IsTheFirstGroupThatFits) {
  auto host = joined();
  EXPECT_EQ(group_of(host), HostGroup::waiting);
  host.is_running = true;
  EXPECT_EQ(group_of(host), HostGroup::pulling);
  host.seen_ago = 31s;
  EXPECT_EQ(group_of(host), HostGroup::silent);
  host.is_ticking = false;
  EXPECT_EQ(group_of(host), HostGroup::pulling);
  host.seen_ago = 601s;
  EXPECT_EQ(group_of(host), HostGroup::silent);
  host.seen_ago.reset();
  EXPECT_EQ(group_of(host), HostGroup::silent);
  host.has_joined = false;
  EXPECT_EQ(group_of(host), HostGroup::never_came);
  host.error = "full";
  EXPECT_EQ(group_of(host), HostGroup::never_came);  // It pulls, so it has not failed.
  host.is_running = false;
  EXPECT_EQ(group_of(host), HostGroup::failed);
  host.finished_after = 1s;
  EXPECT_EQ(group_of(host), HostGroup::finished);
}

TEST(ProgressOf, CountsEachExpectedHostInOneGroup) {
  auto never = joined();
  never.has_joined = false;
  auto done = joined();
  done.finished_after = 1s;
  const auto progress = progress_of(run_of({joined(), never, done}, 7));
  std::size_t all = 0;
  for (const auto group : kHostGroups) all += progress.count(group);
  EXPECT_EQ(all, 7U);
  EXPECT_EQ(progress.count(HostGroup::never_came), 5U);
}

TEST(ProgressOf, IsStuckIfNothingMovesForHalfAMinute) {
  auto status = run_of({joined()}, 1);
  status.run->moves.moved_ago = 29s;
  EXPECT_FALSE(progress_of(status).stuck_for);
  status.run->moves.moved_ago = 30s;
  EXPECT_EQ(progress_of(status).stuck_for, 30s);
  status.run->moves.moved_ago.reset();  // Nothing has moved yet.
  EXPECT_EQ(progress_of(status).stuck_for, 100s);
  status.hosts[0].finished_after = 1s;
  EXPECT_FALSE(progress_of(status).stuck_for);
}

// A payload in one piece moves for its whole time before anybody places it.
TEST(ProgressOf, WaitsLongerForALargePiece) {
  auto status = run_of({joined()}, 1);
  status.run->run.cut = {60'000'000, 60'000'000};
  status.run->moves.moved_ago = 59s;
  status.hosts[0].is_running = true;
  EXPECT_FALSE(progress_of(status).stuck_for);
  status.run->moves.moved_ago = 61s;
  EXPECT_TRUE(progress_of(status).stuck_for);
}

TEST(WhyStuck, NamesWhatTheRunWaitsFor) {
  auto failed = joined();
  failed.error = "full";
  auto silent = joined();
  silent.seen_ago = 60s;
  auto status = run_of({failed, silent, joined()}, 4);
  EXPECT_EQ(why_stuck(*status.run, progress_of(status),
                      {.quorum_percent = {}, .deadline = 10s, .grace = 1s}),
            "nobody pulls; waits for 1 failed, 1 that never came, 1 silent; it ends by --deadline, "
            "now over");
  status = run_of({joined()}, 1);
  status.hosts[0].is_running = true;
  status.run->moves.of_one_source = 3;
  EXPECT_EQ(why_stuck(*status.run, progress_of(status),
                      {.quorum_percent = 50, .deadline = {}, .grace = 1s}),
            "1 hosts pull; waits for 3 pieces that only the origin 10.0.0.1 has; it ends by "
            "--quorum 50 %");
  status = run_of({joined()}, 1);
  status.run->run.state = RunState::staging;
  EXPECT_EQ(why_stuck(*status.run, progress_of(status),
                      {.quorum_percent = {}, .deadline = {}, .grace = 1s}),
            "nobody pulls; waits for the master to cut the payload; no --deadline: `del task` ends "
            "it, or "
            "another task after 1 s");
}

}  // namespace
}  // namespace libsync
