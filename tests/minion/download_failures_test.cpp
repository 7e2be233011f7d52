// The n-th call of a minion fails, for every n until no call is left. Then the next tick has to
// publish the payload as if nothing had happened.
//
// Each scenario is one run of a small payload on one host. It is played once for each n, every time
// in a world of its own.

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "minion_world.h"

namespace libsync::test {
namespace {

using namespace std::chrono_literals;

/// How the pieces reach the host, and what it has already.
enum class Course {
  claims,  ///< By claims, from two sources.
  trees,   ///< Along trees, from two parents.
  update,  ///< By claims, and some of the folder that it replaces is equal.
  moved,   ///< By claims, and a payload of another name has all but the last piece, at other
           ///< offsets.
  file,    ///< By claims, in place of a file.
  equal,   ///< All is published already, without a receipt.
  pushed,  ///< A master pushes them.
  empty,   ///< A payload without a byte.
};

/// How the ticks come.
enum class Ticks {
  of_cron,    ///< One pass each.
  lingering,  ///< One that lingers, while the master is still staging.
};

/// The kind of call that fails.
enum class Fault { redis_call, redis_answer, transfer, disk, full_disk, death, death_at_disk };

struct Row {
  Course course;
  Ticks ticks;
  Fault fault;
  std::size_t least;  ///< So many calls have to fail one after the other, or the test is no test.
};

std::string name_of(const testing::TestParamInfo<Row>& info) {
  static const char* const courses[] = {"Claims", "Trees", "Update", "Moved",
                                        "File",   "Equal", "Pushed", "Empty"};
  static const char* const ticks[] = {"Cron", "Lingering"};
  static const char* const faults[] = {"RedisCall", "RedisAnswer", "Transfer",   "Disk",
                                       "FullDisk",  "Death",       "DeathAtDisk"};
  return std::string(courses[static_cast<int>(info.param.course)]) +
         ticks[static_cast<int>(info.param.ticks)] + faults[static_cast<int>(info.param.fault)];
}

PayloadKind kind_of(Course course) {
  if (course == Course::file) return PayloadKind::file;
  return course == Course::empty ? PayloadKind::empty : PayloadKind::folder;
}

/// The process ends at a call.
struct Killed {};

class Scenario : public MinionWorld {
 public:
  explicit Scenario(const Row& row) : MinionWorld(kind_of(row.course)), row_(row) {
    hook.kind = Hook::configured;
    hook.at_run = [this] { expect_published(); };
    if (row.ticks == Ticks::lingering) config.host.linger = 15s;
    publish_former();
    if (row.course == Course::pushed) {
      begin(Spread::claims, kSelf, OriginKind::minion);
      write_pieces(spool().pushed_folder());
    } else {
      begin(row.course == Course::trees ? Spread::trees : Spread::claims);
      serve(kOrigin);
      serve(kPeer);
      offer(kPeer, {0, static_cast<PieceNumber>(cut->pieces() - 1)});
      if (row.course == Course::trees) shared.run()->parents[kSelf] = {kOrigin, kPeer};
    }
    announce(0, row.ticks == Ticks::lingering ? 1 : cut->pieces());
  }

  /// A tick in which call `nth` fails, and the next one. False if there was no such call.
  [[nodiscard]] bool play(std::size_t nth) {
    const bool has_failed = tick_with_failure(nth);
    expect_former_or_published();
    const bool may_reach_redis =
        row_.fault != Fault::redis_call && row_.fault != Fault::redis_answer && !has_died_;
    if (may_reach_redis) {
      EXPECT_EQ(shared.run()->claims_of(kSelf), 0U) << "they were given back";
    }
    if (shared.run()->info.state != RunState::staged) announce(0, cut->pieces());
    EXPECT_EQ(tick_of_next_process(), ExitStatus::done) << failure;
    expect_good_end(has_failed);
    return has_failed;
  }

  /// The same once the run is over, so that its spool has to go.
  [[nodiscard]] bool play_end(std::size_t nth) {
    EXPECT_EQ(tick_of_next_process(), ExitStatus::done) << failure;
    if (row_.course == Course::pushed) write_pieces(spool().pushed_folder());
    end_run();
    const bool has_failed = tick_with_failure(nth);
    EXPECT_EQ(tick_of_next_process(), ExitStatus::done) << failure;
    expect_swept();
    return has_failed;
  }

