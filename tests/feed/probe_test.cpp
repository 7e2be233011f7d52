// The probe: this host's own daemon serves its spool, or not. The transfer is a fake, and each of
// its calls fails once.

#include "feed/probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_transfer.h"
#include "os/files.h"
#include "store/state_folder.h"
#include "temporary_folder.h"

namespace libsync::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

class ProbeTest : public testing::Test {
 protected:
  ProbeTest() {
    std::filesystem::create_directories(into());
    transfer_.serve(self_, repo_.path());
  }

  [[nodiscard]] std::filesystem::path into() const { return repo_.path() / ".libsync" / "into"; }

  // Runs the event loop until the probe has ended. Nothing: this host is served.
  [[nodiscard]] std::optional<std::string> fault_of(Probe& probe) {
    for (int i = 0; i < 30; ++i) {
      for (const auto& event : transfer_.collect()) {
        const auto* const ended = std::get_if<TransferEnded>(&event);
        if (ended == nullptr || !probe.owns(ended->id)) continue;
        if (const auto verdict = probe.on(*ended, now_)) return verdict->fault;
        EXPECT_FALSE(probe.is_running());
        EXPECT_EQ(probe.due(), now_ + std::chrono::seconds(1));
        probe.step(probe.due() - std::chrono::milliseconds(1));
        EXPECT_FALSE(probe.is_running());
        now_ = probe.due();
        probe.step(now_);
        EXPECT_TRUE(probe.is_running());
        EXPECT_EQ(probe.due(), Instant::max());
      }
    }
    ADD_FAILURE() << "the probe does not end";
    return "no end";
  }

  Instant now_{std::chrono::seconds(5)};
  TemporaryFolder repo_;
  StateFolder state_{repo_.path()};
  Address self_ = Address::parse("10.0.0.2").value();
  FakeTransfer transfer_;
};

TEST_F(ProbeTest, PullsItsFileFromThisVeryHostAsAPeerWould) {
  Probe probe(transfer_, state_, self_);
  EXPECT_FALSE(probe.is_running());
  probe.start(into());
  EXPECT_TRUE(probe.is_running());
  const auto pulls = transfer_.pulls_of("probe");
  ASSERT_THAT(pulls, SizeIs(1));
  EXPECT_EQ(pulls.front().source, self_);
  EXPECT_EQ(pulls.front().folder, ".libsync");
  EXPECT_EQ(pulls.front().into, into());
  EXPECT_EQ(fault_of(probe), std::nullopt);
  EXPECT_FALSE(probe.is_running());
}

TEST_F(ProbeTest, NamesWhyItsTransferFailed) {
  Probe probe(transfer_, state_, self_);
  transfer_.silence(self_);
  probe.start(into());
  const auto pull = transfer_.started().back().id;
  const auto fault = fault_of(probe);
  ASSERT_TRUE(fault);
  EXPECT_NE(*fault, "");
  EXPECT_FALSE(probe.owns(pull)) << "it has ended";
}

TEST_F(ProbeTest, TriesAgainWhileNoConnectionIsFree) {
  for (std::size_t nth = 1; nth <= 9; ++nth) transfer_.end_as(nth, PullEnd::busy);
  Probe probe(transfer_, state_, self_);
  probe.start(into());
  EXPECT_EQ(fault_of(probe), std::nullopt);
  EXPECT_THAT(transfer_.pulls_of("probe"), SizeIs(10));
}

TEST_F(ProbeTest, ADaemonThatNeverHasAFreeConnectionIsAtFault) {
  Probe probe(transfer_, state_, self_);
  for (int times = 1; times <= 2; ++times) {
    for (std::size_t nth = 1; nth <= 10; ++nth) transfer_.end_as(nth, PullEnd::busy);
    probe.start(into());
    const auto fault = fault_of(probe);
    ASSERT_TRUE(fault);
    EXPECT_NE(*fault, "");
    EXPECT_EQ(probe.due(), Instant::max());
    EXPECT_THAT(transfer_.pulls_of("probe"), SizeIs(10 * times));
  }
}

TEST_F(ProbeTest, FindsAModuleThatExportsAnotherFolder) {
  TemporaryFolder other;
  write_file(other.path() / ".libsync" / "probe", "the probe of another repo, as long as ours.");
  transfer_.serve(self_, other.path());
  Probe probe(transfer_, state_, self_);
  probe.start(into());
  const auto fault = fault_of(probe);
  ASSERT_TRUE(fault);
}

TEST_F(ProbeTest, DoesNotBelieveAFileOfTheSameLengthThatIsNotItsOwn) {
  TemporaryFolder other;
  Probe probe(transfer_, state_, self_);
  transfer_.serve(self_, other.path());
  write_file(other.path() / ".libsync" / "probe", std::string(32, 'x'));
  probe.start(into());
  const auto fault = fault_of(probe);
  ASSERT_TRUE(fault);
  EXPECT_THAT(*fault, HasSubstr("--repo"));
}

TEST_F(ProbeTest, DoesNotBelieveTheFileOfAnEarlierProbe) {
  Probe first(transfer_, state_, self_);
  first.start(into());
  EXPECT_EQ(fault_of(first), std::nullopt);
  Probe second(transfer_, state_, self_);
  transfer_.end_as(1, PullEnd::good);  // rsync exits with 0, and brings nothing.
  second.start(into());
  EXPECT_TRUE(fault_of(second));
}

TEST_F(ProbeTest, DoesNotOwnTheTransfersOfOthers) {
  Probe probe(transfer_, state_, self_);
  EXPECT_FALSE(probe.owns(0));
  probe.start(into());
  const auto own = transfer_.started().back().id;
  EXPECT_TRUE(probe.owns(own));
  EXPECT_FALSE(probe.owns(own + 1));
}

// The n-th call of the transfer fails, for every n; then a host that tries again is served.
TEST_F(ProbeTest, AfterAFailureOfAnyCallTheNextProbeIsRight) {
  std::size_t failures = 0;
  for (std::size_t nth = 1;; ++nth) {
    SCOPED_TRACE("call " + std::to_string(nth));
    const auto before = transfer_.faults.failed();
    transfer_.faults.fail(nth, Lost::call);
    try {
      Probe probe(transfer_, state_, self_);
      probe.start(into());
      static_cast<void>(fault_of(probe));
    } catch (const Failure&) {
    }
    if (transfer_.faults.failed() == before) break;
    ++failures;
    transfer_.end_all();
    Probe next(transfer_, state_, self_);
    next.start(into());
    EXPECT_EQ(fault_of(next), std::nullopt);
    EXPECT_FALSE(next.is_running());
  }
  EXPECT_GE(failures, 3U) << "start, collect with the file, collect with the end";
}

// The n-th transfer ends in each way, with and without its file.
TEST_F(ProbeTest, EveryEndButTheGoodOneIsAFault) {
  for (const auto end : {PullEnd::unreachable, PullEnd::refused, PullEnd::missing, PullEnd::corrupt,
                         PullEnd::local}) {
    for (const std::size_t files : {0U, 1U}) {
      transfer_.end_as(1, end, files);
      Probe probe(transfer_, state_, self_);
      probe.start(into());
      EXPECT_TRUE(fault_of(probe));
      EXPECT_FALSE(probe.is_running());
    }
  }
}

}  // namespace
}  // namespace libsync::test
