// The daemons of other hosts, probed a few at a time, each and all for a bounded time. Transfer and
// clock are fakes.

#include "feed/host_probes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_transfer.h"
#include "hand_clock.h"
#include "temporary_folder.h"

namespace libsync::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using namespace std::chrono_literals;

class HostProbesTest : public testing::Test {
 protected:
  HostProbesTest() {
    clock_.let_waits_pass(std::chrono::milliseconds(0));
    std::filesystem::create_directories(module_.path() / ".libsync");
  }

  // Hosts that have a probe, or with `serve` false do not answer at all.
  void add_hosts(std::size_t count, bool serve = true) {
    for (std::size_t i = 0; i < count; ++i) {
      const auto number = hosts_.size() + 1;
      hosts_.push_back(Address::parse("10.0." + std::to_string(number / 250) + "." +
                                      std::to_string(number % 250 + 1))
                           .value());
      if (serve) transfer_.serve(hosts_.back(), module_.path());
    }
  }
  HostProbes probe() { return probe_hosts(transfer_, clock_, hosts_, into_.path()); }

  TemporaryFolder module_;
  TemporaryFolder into_;
  HandClock clock_;
  FakeTransfer transfer_;
  std::vector<Address> hosts_;
};

TEST_F(HostProbesTest, CountsHostsThatServeWithAProbeOrWithout) {
  add_hosts(1);
  EXPECT_EQ(probe().served, 1U) << "no such file, and yet its daemon serves";
  write_file(module_.path() / ".libsync" / "probe", "its probe");
  add_hosts(99);
  const auto probes = probe();
  EXPECT_EQ(probes.served, 100U);
  EXPECT_THAT(probes.faults, IsEmpty());
  EXPECT_EQ(probes.not_tried, 0U);
  EXPECT_THAT(into_.path(), testing::ResultOf(
                                [](const auto& path) {
                                  return std::distance(std::filesystem::directory_iterator(path),
                                                       std::filesystem::directory_iterator());
                                },
                                0))
      << "it leaves no file";
}

TEST_F(HostProbesTest, NamesTheHostsThatDoNotServeInTheOrderOfTheirAddresses) {
  add_hosts(3);
  transfer_.silence(hosts_[2]);
  transfer_.end_as(1, PullEnd::refused);
  const auto probes = probe();
  EXPECT_EQ(probes.served, 1U);
  ASSERT_THAT(probes.faults, SizeIs(2));
  EXPECT_EQ(probes.faults[0].host, hosts_[0]);
  EXPECT_EQ(probes.faults[1].host, hosts_[2]);
  EXPECT_NE(probes.faults[1].reason, "");
}

TEST_F(HostProbesTest, ABusyDaemonServes) {
  add_hosts(2);
  transfer_.end_as(1, PullEnd::busy);
  transfer_.end_as(2, PullEnd::corrupt);
  const auto probes = probe();
  EXPECT_EQ(probes.served, 1U);
  ASSERT_THAT(probes.faults, SizeIs(1)) << "more bytes than a probe has";
}

TEST_F(HostProbesTest, TriesSoManyAtOnceAndEachForAFewSeconds) {
  add_hosts(33, false);
  std::size_t most = 0;
  clock_.at_wait = [&] { most = std::max(most, transfer_.running().size()); };
  const auto begun = clock_.now();
  const auto probes = probe();
  EXPECT_EQ(most, ProbeLimits::at_once);
  EXPECT_EQ(clock_.now() - begun, 2 * ProbeLimits::each);
  EXPECT_THAT(probes.faults, SizeIs(33));
  EXPECT_THAT(probes.faults[0].reason, HasSubstr("has not answered within 3 s"));
}

TEST_F(HostProbesTest, EndsAfterAMinuteAndCountsTheRest) {
  add_hosts(1000, false);
  const auto begun = clock_.now();
  const auto probes = probe();
  EXPECT_LE(clock_.now() - begun, ProbeLimits::all);
  EXPECT_GE(clock_.now() - begun, ProbeLimits::all - ProbeLimits::each);
  EXPECT_EQ(probes.faults.size() + probes.not_tried, 1000U);
  EXPECT_EQ(probes.faults.size(), 19 * ProbeLimits::at_once);
  EXPECT_THAT(transfer_.running(), IsEmpty());
}

TEST_F(HostProbesTest, PassesOnThatThereIsNoRsync) {
  add_hosts(1);
  transfer_.faults.fail(1, Lost::call, "start");
  EXPECT_THROW(static_cast<void>(probe()), Failure);
}

TEST_F(HostProbesTest, WithoutHostsThereIsNothingToDo) {
  EXPECT_EQ(probe().served, 0U);
  EXPECT_THAT(transfer_.started(), IsEmpty());
}

}  // namespace
}  // namespace libsync::test