 private:
  [[nodiscard]] bool tick_with_failure(std::size_t nth) {
    arm(nth);
    const bool has_ended_well = one_tick() == ExitStatus::done;
    const bool has_failed = coordinator->faults.failed() + transfer.faults.failed() > 0 ||
                            (disk_ && disk_->has_failed()) || has_died_;
    disarm();
    EXPECT_TRUE(has_ended_well || has_failed) << failure;
    return has_failed;
  }

  ExitStatus tick_of_next_process() {
    restart();
    return one_tick();
  }

  void expect_good_end(bool has_failed) {
    expect_published();
    expect_finished();
    const bool are_pieces_adopted = row_.course == Course::update || row_.course == Course::equal;
    expect_served(are_pieces_adopted ? 0 : cut->pieces());
    if (row_.course == Course::equal) {
      // A payload that cannot be read is published anew.
      EXPECT_LE(hook.runs.size(), has_failed && row_.fault == Fault::disk ? 1U : 0U);
    } else {
      EXPECT_FALSE(hook.runs.empty());
      EXPECT_LE(hook.runs.size(), has_failed ? 2U : 1U);
    }
    for (const auto& path : hook.runs) EXPECT_EQ(path, destination());
    end_run();
    EXPECT_EQ(tick_of_next_process(), ExitStatus::done) << failure;
    expect_swept();
  }

  void publish_former() {
    if (row_.course == Course::equal || row_.course == Course::update) publish_copy();
    if (row_.course == Course::file) write_file(destination(), random_bytes(3000, 9));
    if (row_.course == Course::update) {
      write_file(destination() / "sub" / "b", random_bytes(1500, 9));
      write_file(destination() / "former", "it goes");
    }
    if (row_.course == Course::moved) publish_moved();
    if (std::filesystem::exists(destination())) former_.emplace(destination(), kRunPieceBytes);
  }

  /// Nobody finds a mixture at the destination, nor nothing where something was.
  void expect_former_or_published() const {
    if (!std::filesystem::exists(destination())) {
      EXPECT_FALSE(former_);
      return;
    }
    const CutPayload found(destination(), kRunPieceBytes);
    const bool is_former = former_ && found.manifest().entries() == former_->manifest().entries();
    expect_equal(destination(), is_former ? *former_ : *cut);
  }

  void arm(std::size_t nth) {
    clock.at_wait = [this] { act_for_others(); };
    switch (row_.fault) {
      case Fault::redis_call:
        return coordinator->faults.fail(nth, Lost::call);
      case Fault::redis_answer:
        return coordinator->faults.fail(nth, Lost::answer);
      case Fault::transfer:
        return transfer.faults.fail(nth, Lost::call);
      case Fault::disk:
        disk_ = std::make_unique<FailingDisk>(nth);
        return;
      case Fault::full_disk:
        disk_ = std::make_unique<FailingDisk>(nth, ENOSPC);
        return;
      case Fault::death:
        dies_at_ = nth;
        break;
      case Fault::death_at_disk:
        disk_ = std::make_unique<FailingDisk>(nth, EIO, Failing::forever);
        break;
    }
    coordinator->faults.at_call = [this](std::string_view) { die_if_due(); };
    transfer.faults.at_call = [this](std::string_view) { die_if_due(); };
    clock.at_wait = [this] {
      die_if_due();
      act_for_others();
    };
  }

  void disarm() {
    disk_.reset();
    transfer.faults.at_call = nullptr;
    clock.at_wait = [this] { act_for_others(); };
  }

  void die_if_due() {
    if (++calls_ == dies_at_ || (dies_with_disk() && disk_->has_failed())) throw Killed();
  }
  [[nodiscard]] bool dies_with_disk() const { return row_.fault == Fault::death_at_disk && disk_; }

  /// The master goes on staging, and pushes again what is missing.
  void act_for_others() {
    const auto& now = shared.run();
    if (!now) return;
    if (now->announced.size() < cut->pieces()) {
      const auto next = static_cast<PieceNumber>(now->announced.size());
      announce(next, next + 1);
    }
    if (!now->is_undelivered) return;
    write_pieces(spool().pushed_folder());
    static_cast<void>(shared.vouch(run->id));
  }

  ExitStatus one_tick() {
    try {
      return tick();
    } catch (const Killed&) {
      has_died_ = true;
      transfer.end_all();  // They die with it.
    } catch (const std::exception& error) {
      ADD_FAILURE() << "the tick ends unexpectedly: " << error.what();
    }
    return ExitStatus::local;
  }

