// The bound of a run, and the cause of each host's delay.

#include "libsync/core/run_bound.h"

#include <gmock/gmock.h>

#include <limits>
#include <string>

namespace libsync {
namespace {

using testing::ElementsAre;
using testing::FieldsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using namespace std::chrono_literals;

constexpr double kRate = 100;                   // Bytes a second.
constexpr Cut kCut{1000, 100};                  // Ten pieces, one a second.
constexpr Cut kHuge{1ULL << 62U, 1ULL << 50U};  // 4096 pieces.

RunAccount account_of(std::vector<HostAccount> hosts) {
  RunAccount account{.run = RunId::parse(std::string(32, 'a')).value(), .cut = kCut};
  account.hosts = std::move(hosts);
  return account;
}

// A host without any delay: it joins at once, and needs no longer than its link does.
HostAccount swift(const std::string& address = "10.0.0.2") {
  return {.address = Address::parse(address).value(),
          .is_expected = true,
          .has_come = true,
          .has_account = true,
          .placed = 10,
          .joined = 0s,
          .first_byte = 0s,
          .last_byte = 10s,
          .in_place = 10s,
          .published = 10s,
          .pulls = {1000, 10, 0, 0, 100}};
}

// The hosts of an account, with the fastest link in it.
Delay delay_of(const HostAccount& host) {
  const auto account = account_of({host, swift("10.0.0.3")});
  return delay_of(host, account, fastest_link(account));
}
std::string why(const HostAccount& host) {
  const auto account = account_of({host, swift("10.0.0.3")});
  return why_slow(host, account, fastest_link(account));
}

// --- The bound ---

// By hand: (k + ⌈log2(N + 1)⌉ - 1) / k · F / B, with F / B = 10 s and k = 10.
TEST(RunBound, IsThatOfTheFormula) {
  EXPECT_EQ(bound_of(kCut, 1, kRate), 10s);
  EXPECT_EQ(bound_of(kCut, 2, kRate), 11s);
  EXPECT_EQ(bound_of(kCut, 3, kRate), 11s);
  EXPECT_EQ(bound_of(kCut, 4, kRate), 12s);
  EXPECT_EQ(bound_of(kCut, 7, kRate), 12s);
  EXPECT_EQ(bound_of(kCut, 8, kRate), 13s);
  EXPECT_EQ(bound_of(kCut, 195, kRate), 17s);
  EXPECT_EQ(bound_of(kCut, 1023, kRate), 19s);
  EXPECT_EQ(bound_of(kCut, 1024, kRate), 20s);
  // One piece: whole files, which double. A last piece that is short counts by its part.
  EXPECT_EQ(bound_of({1000, 1000}, 195, kRate), 80s);
  EXPECT_EQ(bound_of({999, 100}, 1, kRate), 9990ms);
}

TEST(RunBound, HasAValueForAnyAccount) {
  for (const auto& cut : {Cut{}, Cut{0, 1}, Cut{1, 1}, kHuge}) {
    for (const std::size_t hosts :
         {std::size_t{0}, std::size_t{1}, std::numeric_limits<std::size_t>::max()}) {
      for (const double rate : {1.0, 1e-300, 1e300}) {
        EXPECT_GE(bound_of(cut, hosts, rate), 0s);
        EXPECT_LE(ideal_curve(cut, hosts, rate).size(), 64U);
      }
    }
  }
}

TEST(RunBound, CountsTheFastestLink) {
  EXPECT_FALSE(fastest_link(account_of({})));
  auto slow = swift();
  slow.pulls.bytes_per_second = 0;
  EXPECT_FALSE(fastest_link(account_of({slow})));
  EXPECT_EQ(fastest_link(account_of({slow, swift("10.0.0.3")})), 100.0);
  // A host with an old copy may need few bytes, and those say nothing of its link.
  auto delta = swift("10.0.0.4");
  delta.pulls.wire_bytes = 99;
  delta.pulls.bytes_per_second = 1000;
  EXPECT_EQ(fastest_link(account_of({delta, swift("10.0.0.3")})), 100.0);
  EXPECT_FALSE(fastest_link(account_of({delta})));
  delta.pulls.wire_bytes = 100;
  EXPECT_EQ(fastest_link(account_of({delta})), 1000.0);
}

TEST(Curve, IdealDoublesOnceAPieceTime) {
  EXPECT_THAT(ideal_curve(kCut, 5, kRate),
              ElementsAre(FieldsAre(10s, 1U), FieldsAre(11s, 3U), FieldsAre(12s, 5U)));
  EXPECT_THAT(ideal_curve(kCut, 0, kRate), IsEmpty());
  for (const std::size_t hosts : {1U, 2U, 3U, 4U, 195U, 1000U}) {
    const auto last = ideal_curve(kCut, hosts, kRate).back();
    EXPECT_EQ(last.at, bound_of(kCut, hosts, kRate)) << hosts;
    EXPECT_EQ(last.hosts, hosts);
  }
}

TEST(Curve, CountsTheHostsThatPublished) {
  auto first = swift("10.0.0.2");
  auto last = swift("10.0.0.3");
  last.published = 30s;
  auto none = swift("10.0.0.4");
  none.published.reset();
  EXPECT_THAT(curve_of(account_of({last, none, first})),
              ElementsAre(FieldsAre(10s, 1U), FieldsAre(30s, 2U)));
  EXPECT_THAT(curve_of(account_of({none})), IsEmpty());
}

TEST(Curve, CountsTheFastHostsThatAreLeftOutBeforeTheFirst) {
  auto account = account_of({swift()});
  account.finished = 21;
  account.left_out = 20;
  EXPECT_THAT(curve_of(account), ElementsAre(FieldsAre(10s, 21U)));
  account.left_out = std::numeric_limits<std::size_t>::max();
  EXPECT_THAT(curve_of(account), ElementsAre(FieldsAre(10s, 21U)));
  account.finished = 0;
  EXPECT_THAT(curve_of(account), ElementsAre(FieldsAre(10s, 1U)));
}

// --- The delays ---

TEST(DelayOfAHost, WithoutPublishing) {
  auto host = swift();
  host.published.reset();
  host.placed = 7;
  host.reason = "refused\n<b>";
  EXPECT_EQ(delay_of(host), Delay::unfinished);
  EXPECT_EQ(why(host), "it has 7 of 10 pieces; its last failed pull: refused\\n<b>");
  host.reason.clear();
  EXPECT_EQ(why(host), "it has 7 of 10 pieces");
  host.error = "no space left\x1b\xff";
  EXPECT_EQ(delay_of(host), Delay::failed);
  EXPECT_EQ(why(host), "failed: no space left\\x1b\\xff");
  const HostAccount absent{.address = host.address, .is_expected = true};
  EXPECT_EQ(delay_of(absent), Delay::never_came);
  EXPECT_EQ(why(absent), "it never came");
}

TEST(DelayOfAHost, WithoutAnAccount) {
  HostAccount host{.address = swift().address, .has_come = true, .published = 10s};
  EXPECT_EQ(delay_of(host), Delay::not_known);
  EXPECT_EQ(why(host), "it gave no account");
}

TEST(DelayOfAHost, ThatJoinedLate) {
  auto host = swift();
  host.joined = host.first_byte = 20s;
  host.last_byte = host.in_place = host.published = 31s;
  EXPECT_EQ(delay_of(host), Delay::joined_late);
  EXPECT_EQ(why(host), "joined late, after 20.0 s");
}

TEST(DelayOfAHost, ThatWaited) {
  auto host = swift();
  host.joined = 1s;
  host.first_byte = 4s;
  host.last_byte = host.in_place = 15s;
  host.published = 16s;
  EXPECT_EQ(delay_of(host), Delay::waited);
  EXPECT_EQ(why(host), "waited 3.0 s for its first byte");
}

TEST(DelayOfAHost, WithASlowLink) {
  auto host = swift();
  host.last_byte = host.in_place = host.published = 30s;
  host.pulls.bytes_per_second = 49;
  EXPECT_EQ(delay_of(host), Delay::slow_link);
  EXPECT_EQ(why(host), "slow link: 4.9e-05 MB/s of 0.0001 MB/s");
  host.pulls.bytes_per_second = 50;
  EXPECT_EQ(delay_of(host), Delay::shared);
  EXPECT_THAT(why(host), HasSubstr("pulled for 30.0 s at 5e-05 MB/s of 0.0001 MB/s"));
  host.pulls.bytes_per_second = 0;
  EXPECT_EQ(delay_of(host), Delay::shared) << "no rate was measured";
}

TEST(DelayOfAHost, WithPullsThatFailed) {
  auto host = swift();
  host.last_byte = host.in_place = host.published = 30s;
  host.pulls.failed = 1;
  host.reason = "it was refused\n";
  EXPECT_EQ(delay_of(host), Delay::failures);
  EXPECT_EQ(why(host), "1 pull failed: it was refused\\n");
  host.pulls.pieces = 11;
  EXPECT_EQ(delay_of(host), Delay::shared) << "one in eleven explains little";
  host.pulls.failed = std::numeric_limits<std::size_t>::max();
  EXPECT_EQ(delay_of(host), Delay::failures);
}

TEST(DelayOfAHost, WithASlowDisk) {
  auto host = swift();
  host.published = 13s;
  EXPECT_EQ(delay_of(host), Delay::slow_disk);
  EXPECT_EQ(why(host), "slow disk: 3.0 s to verify and publish");
  host.first_byte.reset();
  host.last_byte.reset();
  EXPECT_EQ(why(host), "slow disk: 13.0 s to verify and publish") << "it had every piece before";
}

TEST(DelayOfAHost, WithoutAnyMeasuredRate) {
  auto host = swift();
  host.pulls.bytes_per_second = 0;
  const auto account = account_of({host});
  EXPECT_EQ(delay_of(host, account, fastest_link(account)), Delay::shared);
  EXPECT_EQ(why_slow(host, account, fastest_link(account)),
            "pulled for 10.0 s at 0 MB/s of 0 MB/s");
}

// A minion may give times in any order.
TEST(DelayOfAHost, WithTimesInTheWrongOrder) {
  auto host = swift();
  host.joined = 90s;
  host.first_byte = 5s;
  host.last_byte = 1s;
  EXPECT_EQ(delay_of(host), Delay::joined_late);
  EXPECT_THAT(why(host), Not(HasSubstr("-")));
}

}  // namespace
}  // namespace libsync
