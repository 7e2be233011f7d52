// The tally of one download, and the account that it makes.

#include "minion/tally.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <string>

namespace libsync {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using namespace std::chrono_literals;

const Address kNear = Address::parse("10.0.0.2").value();
const Address kFar = Address::parse("10.0.0.3").value();

class TallyTest : public testing::Test {
 protected:
  [[nodiscard]] Instant at(Duration since) const { return begin_ + since; }
  void arrive(Duration when, std::uint64_t bytes) {
    tally_.arrived({.id = 1, .name = "p00000", .wire_bytes = bytes}, at(when));
  }
  void end(PullEnd how, const std::string& detail = "because") {
    tally_.ended({.id = 1, .end = how, .detail = detail});
  }
  [[nodiscard]] OwnAccount account(Duration when = 100s, std::size_t superseded = 0) const {
    return tally_.account(superseded, at(when));
  }

  const Instant begin_ = Instant() + 5h;
  Tally tally_{begin_};
};

TEST_F(TallyTest, OfAHostThatPulledNothingHasNoTimes) {
  const auto account = this->account();
  EXPECT_EQ(account.joined_ago, 100s);
  EXPECT_FALSE(account.first_byte_ago);
  EXPECT_FALSE(account.last_byte_ago);
  EXPECT_FALSE(account.in_place_ago);
  EXPECT_EQ(account.pulls, Pulls());
  EXPECT_THAT(account.shares, IsEmpty());
  EXPECT_EQ(account.reason, "");
}

TEST_F(TallyTest, CountsTimesBackFromTheCall) {
  EXPECT_TRUE(tally_.started(kNear, at(1s)));
  EXPECT_FALSE(tally_.started(kNear, at(2s)));
  EXPECT_TRUE(tally_.started(kFar, at(2s)));
  tally_.moved(at(3s));
  arrive(5s, 100);
  tally_.moved(at(8s));
  tally_.gathered(at(9s));
  const auto account = this->account(10s);
  EXPECT_EQ(account.joined_ago, 10s);
  EXPECT_EQ(account.first_byte_ago, 7s);
  EXPECT_EQ(account.last_byte_ago, 2s);
  EXPECT_EQ(account.in_place_ago, 1s);
  EXPECT_EQ(account.pulls.wire_bytes, 100U);
  // The clock of a host may step back.
  EXPECT_EQ(this->account(-10s).joined_ago, 0s);
}

TEST_F(TallyTest, TheRateBeginsWithTheFirstFile) {
  tally_.started(kNear, at(0s));
  arrive(10s, 1000);  // Its source waited for its own pieces.
  arrive(12s, 500);
  arrive(14s, 300);
  EXPECT_EQ(account().pulls.bytes_per_second, 200U);
}

TEST_F(TallyTest, TheRateOfOneFileIsThatSinceTheFirstPull) {
  tally_.started(kNear, at(6s));
  arrive(10s, 1000);
  EXPECT_EQ(account().pulls.bytes_per_second, 250U);
  arrive(10s + 199ms, 0);
  EXPECT_EQ(account().pulls.bytes_per_second, 238U) << "files that were named at once";
}

TEST_F(TallyTest, APullThatFailsHasAReason) {
  end(PullEnd::good, "");
  end(PullEnd::busy, "no slot");
  EXPECT_EQ(account().pulls.failed, 0U);
  EXPECT_EQ(account().reason, "");
  for (const auto how :
       {PullEnd::unreachable, PullEnd::refused, PullEnd::missing, PullEnd::corrupt}) {
    end(how, fmt::format("because {}", static_cast<int>(how)));
  }
  EXPECT_EQ(account().pulls.failed, 4U);
  EXPECT_EQ(account().reason, fmt::format("because {}", static_cast<int>(PullEnd::corrupt)));
  end(PullEnd::local, std::string(101, 'x'));
  EXPECT_EQ(account().reason, std::string(100, 'x'));
}

TEST_F(TallyTest, WrongBytesAreAFailure) {
  tally_.found_bad(7);
  EXPECT_EQ(account().pulls.failed, 1U);
  EXPECT_EQ(account().reason, "wrong bytes in p00007: check the disk and memory of its source");
  tally_.found_bad(std::nullopt);
  EXPECT_EQ(account().reason,
            "wrong bytes in the manifest: check the disk and memory of its source");
}

TEST_F(TallyTest, SharesAreTheLargestFirst) {
  tally_.started(kNear, at(0s));
  tally_.started(kFar, at(0s));
  tally_.started(Address::parse("10.0.0.9").value(), at(0s));
  tally_.brought(kNear);
  for (int i = 0; i < 3; ++i) tally_.brought(kFar);
  EXPECT_THAT(account().shares, ElementsAre(Share{kFar, 3}, Share{kNear, 1}))
      << "a source without a good piece has no share";
  EXPECT_EQ(account().pulls.pieces, 4U);
  EXPECT_EQ(account(1s, 2).pulls.twice, 2U);
}

TEST_F(TallyTest, GivesNoMoreSharesThanRedisKeeps) {
  for (int i = 0; i < 40; ++i) {
    const auto source = Address::parse(fmt::format("10.0.1.{}", i)).value();
    for (int piece = 0; piece <= i; ++piece) tally_.brought(source);
  }
  EXPECT_THAT(account().shares, SizeIs(16));
  EXPECT_EQ(account().shares.front().pieces, 40U);
  EXPECT_EQ(account().pulls.pieces, 820U) << "all of them";
}

}  // namespace
}  // namespace libsync