  Row row_;
  std::optional<CutPayload> former_;
  std::unique_ptr<FailingDisk> disk_;
  std::size_t calls_ = 0;
  std::size_t dies_at_ = 0;
  bool has_died_ = false;
};

/// Plays it for every n until no call fails; returns how many failed.
std::size_t play_all(const Row& row, bool (Scenario::*play)(std::size_t)) {
  for (std::size_t nth = 1;; ++nth) {
    SCOPED_TRACE("call " + std::to_string(nth));
    Scenario scenario(row);
    const bool has_failed = (scenario.*play)(nth);
    if (testing::Test::HasFailure()) std::cerr << content_of(scenario.log_path());
    if (!has_failed || testing::Test::HasFailure()) return nth - 1;
  }
}

class MinionFailures : public testing::TestWithParam<Row> {};

TEST_P(MinionFailures, OfEachCallLeaveThatTheNextTickPublishes) {
  EXPECT_GE(play_all(GetParam(), &Scenario::play), GetParam().least);
}

INSTANTIATE_TEST_SUITE_P(
    , MinionFailures,
    testing::Values(Row{Course::claims, Ticks::of_cron, Fault::redis_call, 11},
                    Row{Course::claims, Ticks::of_cron, Fault::redis_answer, 11},
                    Row{Course::claims, Ticks::of_cron, Fault::transfer, 10},
                    Row{Course::claims, Ticks::of_cron, Fault::disk, 80},
                    Row{Course::claims, Ticks::of_cron, Fault::death, 25},
                    Row{Course::claims, Ticks::of_cron, Fault::death_at_disk, 80},
                    Row{Course::claims, Ticks::lingering, Fault::redis_call, 20},
                    Row{Course::claims, Ticks::lingering, Fault::redis_answer, 20},
                    Row{Course::claims, Ticks::lingering, Fault::disk, 80},
                    Row{Course::claims, Ticks::lingering, Fault::death, 40},
                    Row{Course::trees, Ticks::of_cron, Fault::redis_call, 5},
                    Row{Course::trees, Ticks::of_cron, Fault::redis_answer, 5},
                    Row{Course::trees, Ticks::of_cron, Fault::transfer, 15},
                    Row{Course::trees, Ticks::of_cron, Fault::death, 20},
                    Row{Course::update, Ticks::of_cron, Fault::redis_answer, 9},
                    Row{Course::update, Ticks::of_cron, Fault::full_disk, 75},
                    Row{Course::update, Ticks::of_cron, Fault::death, 30},
                    Row{Course::update, Ticks::of_cron, Fault::death_at_disk, 75},
                    Row{Course::moved, Ticks::of_cron, Fault::full_disk, 80},
                    Row{Course::moved, Ticks::of_cron, Fault::death, 20},
                    Row{Course::moved, Ticks::of_cron, Fault::death_at_disk, 80},
                    Row{Course::file, Ticks::of_cron, Fault::disk, 65},
                    Row{Course::equal, Ticks::of_cron, Fault::redis_call, 5},
                    Row{Course::equal, Ticks::of_cron, Fault::disk, 25},
                    Row{Course::pushed, Ticks::of_cron, Fault::redis_answer, 8},
                    Row{Course::pushed, Ticks::of_cron, Fault::disk, 70},
                    Row{Course::pushed, Ticks::of_cron, Fault::death_at_disk, 70},
                    Row{Course::empty, Ticks::of_cron, Fault::redis_answer, 7},
                    Row{Course::empty, Ticks::of_cron, Fault::death_at_disk, 40}),
    name_of);

class SweepFailures : public testing::TestWithParam<Row> {};

TEST_P(SweepFailures, OfEachCallLeaveThatTheNextTickSweepsTheSpool) {
  EXPECT_GE(play_all(GetParam(), &Scenario::play_end), GetParam().least);
}

INSTANTIATE_TEST_SUITE_P(
    , SweepFailures,
    testing::Values(Row{Course::claims, Ticks::of_cron, Fault::redis_call, 1},
                    Row{Course::claims, Ticks::of_cron, Fault::redis_answer, 1},
                    Row{Course::pushed, Ticks::of_cron, Fault::disk, 12},
                    Row{Course::pushed, Ticks::of_cron, Fault::death_at_disk, 12}),
    name_of);

}  // namespace
}  // namespace libsync::test
