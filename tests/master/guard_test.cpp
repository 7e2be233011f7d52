// A master whose run others have changed in Redis.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "master/master.h"
#include "master_world.h"

namespace libsync::test {
namespace {

using testing::SizeIs;
using namespace std::chrono_literals;

class Guard : public testing::Test, protected MasterWorld {
 protected:
  void begin_run() {
    set_task();
    EXPECT_EQ(tick(), ExitStatus::done);
    ASSERT_TRUE(shared.run());
    ASSERT_EQ(shared.run()->info.state, RunState::staged);
  }
  void tick_until_ended() {
    for (int i = 0; i < 6 && shared.ended().empty(); ++i) {
      minion.act();
      static_cast<void>(tick());
    }
    ASSERT_THAT(shared.ended(), SizeIs(1));
    EXPECT_EQ(shared.ended().front().outcome, "complete");
    expect_right_digests(shared.ended().front().announced);
  }
};

TEST_F(Guard, RepairsAManifestBeforeItEndsTheRun) {
  begin_run();
  const auto right = shared.run()->info.manifest;
  const auto id = shared.run()->info.id;
  minion.act();
  shared.run()->info.manifest = digest_of("other");
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_THAT(shared.ended(), SizeIs(0)) << "a host may have published something else";
  EXPECT_EQ(shared.run()->info.manifest, right);
  EXPECT_NE(shared.run()->info.id, id);
  EXPECT_EQ(logged("the key sync:run differed from the spool of"), 1U);
  ASSERT_THAT(records(), SizeIs(1));
  EXPECT_EQ(records().front().run, shared.run()->info.id);
  tick_until_ended();
}

TEST_F(Guard, RepairsADigestThatChangesWhileItLingers) {
  begin_run();
  const auto right = shared.run()->announced;
  config.host.linger = 30s;
  bool is_changed = false;
  bool is_repaired = false;
  clock.at_wait = [&] {
    if (!is_changed) shared.run()->announced.insert_or_assign(1, StagedPiece{1, digest_of("other")});
    is_changed = true;
    if (shared.run() && shared.run()->announced == right) is_repaired = true;
    if (is_repaired) minion.act();
  };
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_TRUE(is_repaired);
  EXPECT_EQ(logged("the key sync:digests differed from the spool of"), 1U);
  ASSERT_THAT(shared.ended(), SizeIs(1));
  expect_right_digests(shared.ended().front().announced);
}

TEST_F(Guard, ComparesAtTheLastMomentBeforeTheEnd) {
  begin_run();
  config.host.linger = 5s;
  int waits = 0;
  clock.at_wait = [&] {
    // The comparison at the beginning of the tick was a moment ago.
    if (++waits == 1) {
      minion.act();
      shared.run()->info.cut.piece_bytes *= 2;
    }
  };
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_THAT(shared.ended(), SizeIs(0));
  EXPECT_EQ(logged("the key sync:run differed from the spool of"), 1U);
  clock.at_wait = nullptr;
  tick_until_ended();
}

TEST_F(Guard, AnotherNumberOrInventoryCountsForTheRunInProgress) {
  config.minions = 4;
  begin_run();
  minion.act();
  static_cast<void>(tick());
  EXPECT_THAT(shared.ended(), SizeIs(0));
  config.minions = 0;
  config.inventory = {Address::parse("10.0.0.9").value(), kMinionHost};
  static_cast<void>(tick());
  EXPECT_EQ(shared.run()->expected(), 2U);
  EXPECT_EQ(logged("waiting for 1 of 2 hosts: 10.0.0.9"), 1U);
  EXPECT_EQ(logged("differed"), 0U);
  config.inventory.clear();
  config.minions = 1;
  static_cast<void>(tick());
  ASSERT_THAT(shared.ended(), SizeIs(1));
  EXPECT_EQ(shared.ended().front().outcome, "complete");
}

TEST_F(Guard, NamesTheHostsThatTheRunWaitsFor) {
  config.minions = 3;
  begin_run();
  minion.act();
  FakeMinionCoordinator late(shared);
  static_cast<void>(
      late.join(Address::parse("10.0.0.9").value(), HostId(), Arrival::again, SeatWish::none, {}));
  static_cast<void>(tick());
  EXPECT_EQ(logged("waiting for 2 of 3 hosts: 10.0.0.9 and 1 that never came"), 1U);
}

TEST_F(Guard, ASilentHostThatWasNeverNamedIsMissingAndHoldsUpNoRun) {
  config.minions = 0;
  FakeMinionCoordinator absent(shared);
  FakeMinionCoordinator silent(shared);
  static_cast<void>(silent.join(Address::parse("10.0.0.8").value(), HostId(), Arrival::again,
                                SeatWish::none, {}));
  shared.advance(11min);
  static_cast<void>(absent.join(Address::parse("10.0.0.9").value(), HostId(), Arrival::again,
                                SeatWish::none, {}));
  begin_run();
  minion.act();
  static_cast<void>(tick());
  EXPECT_THAT(shared.ended(), SizeIs(0));
  shared.advance(11min);
  static_cast<void>(tick());
  ASSERT_THAT(shared.ended(), SizeIs(1));
  EXPECT_EQ(shared.ended().front().outcome, "complete");
  EXPECT_EQ(logged("not finished: 10.0.0.9"), 1U);
  EXPECT_EQ(logged("complete: 1 of 1 expected; 1 known hosts silent: 10.0.0.8"), 1U);
}

TEST_F(Guard, AdmitsTheHostsThatJoin) {
  begin_run();
  FakeMinionCoordinator late(shared);
  const auto host = Address::parse("10.0.0.9").value();
  static_cast<void>(late.join(host, HostId(), Arrival::again, SeatWish::none, {}));
  ASSERT_THAT(shared.run()->joined_hosts, SizeIs(1));
  static_cast<void>(tick());
  EXPECT_THAT(shared.run()->joined_hosts, SizeIs(0));
  EXPECT_TRUE(shared.run()->expected_hosts.contains(host.text()));
}

}  // namespace
}  // namespace libsync::test
