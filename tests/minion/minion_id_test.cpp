// The id of a host: what a minion does about another host with its address or its id.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "minion_world.h"

namespace libsync::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace std::chrono_literals;

class MinionId : public testing::Test, protected MinionWorld {};

TEST_F(MinionId, IsRefusedWhileAnotherLiveHostUsesItsAddress) {
  begin_staged();
  FakeMinionCoordinator other(shared);
  static_cast<void>(
      other.join(kSelf, random_name<HostId>(), Arrival::first_of_tick, SeatWish::none, {}));
  shared.advance(5s);
  config.host.linger = 60s;
  EXPECT_EQ(tick(), ExitStatus::usage);
  EXPECT_THAT(failure, HasSubstr("another live host uses the address 10.0.0.2 (seen 5 s ago): give "
                                 "each host its own by --address"));
  EXPECT_THAT(coordinator->faults.verbs(), ElementsAre("join"));
  shared.advance(30s);
  EXPECT_EQ(tick(), ExitStatus::done) << "the tick of the other one died";
  expect_published();
}

TEST_F(MinionId, MakesItselfANewIdIfItsStateFolderIsACopy) {
  begin_staged();
  const auto former = StateFolder(repo()).host_id().id;
  FakeMinionCoordinator other(shared);
  static_cast<void>(other.join(kPeer, former, Arrival::first_of_tick, SeatWish::none, {}));
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(logged("the live host 10.0.0.3 has the id of this one"), 1U);
  EXPECT_NE(StateFolder(repo()).host_id().id, former);
  expect_published();
  expect_finished();
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(logged("has the id of this one"), 1U);
}

TEST_F(MinionId, GetsAnIdInPlaceOfOneThatCannotBeRead) {
  write_file(StateFolder(repo()).path() / "minion", "torn");
  begin_staged();
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(logged("holds no id: this host has a new one now"), 1U);
  expect_published();
}

}  // namespace
}  // namespace libsync::test
