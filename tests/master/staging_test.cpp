// Staging alone, with a fake Redis and a fake transfer: its announcements, the pieces of an earlier
// tick, and its state after each failing call.

#include "master/staging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "libsync/core/run_record.h"
#include "master_world.h"
#include "os/files.h"
#include "test_process.h"

namespace libsync::test {
namespace {

using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using namespace std::chrono_literals;

/// A world in which a run has begun, and no piece is staged.
class StagingWorld : public MasterWorld {
 public:
  explicit StagingWorld(OriginKind kind = OriginKind::master) {
    if (kind == OriginKind::minion) {
      transfer.serve(target, pushed_repo.path());
      config.push_to = target;
    }
    const auto found = records_.find(test_task());
    const auto made =
        make_run(std::get<Original>(found), terms_of(config, kMasterHost, state->master_id()),
                 [](const Fingerprint&) { return std::nullopt; });
    run.emplace(std::get<NewRun>(made));
    records_.prepare(*run, std::get<Original>(found).payload.stamps);
    static_cast<void>(shared.begin(run->info, 2, {1, {}}, TaskKey::leave, Spread::claims));
  }

  [[nodiscard]] TaskPath test_task() const {
    return std::get<TaskPath>(TaskPath::parse(task().string()));
  }

  /// The payload, if it is unchanged since the run was prepared.
  [[nodiscard]] std::optional<Original> original() const {
    return records_.unchanged_original(run->record, Needed::no);
  }
  /// The payload as it is now, changed or not.
  [[nodiscard]] Original original_now() const {
    return std::get<Original>(records_.find(test_task()));
  }

  [[nodiscard]] Staging staging(std::optional<Original> from) {
    return {coordinator, transfer, clock, *state, run->info, std::move(from)};
  }

  /// Steps until the end, through any outage of Redis.
  [[nodiscard]] StagingEnd finish(Staging& staging) {
    for (int i = 0; i < 2000; ++i) {
      try {
        if (const auto end = staging.step()) return *end;
      } catch (const Failure& failure) {
        if (failure.status() != ExitStatus::redis) throw;
      }
      std::vector<int> descriptors;
      staging.append_descriptors(descriptors);
      clock.wait(std::min(staging.next_due(), clock.now() + 100ms), descriptors);
    }
    ADD_FAILURE() << "it does not end";
    return StagingStale{};
  }
  [[nodiscard]] StagingEnd stage_all() {
    auto all = staging(original());
    return finish(all);
  }

  [[nodiscard]] Spool spool() const { return state->spool(run->info.fingerprint); }

  void expect_staged() {
    ASSERT_TRUE(shared.run());
    EXPECT_EQ(shared.run()->info.state, RunState::staged);
    expect_right_digests(shared.run()->announced);
    const CutPayload cut(task(), kMasterPieceBytes);
    for (PieceNumber piece = 0; piece < cut.pieces(); ++piece) {
      EXPECT_EQ(content_of(spool().piece_path(piece)), cut.piece(piece)) << piece;
    }
    const auto record = read_staging_record(spool());
    EXPECT_TRUE(record.is_complete);
    EXPECT_EQ(record.digests, shared.run()->announced);
  }

  TemporaryFolder pushed_repo;
  const Address target = Address::parse("10.0.0.9").value();
  std::optional<NewRun> run;

