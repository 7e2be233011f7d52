// Seats of the trees that were lost, or that another program wrote, are right again.

#include <gmock/gmock.h>

#include "function_caller.h"

namespace libsync::test {
namespace {

using testing::ElementsAreArray;
using testing::UnorderedElementsAre;
using testing::UnorderedElementsAreArray;

constexpr unsigned kPieces = 64;
constexpr unsigned kHosts = 20;

std::string host(unsigned number) { return "10.1.0." + std::to_string(number + 1); }

class MendedSeats : public testing::Test {
 protected:
  MendedSeats() {
    f.begin(run, kPieces, "10.0.0.1", 5, {}, "trees");
    for (unsigned i = 0; i < kHosts; ++i) hosts.push_back(host(i));
    report();
  }

  void report() {
    const auto none = bits(kPieces, {});
    for (const auto& one : hosts) f("follow", {run, one, none, "2", "0", "0", none});
  }
  void mend() { f.mend(run, "10.2.0.1", bits(kPieces, {})); }

  // The host of each seat. Fails if a seat is free, or if the two keys disagree.
  Texts seats() {
    Texts found;
    const auto count = std::stoul(f.one({"HLEN", "sync:seats"}));
    EXPECT_EQ(f.one({"HLEN", "sync:seat_of"}), std::to_string(count));
    for (unsigned seat = 0; seat < count; ++seat) {
      found.push_back(f.one({"HGET", "sync:seats", std::to_string(seat)}));
      EXPECT_EQ(f.one({"HGET", "sync:seat_of", found.back()}), std::to_string(seat));
    }
    return found;
  }
  std::string seated(unsigned seat) { return f.one({"HGET", "sync:seats", std::to_string(seat)}); }

  TestRedis redis;
  FunctionCaller f{redis};
  const std::string run = run_id(1);
  Texts hosts;
};

TEST_F(MendedSeats, EachKeyIsDerivedFromTheOther) {
  for (const auto* const key : {"sync:seats", "sync:seat_of"}) {
    f.ask({"DEL", key});
    mend();
    EXPECT_THAT(seats(), ElementsAreArray(hosts)) << key;
  }
}

TEST_F(MendedSeats, HostsThatGotASecondSeatKeepTheFirst) {
  f.ask({"DEL", "sync:seat_of"});
  report();
  EXPECT_EQ(f.one({"HLEN", "sync:seats"}), std::to_string(2 * kHosts));
  mend();
  EXPECT_THAT(seats(), ElementsAreArray(hosts));
}

TEST_F(MendedSeats, HostsOfTheLastSeatsGetFreeOnes) {
  f.ask({"HDEL", "sync:seats", "3", "7"});
  f.ask({"HDEL", "sync:seat_of", host(3), host(7)});
  mend();
  EXPECT_EQ(seats().size(), kHosts - 2);
  EXPECT_THAT((Texts{seated(3), seated(7)}),
              UnorderedElementsAre(host(kHosts - 1), host(kHosts - 2)));
  report();
  EXPECT_THAT(seats(), UnorderedElementsAreArray(hosts));
}

TEST_F(MendedSeats, AHostLeavesItsSeatAlthoughTheLastOneIsLost) {
  f.ask({"HDEL", "sync:seats", std::to_string(kHosts - 2)});  // The last of 19, it seems.
  EXPECT_EQ(f("leave", {run, host(2), "all", ""}).at(0), "LEFT");
  mend();
  report();
  EXPECT_THAT(seats(), UnorderedElementsAreArray(hosts));
}

TEST_F(MendedSeats, OfTwoHostsWithOneSeatOneGetsAnother) {
  f.ask({"HSET", "sync:seat_of", host(5), "4"});
  f.ask({"HDEL", "sync:seats", "5"});
  mend();
  report();
  mend();
  EXPECT_THAT(seats(), UnorderedElementsAreArray(hosts));
  EXPECT_EQ(seated(4), host(4));
}

TEST_F(MendedSeats, ASetAsideHostStaysSo) {
  f.ask({"HSET", "sync:seat_of", host(kHosts - 1), "-20"});
  mend();
  EXPECT_EQ(f.one({"HGET", "sync:seat_of", host(kHosts - 1)}), "-20");
  EXPECT_EQ(f.one({"HLEN", "sync:seats"}), std::to_string(kHosts - 1));
}

TEST_F(MendedSeats, SeatsInNoFormOfANumberAreFreed) {
  f.ask({"HDEL", "sync:seats", "3", "19"});
  f.ask(
      {"HSET", "sync:seats", "03", host(3), "-4", host(19), "x", "10.9.0.1", "400000", "10.9.0.2"});
  f.ask({"HSET", "sync:seat_of", host(8), "huge"});
  mend();
  report();
  mend();
  EXPECT_THAT(seats(), UnorderedElementsAreArray(hosts)) << "the others have not joined";
}

}  // namespace
}  // namespace libsync::test
