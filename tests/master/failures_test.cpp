// The n-th call of a master fails, for every n up to the last call. The next ticks must then end
// the run as if no call had failed.
//
// Each scenario is one run of a small payload from its task to its end. The test plays it once for
// each n, each time in a world of its own.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "failing_disk.h"
#include "master_world.h"

namespace libsync::test {
namespace {

using namespace std::chrono_literals;

/// The way in which the run ends.
enum class Ending {
  complete,  ///< The minion finishes, and no spool stays.
  pushed,    ///< The same, and another host is the origin.
  deadline,  ///< A host never comes, and the spool stays until the next run.
};

/// The kind of the ticks.
enum class Ticks {
  of_cron,    ///< One pass each; the minion acts in between.
  lingering,  ///< One tick that lingers: an outage of Redis passes within it.
};

/// The kind of call that fails.
enum class Fault { redis_call, redis_answer, transfer, disk, death };

struct Row {
  Ending ending;
  Ticks ticks;
  Fault fault;
  std::size_t least;  ///< Fewer failed calls than this mean that the test tests nothing.
};

std::string name_of(const testing::TestParamInfo<Row>& info) {
  static const char* const endings[] = {"Complete", "Pushed", "Deadline"};
  static const char* const ticks[] = {"Cron", "Lingering"};
  static const char* const faults[] = {"RedisCall", "RedisAnswer", "Transfer", "Disk", "Death"};
  return std::string(endings[static_cast<int>(info.param.ending)]) +
         ticks[static_cast<int>(info.param.ticks)] + faults[static_cast<int>(info.param.fault)];
}

class Scenario : public MasterWorld {
 public:
  explicit Scenario(const Row& row) : row_(row) {
    if (row.ending == Ending::pushed) {
      const auto target = Address::parse("10.0.0.9").value();
      transfer.serve(target, target_.path());
      config.push_to = target;
    }
    if (row.ending == Ending::deadline) {
      // Long, since each wait for the disk of a busy machine may pass a second of this clock.
      config.deadline = 1h;
      config.inventory = {kMinionHost, Address::parse("10.0.0.3").value()};
    }
    if (row.ticks == Ticks::lingering) config.host.linger = 2s;
    set_task();
  }

  /// Plays the scenario, in which call `nth` fails. False if there was no such call.
  [[nodiscard]] bool play(std::size_t nth) {
    std::unique_ptr<FailingDisk> disk;
    switch (row_.fault) {
      case Fault::redis_call:
        coordinator.faults.fail(nth, Lost::call);
        break;
      case Fault::redis_answer:
        coordinator.faults.fail(nth, Lost::answer);
        break;
      case Fault::transfer:
        transfer.faults.fail(nth, Lost::call);
        break;
      case Fault::disk:
        disk = std::make_unique<FailingDisk>(nth);
        break;
      case Fault::death:
        dies_at_ = nth;
        break;
    }
    clock.at_wait = [this] { wait(); };
    constexpr int kTicks = 6;
    for (int i = 0; i < kTicks && shared.ended().empty(); ++i) {
      one_tick();
      fleet().act();
      if (row_.ending == Ending::deadline) clock.advance(20min);
    }
    // One more tick, which only sweeps the leftovers of the last one.
    one_tick();
    return coordinator.faults.failed() + transfer.faults.failed() > 0 ||
           (disk && disk->has_failed()) || has_died_;
  }

  void expect_good_end() {
    ASSERT_EQ(shared.ended().size(), 1U);
    const auto& end = shared.ended().front();
    EXPECT_EQ(shared.begun().size(), 1U) << "it is one run, whatever fails";
    // A tick that died while it ended a run has recorded that the run ends short, not why.
    EXPECT_TRUE(row_.ending != Ending::deadline
                    ? end.outcome == "complete"
                    : end.outcome == "deadline" || end.outcome == "abandoned")
        << end.outcome;
    expect_right_digests(end.announced);
    EXPECT_EQ(shared.task, std::nullopt);
    EXPECT_EQ(shared.lookups(), 0U);
    EXPECT_TRUE(shared.refusals().empty());
    if (row_.ending == Ending::deadline) {
      EXPECT_EQ(end.missing, std::vector<std::string>{"10.0.0.3"});
      ASSERT_EQ(records().size(), 1U);
      EXPECT_EQ(records().front().standing, Standing::ended_short);
    } else {
      EXPECT_TRUE(records().empty());
    }
    for (const auto& entry : std::filesystem::directory_iterator(repo() / ".libsync")) {
      EXPECT_FALSE(entry.path().filename().string().starts_with("gone-")) << entry.path();
    }
  }

 private:
  void one_tick() {
    try {
      static_cast<void>(tick());
    } catch (const Killed&) {
      has_died_ = true;
      transfer.end_all();  // The transfers die with the process.
    }
  }

  void wait() {
    if (++waits_ == dies_at_) throw Killed();
    if (row_.ticks == Ticks::lingering) fleet().act();
  }

  [[nodiscard]] FakeMinion& fleet() { return row_.ending == Ending::pushed ? pushed_ : minion; }

  Row row_;
  TemporaryFolder target_;
  FakeMinion pushed_{shared, target_.path() / ".libsync" / "push"};
  std::size_t waits_ = 0;
  std::size_t dies_at_ = 0;
  bool has_died_ = false;
};

class MasterFailures : public testing::TestWithParam<Row> {};

TEST_P(MasterFailures, OfAnyCallLeaveARunThatTheNextTickEndsWell) {
  std::size_t failures = 0;
  for (std::size_t nth = 1;; ++nth) {
    SCOPED_TRACE("call " + std::to_string(nth));
    Scenario scenario(GetParam());
    const bool has_failed = scenario.play(nth);
    scenario.expect_good_end();
    if (HasFailure()) std::cerr << content_of(scenario.log_path());
    if (!has_failed || HasFailure()) break;
    ++failures;
  }
  EXPECT_GE(failures, GetParam().least);
}

INSTANTIATE_TEST_SUITE_P(
    , MasterFailures,
    testing::Values(Row{Ending::complete, Ticks::of_cron, Fault::redis_call, 12},
                    Row{Ending::complete, Ticks::of_cron, Fault::redis_answer, 12},
                    Row{Ending::complete, Ticks::of_cron, Fault::transfer, 3},
                    Row{Ending::complete, Ticks::of_cron, Fault::disk, 50},
                    Row{Ending::complete, Ticks::of_cron, Fault::death, 1},
                    Row{Ending::complete, Ticks::lingering, Fault::redis_call, 20},
                    Row{Ending::complete, Ticks::lingering, Fault::redis_answer, 20},
                    Row{Ending::complete, Ticks::lingering, Fault::death, 8},
                    Row{Ending::pushed, Ticks::of_cron, Fault::redis_answer, 12},
                    Row{Ending::pushed, Ticks::of_cron, Fault::transfer, 4},
                    Row{Ending::pushed, Ticks::of_cron, Fault::disk, 50},
                    Row{Ending::deadline, Ticks::of_cron, Fault::redis_call, 15},
                    Row{Ending::deadline, Ticks::of_cron, Fault::redis_answer, 15},
                    Row{Ending::deadline, Ticks::of_cron, Fault::disk, 45}),
    name_of);

}  // namespace
}  // namespace libsync::test