 private:
  MasterRecords records_{*state, config.host.repo, config.host.prefix, config.source_roots};
};

class StagingTest : public testing::Test, protected StagingWorld {};

/// The same with a push to another host.
class PushedStagingTest : public testing::Test, protected StagingWorld {
 protected:
  PushedStagingTest() : StagingWorld(OriginKind::minion) {}
};

TEST_F(StagingTest, AnnouncesEveryPieceAndStagesTheRunWithTheLast) {
  const auto end = stage_all();
  ASSERT_TRUE(std::holds_alternative<StagedAll>(end));
  EXPECT_EQ(std::get<StagedAll>(end).bytes, 2600U);
  expect_staged();
}

// One piece of many GB is copied and hashed for minutes. Here a file has changed, so some bytes are
// missing for ever.
TEST_F(StagingTest, SaysHowManyBytesAreCopiedAndHashed) {
  auto from = original();
  write_file(task() / "b", random_bytes(900, 99));
  auto all = staging(std::move(from));
  EXPECT_TRUE(
      eventually([&] { return all.work() == "copied 1.7 kB and hashed 1 kB of 2.6 kB"; }, 20s))
      << all.work();
  static_cast<void>(finish(all));
}

TEST_F(StagingTest, SaysHowFarTheSecondListingIs) {
  auto all = staging(original());
  const auto is_listing = [&] { return all.work().starts_with("listing the payload again, "); };
  for (int i = 0; i < 2000 && !is_listing(); ++i) {
    EXPECT_FALSE(all.step());
    if (is_listing()) break;
    std::vector<int> descriptors;
    all.append_descriptors(descriptors);
    clock.wait(clock.now() + 100ms, descriptors);
  }
  EXPECT_TRUE(
      eventually([&] { return all.work() == "listing the payload again, 3 of 3 entries"; }, 20s))
      << all.work();
  EXPECT_TRUE(std::holds_alternative<StagedAll>(finish(all)));
  EXPECT_EQ(all.work(), "");
}

TEST_F(StagingTest, AnnouncesAPieceOnlyOnceItIsServable) {
  coordinator.faults.at_call = [this](std::string_view verb) {
    if (verb != "stage") return;
    const auto record = read_staging_record(spool());
    for (const auto& [piece, staged] : record.digests) {
      EXPECT_EQ(digest_of(content_of(spool().piece_path(piece))), staged.digest) << piece;
    }
    EXPECT_FALSE(record.digests.empty()) << "on record before it is announced";
  };
  EXPECT_TRUE(std::holds_alternative<StagedAll>(stage_all()));
}

TEST_F(StagingTest, NeverStagesAPayloadWhoseFileHasChanged) {
  auto from = original();
  write_file(task() / "b", random_bytes(900, 99));
  auto all = staging(std::move(from));
  const auto end = finish(all);
  ASSERT_TRUE(std::holds_alternative<OriginalChanged>(end));
  EXPECT_THAT(std::get<OriginalChanged>(end).reason, HasSubstr("model.7/b' changed"));
  EXPECT_EQ(shared.run()->info.state, RunState::staging);
}

// Three changes would refuse the task. A process that runs out of descriptors, at any of its
// files, is no change.
TEST_F(StagingTest, AnErrorOfThisProcessIsNoChangeOfThePayload) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  int failures = 0;
  for (int left = 0; left < 6; ++left) {
    SCOPED_TRACE(left);
    auto all = staging(original());
    const int next = dup(0);
    close(next);
    const rlimit few{static_cast<rlim_t>(next + left), before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    try {
      const auto end = finish(all);
      EXPECT_FALSE(std::holds_alternative<OriginalChanged>(end));
    } catch (const Failure& failure) {
      ++failures;
      EXPECT_EQ(failure.status(), ExitStatus::local);
      EXPECT_THAT(failure.what(), HasSubstr("raise the limit of open files"));
    }
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    std::filesystem::remove(spool().digests_path());
    for (PieceNumber piece = 0; piece < 3; ++piece) {
      std::filesystem::remove(spool().piece_path(piece));
    }
    shared.run()->announced.clear();
    shared.run()->info.state = RunState::staging;
  }
  EXPECT_GE(failures, 1);
}

TEST_F(StagingTest, HoldsTheLastPieceBackUntilThePayloadWasListedAgain) {
  auto from = original();
  write_file(task() / "new", "");  // An empty file, so no piece changes.
  auto all = staging(std::move(from));
  const auto end = finish(all);
  ASSERT_TRUE(std::holds_alternative<OriginalChanged>(end));
  EXPECT_EQ(shared.run()->info.state, RunState::staging);
  EXPECT_LT(shared.run()->announced.size(), 3U);
  EXPECT_FALSE(read_staging_record(spool()).is_complete);
}

TEST_F(StagingTest, EndsWhenTheRunIsOver) {
  auto all = staging(original());
  static_cast<void>(shared.end(run->info.id, "cancelled", "", TaskAfter::goes));
  EXPECT_TRUE(std::holds_alternative<StagingStale>(finish(all)));
}

// --- Pieces and records of an earlier tick ---

TEST_F(StagingTest, KeepsTheGoodPiecesOfAnEarlierTick) {
  ASSERT_TRUE(std::holds_alternative<StagedAll>(stage_all()));
  std::vector<ino_t> before;
  for (PieceNumber piece = 0; piece < 3; ++piece) {
    before.push_back(status_of(spool().piece_path(piece)).value().st_ino);
  }
  shared.run()->announced.clear();
  shared.run()->info.state = RunState::staging;
  auto again = staging(std::nullopt);
  ASSERT_TRUE(std::holds_alternative<StagedAll>(finish(again)));
  expect_staged();
  for (PieceNumber piece = 0; piece < 3; ++piece) {
    EXPECT_EQ(status_of(spool().piece_path(piece)).value().st_ino, before.at(piece)) << piece;
  }
}

TEST_F(StagingTest, CutsADamagedPieceAgainIfThePayloadIsUnchanged) {
  ASSERT_TRUE(std::holds_alternative<StagedAll>(stage_all()));
  write_file(spool().piece_path(1), std::string(kMasterPieceBytes, 'x'));
  std::filesystem::remove(spool().piece_path(2));
  ASSERT_TRUE(std::holds_alternative<StagedAll>(stage_all()));
  expect_staged();
}

TEST_F(StagingTest, ADamagedPieceWithoutAnOriginalIsAChangedOriginal) {
  ASSERT_TRUE(std::holds_alternative<StagedAll>(stage_all()));
  write_file(spool().piece_path(1), std::string(kMasterPieceBytes, 'x'));
  auto again = staging(std::nullopt);
  const auto end = finish(again);
  ASSERT_TRUE(std::holds_alternative<OriginalChanged>(end));
  EXPECT_THAT(std::get<OriginalChanged>(end).reason, HasSubstr("piece 1 of the spool is damaged"));
}

TEST_F(StagingTest, NeverAnnouncesAnotherDigestForAPieceThatIsOnRecord) {
  write_file(spool().digests_path(), "0 " + digest_of("what it was").hex() + "\n");
  const auto end = stage_all();
  ASSERT_TRUE(std::holds_alternative<OriginalChanged>(end));
  EXPECT_THAT(std::get<OriginalChanged>(end).reason, HasSubstr("since piece 0 was announced"));
  EXPECT_FALSE(shared.run()->announced.contains(0));
}

TEST_F(StagingTest, ATornRecordCountsUpToItsLastWholeLine) {
  ASSERT_TRUE(std::holds_alternative<StagedAll>(stage_all()));
  auto text = content_of(spool().digests_path());
  write_file(spool().digests_path(), text.substr(0, text.size() - 20));
  EXPECT_FALSE(read_staging_record(spool()).is_complete);
  EXPECT_EQ(read_staging_record(spool()).digests.size(), 2U);
  ASSERT_TRUE(std::holds_alternative<StagedAll>(stage_all()));
  expect_staged();
}

// --- Its own daemon ---

TEST_F(StagingTest, ReportsOnceWhyItsDaemonDoesNotServe) {
  transfer.silence(kMasterHost);
  auto all = staging(original());
  EXPECT_TRUE(std::holds_alternative<StagedAll>(finish(all))) << "that stops no staging";
  const auto fault = all.pop_probe_fault();
  ASSERT_TRUE(fault);
  EXPECT_NE(*fault, "");
  EXPECT_EQ(all.pop_probe_fault(), std::nullopt);
}

TEST_F(StagingTest, AsksItsDaemonAgainWhileNoConnectionIsFree) {
  for (const auto second : {PullEnd::good, PullEnd::unreachable}) {
    const auto pulls = transfer.pulls_of("probe").size();
    transfer.end_as(1, PullEnd::busy);
    if (second != PullEnd::good) transfer.end_as(2, second);
    auto all = staging(original());
    EXPECT_TRUE(std::holds_alternative<StagedAll>(finish(all))) << "that stops no staging";
    clock.advance(1s);
    static_cast<void>(finish(all));
    EXPECT_THAT(transfer.pulls_of("probe"), SizeIs(pulls + 2));
    EXPECT_EQ(all.pop_probe_fault().has_value(), second != PullEnd::good);
  }
}

// --- Pushed ---

TEST_F(PushedStagingTest, AnnouncesThePiecesThatTheTargetHas) {
  coordinator.faults.at_call = [this](std::string_view verb) {
    if (verb != "stage") return;
    const auto pushed = pushed_repo.path() / ".libsync" / "push" / run->info.fingerprint.text();
    EXPECT_TRUE(std::filesystem::exists(pushed / "manifest")) << "it goes with the first pieces";
  };
  ASSERT_TRUE(std::holds_alternative<StagedAll>(stage_all()));
  expect_staged();
  EXPECT_THAT(transfer.pulls_of("probe"), IsEmpty()) << "its target asks for itself";
}

TEST_F(PushedStagingTest, PushesAgainAfterAPause) {
  transfer.end_as(1, PullEnd::unreachable);
  transfer.end_as(2, PullEnd::busy);
  const auto begun = clock.now();
  ASSERT_TRUE(std::holds_alternative<StagedAll>(stage_all()));
  expect_staged();
  EXPECT_GE(clock.now() - begun, 2s);
  EXPECT_GE(transfer.started().size(), 3U);
}

TEST_F(PushedStagingTest, GivesUpAfterFivePushesInARow) {
  transfer.silence(target);
  auto all = staging(original());
  try {
    static_cast<void>(finish(all));
    ADD_FAILURE() << "it does not give up";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.status(), ExitStatus::no_source);
  }
  EXPECT_THAT(transfer.started(), SizeIs(5));
  EXPECT_THAT(shared.run()->announced, IsEmpty());
}

TEST_F(PushedStagingTest, GivesUpAtOnceIfTheTargetRefuses) {
  transfer.end_as(1, PullEnd::refused);
  auto all = staging(original());
  EXPECT_THROW(static_cast<void>(finish(all)), Failure);
  EXPECT_THAT(transfer.started(), SizeIs(1));
}

// --- Failures ---

enum class Fault { redis_call, redis_answer, transfer, disk };

struct Row {
  OriginKind kind;
  Fault fault;
  std::size_t least;
};

std::string name_of(const testing::TestParamInfo<Row>& info) {
  static const char* const faults[] = {"RedisCall", "RedisAnswer", "Transfer", "Disk"};
  return std::string(info.param.kind == OriginKind::minion ? "Pushed" : "Own") +
         faults[static_cast<int>(info.param.fault)];
}

class StagingFailures : public testing::TestWithParam<Row> {};

// Another Staging stages the rest, as in the next tick.
TEST_P(StagingFailures, OfAnyCallLeaveARunThatTheNextTickStages) {
  const auto& row = GetParam();
  std::size_t failures = 0;
  for (std::size_t nth = 1;; ++nth) {
    SCOPED_TRACE("call " + std::to_string(nth));
    StagingWorld world(row.kind);
    auto original = world.original();
    std::optional<FailingDisk> disk;
    if (row.fault == Fault::redis_call) world.coordinator.faults.fail(nth, Lost::call);
    if (row.fault == Fault::redis_answer) world.coordinator.faults.fail(nth, Lost::answer);
    if (row.fault == Fault::transfer) world.transfer.faults.fail(nth, Lost::call);
    if (row.fault == Fault::disk) disk.emplace(nth);
    try {
      auto all = world.staging(std::move(original));
      EXPECT_TRUE(std::holds_alternative<StagedAll>(world.finish(all)));
    } catch (const Failure&) {
      world.transfer.end_all();
      EXPECT_NE(row.fault, Fault::redis_call) << "its state is intact: it is stepped again";
      EXPECT_TRUE(std::holds_alternative<StagedAll>(world.stage_all()));
    }
    const bool has_failed =
        world.coordinator.faults.failed() + world.transfer.faults.failed() > 0 ||
        (disk && disk->has_failed());
    disk.reset();
    world.expect_staged();
    if (!has_failed || HasFailure()) break;
    ++failures;
  }
  EXPECT_GE(failures, row.least);
}

INSTANTIATE_TEST_SUITE_P(, StagingFailures,
                         testing::Values(Row{OriginKind::master, Fault::redis_call, 1},
                                         Row{OriginKind::master, Fault::redis_answer, 1},
                                         Row{OriginKind::master, Fault::transfer, 3},
                                         Row{OriginKind::master, Fault::disk, 15},
                                         Row{OriginKind::minion, Fault::redis_call, 1},
                                         Row{OriginKind::minion, Fault::redis_answer, 1},
                                         Row{OriginKind::minion, Fault::transfer, 4},
                                         Row{OriginKind::minion, Fault::disk, 15}),
                         name_of);

}  // namespace
}  // namespace libsync::test
