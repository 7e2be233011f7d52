// This host's own daemon serves what it should, or more, or less. The transfers are fakes.

#include "feed/own_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_transfer.h"
#include "hand_clock.h"
#include "os/stop_signal.h"
#include "temporary_folder.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using testing::Optional;

class OwnFeedTest : public testing::Test {
 protected:
  OwnFeedTest() {
    clock_.let_waits_pass(std::chrono::milliseconds(0));
    for (auto* const transfer : {&peer_, &stranger_}) transfer->serve(self_, repo_.path());
  }
  FeedFacts facts(bool has_stranger = true) {
    return own_feed(peer_, has_stranger ? &stranger_ : nullptr, clock_, self_, folder_, stop_);
  }

  StopSignal stop_;
  TemporaryFolder repo_;
  HandClock clock_;
  CheckFolder folder_{repo_.path(), clock_.wall()};
  Address self_ = Address::parse("10.0.0.2").value();
  FakeTransfer peer_;
  FakeTransfer stranger_;
};

TEST_F(OwnFeedTest, ServesItsPeersAndNobodyElse) {
  stranger_.end_as(1, PullEnd::refused);
  peer_.end_as(2, PullEnd::missing);  // The private file.
  peer_.end_as(3, PullEnd::refused);  // The push.
  const auto found = facts();
  EXPECT_EQ(found.fault, std::nullopt);
  EXPECT_FALSE(found.asks_no_password);
  EXPECT_FALSE(found.is_writable);
  EXPECT_FALSE(found.reads_private_files);
}

TEST_F(OwnFeedTest, ServesTooMuch) {
  peer_.end_as(3, PullEnd::good);  // The push.
  const auto found = facts();
  EXPECT_EQ(found.fault, std::nullopt);
  EXPECT_TRUE(found.asks_no_password);
  EXPECT_TRUE(found.is_writable);
  EXPECT_TRUE(found.reads_private_files);
}

TEST_F(OwnFeedTest, WithoutAUserThereIsNoStranger) {
  EXPECT_FALSE(facts(false).asks_no_password);
  EXPECT_TRUE(stranger_.started().empty());
}

TEST_F(OwnFeedTest, AsksAgainWhileNoConnectionIsFree) {
  for (const std::size_t nth : {1U, 2U, 4U, 5U, 6U, 8U}) peer_.end_as(nth, PullEnd::busy);
  peer_.end_as(9, PullEnd::good);  // The push.
  stranger_.end_as(1, PullEnd::busy);
  const auto found = facts();
  EXPECT_EQ(found.fault, std::nullopt);
  EXPECT_TRUE(found.asks_no_password);
  EXPECT_TRUE(found.reads_private_files);
  EXPECT_TRUE(found.is_writable);
}

TEST_F(OwnFeedTest, ADaemonThatNeverHasAFreeConnectionIsAtFault) {
  for (std::size_t nth = 1; nth <= 5; ++nth) peer_.end_as(nth, PullEnd::busy);
  EXPECT_TRUE(facts().fault);
  EXPECT_EQ(peer_.started().size(), 5U);
}

TEST_F(OwnFeedTest, NamesWhyItServesNobody) {
  peer_.silence(self_);
  EXPECT_THAT(facts().fault, Optional(HasSubstr("the test has this transfer fail")));
  EXPECT_EQ(peer_.started().size(), 1U) << "and tries nothing else";
}

TEST_F(OwnFeedTest, FindsAModuleThatExportsAnotherFolder) {
  TemporaryFolder other;
  const auto there = other.path() / folder_.name_in_repo();
  std::filesystem::create_directories(there);
  write_file(there / "probe", "another probe, of no other length");
  std::filesystem::resize_file(there / "probe", 32);
  peer_.serve(self_, other.path());
  EXPECT_THAT(facts().fault, Optional(HasSubstr("exports another folder than --repo")));
}

TEST_F(OwnFeedTest, GivesADaemonUpThatDoesNotAnswer) {
  FakeTransfer deaf;
  const auto found = own_feed(deaf, nullptr, clock_, self_, folder_, stop_);
  EXPECT_THAT(found.fault, Optional(HasSubstr("has not answered within 5 s")));
}

}  // namespace
}  // namespace libsync::test
