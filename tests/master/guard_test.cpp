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
    if (!is_changed) shared.run()->announced.insert_or_assign(1, digest_of("other"));
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

TEST_F(Guard, AdmitsTheHostsThatJoin) {
  begin_run();
  FakeMinionCoordinator late(shared);
  const auto host = Address::parse("10.0.0.9").value();
  static_cast<void>(late.join(host, Arrival::again, SeatWish::none, {}));
  ASSERT_THAT(shared.run()->joined_hosts, SizeIs(1));
  static_cast<void>(tick());
  EXPECT_THAT(shared.run()->joined_hosts, SizeIs(0));
  EXPECT_TRUE(shared.run()->expected_hosts.contains(host.text()));
}

}  // namespace
}  // namespace libsync::test
