// A master with a fake fleet: the runs that it begins and ends, its counts and its log.

#include "master/master.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "master/new_run.h"
#include "master_world.h"
#include "os/files.h"
#include "task_path.h"

namespace libsync::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;
using namespace std::chrono_literals;

class MasterTick : public testing::Test, protected MasterWorld {
 protected:
  /// Runs one-pass ticks, and the minion in between, until a run has ended.
  void tick_until_ended() {
    for (int i = 0; i < 6 && shared.ended().empty(); ++i) {
      static_cast<void>(tick());
      minion.act();
    }
    ASSERT_THAT(shared.ended(), SizeIs(1));
  }

  /// Runs a tick that stages the run. The fleet has not acted yet.
  void begin_run() {
    set_task();
    EXPECT_EQ(tick(), ExitStatus::done);
    ASSERT_TRUE(shared.run());
    ASSERT_EQ(shared.run()->info.state, RunState::staged);
  }

  [[nodiscard]] std::filesystem::path piece(PieceNumber number) {
    return state->spool(shared.run()->info.fingerprint).piece_path(number);
  }
};

// --- A run from task to end ---

TEST_F(MasterTick, DistributesATaskAndEndsTheRunWhenItsMinionHasFinished) {
  set_task();
  clock.at_wait = [this] { minion.act(); };
  config.host.linger = 3s;
  EXPECT_EQ(tick(), ExitStatus::done);
  ASSERT_THAT(shared.ended(), SizeIs(1));
  EXPECT_EQ(shared.ended().front().outcome, "complete");
  expect_right_digests(shared.ended().front().announced);
  EXPECT_EQ(shared.task, std::nullopt);
  EXPECT_THAT(records(), IsEmpty());
  EXPECT_EQ(logged("file_name: " + task().string()), 2U) << "once found, once ended";
  EXPECT_EQ(logged("found new task, start rsync and set redis queue"), 1U);
  EXPECT_EQ(logged("mission complete, clean task and queue"), 1U);
}

// A folder of 100,000 files is listed for minutes before the run begins.
TEST_F(MasterTick, ShowsHowFarAListingIs) {
  for (int i = 0; i < 20; ++i) write_file(task() / ("file" + std::to_string(i)), "x");
  set_task();
  std::string work;
  std::string log;
  coordinator.faults.at_call = [&](std::string_view verb) {
    if (verb != "begin") return;
    work = shared.pulse().work;
    log = content_of(log_path());
    clock.pass_at_each_reading(0s);
  };
  clock.pass_at_each_reading(1s);
  static_cast<void>(tick());
  EXPECT_EQ(work, "reading the attributes of the payload, 20 entries so far");
  EXPECT_THAT(log, HasSubstr("listing the payload, 11 entries so far\n"));
  EXPECT_THAT(log, HasSubstr("listing the payload, 20 entries so far\n"));
  EXPECT_THAT(log, Not(HasSubstr(" 12 entries so far\n")));
  EXPECT_THAT(shared.works_shown(), Contains("listing the payload, 11 entries so far").Times(1));
}

// The entries of a refused task show no work for half a minute.
TEST_F(MasterTick, ShowsNoListingThatIsOver) {
  for (int i = 0; i < 20; ++i) write_file(task() / ("file" + std::to_string(i)), "x");
  std::filesystem::create_directory(task() / "folder");
  ASSERT_EQ(mkfifo((task() / "folder" / "fifo").c_str(), 0600), 0);
  set_task();
  config.host.linger = 5s;
  coordinator.faults.at_call = [&](std::string_view verb) {
    if (verb == "refuse") clock.pass_at_each_reading(0s);
  };
  clock.pass_at_each_reading(1s);
  static_cast<void>(tick());
  EXPECT_THAT(shared.refusals(), SizeIs(1));
  ASSERT_THAT(shared.works_shown(), Not(IsEmpty()));
  EXPECT_EQ(shared.works_shown().back(), "");
}

TEST_F(MasterTick, ShowsTheWorkOfStagingUntilItIsOver) {
  config.push_to = kMinionHost;  // The push never ends.
  set_task();
  coordinator.faults.at_call = [&](std::string_view verb) {
    if (verb == "watch" && !shared.works_shown().empty()) shared.task.reset();
  };
  static_cast<void>(tick());
  EXPECT_THAT(shared.works_shown(), ElementsAre(StartsWith("pushing "), ""));
  EXPECT_EQ(logged("staged 0 of 3 pieces, pushing "), 1U);
}

// The account is for people, and so is this.
TEST_F(MasterTick, GoesOnWithoutTheRightToShowItsWork) {
  for (int i = 0; i < 20; ++i) write_file(task() / ("file" + std::to_string(i)), "x");
  for (std::size_t nth = 1; nth < 9; ++nth) coordinator.faults.fail(nth, Lost::call, "show_work");
  set_task();
  clock.pass_at_each_reading(1s);
  coordinator.faults.at_call = [&](std::string_view verb) {
    if (verb == "begin") clock.pass_at_each_reading(0s);
  };
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_THAT(shared.begun(), SizeIs(1));
}

TEST_F(MasterTick, NeedsNoMasterBetweenTwoTicks) {
  set_task();
  tick_until_ended();
  EXPECT_EQ(shared.ended().front().outcome, "complete");
  EXPECT_EQ(shared.lookups(), 0U);
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_THAT(shared.begun(), SizeIs(1)) << "a run that ended is not begun again";
  EXPECT_THAT(records(), IsEmpty());
  EXPECT_EQ(logged("no task, exit"), 1U);
}

TEST_F(MasterTick, AnnouncesTheRunAsConfigured) {
  config.inventory = {kMinionHost};
  config.host.slots = 7;
  begin_run();
  const auto& run = *shared.run();
  EXPECT_EQ(run.info.task.text(), task().string());
  EXPECT_EQ(run.info.origin, kMasterHost);
  EXPECT_EQ(run.info.origin_kind, OriginKind::master);
  EXPECT_EQ(run.info.master, state->master_id());
  EXPECT_EQ(run.info.cut, (Cut{2600, kMasterPieceBytes}));
  EXPECT_THAT(run.expected_hosts, ElementsAre(kMinionHost.text()));
  EXPECT_EQ(shared.run()->host(kMasterHost).slots, 7U);
  const auto encoded = content_of(state->spool(run.info.fingerprint).manifest_path());
  EXPECT_EQ(run.info.manifest, digest_of(encoded));
  EXPECT_EQ(run.info.manifest_bytes, encoded.size());
  ASSERT_THAT(records(), SizeIs(1));
  EXPECT_EQ(records().front().standing, Standing::running);
  EXPECT_EQ(records().front().run, run.info.id);
}

TEST_F(MasterTick, PushesToAHostThatServesThePieces) {
  TemporaryFolder target;
  const auto other = Address::parse("10.0.0.9").value();
  transfer.serve(other, target.path());
  config.push_to = other;
  set_task();
  static_cast<void>(tick());
  ASSERT_TRUE(shared.run());
  EXPECT_EQ(shared.run()->info.origin, other);
  EXPECT_EQ(shared.run()->info.origin_kind, OriginKind::minion);
  EXPECT_EQ(shared.run()->host(other).slots, 0U) << "it offers its slots itself";
  expect_right_digests(shared.run()->announced);
  FakeMinion pushed(shared, target.path() / ".libsync" / "push");
  pushed.act();
  static_cast<void>(tick());
  ASSERT_THAT(shared.ended(), SizeIs(1));
  EXPECT_EQ(shared.ended().front().outcome, "complete");
}

TEST_F(MasterTick, CountsAndLogsATaskThatIsSetBetweenDiscoverAndWatch) {
  coordinator.faults.at_call = [this](std::string_view verb) {
    if (verb == "watch" && shared.begun().empty()) set_task();
  };
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_THAT(shared.begun(), SizeIs(1));
  EXPECT_EQ(shared.lookups(), 1U);
  EXPECT_EQ(logged("file_name: " + task().string()), 1U);
  EXPECT_EQ(logged("no task, exit"), 0U);
}

TEST_F(MasterTick, CountsAndLogsATaskThatReplacesTheOneItFound) {
  const auto other = (folder.path() / "data" / "model.8").string();
  write_file(other, "another payload");
  set_task();
  coordinator.faults.at_call = [&](std::string_view verb) {
    if (verb == "watch" && shared.begun().empty()) shared.task = other;
  };
  EXPECT_EQ(tick(), ExitStatus::done);
  ASSERT_THAT(shared.begun(), SizeIs(1));
  EXPECT_EQ(shared.begun().front().task.text(), other);
  EXPECT_EQ(logged("file_name: " + other), 1U);
  EXPECT_EQ(shared.lookups(), 2U) << "one for each";
}

TEST_F(MasterTick, ALingeringTickCountsEachTaskOnce) {
  config.host.linger = 5s;
  int waits = 0;
  clock.at_wait = [&] {
    if (++waits == 3) set_task();
  };
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_THAT(shared.begun(), SizeIs(1));
  EXPECT_EQ(shared.lookups(), 1U);
  EXPECT_EQ(logged("file_name: "), 1U);
}

// --- Tasks that cannot be distributed ---

TEST_F(MasterTick, RefusesATextThatIsNoTask) {
  for (const std::string bad : {"relative", "/data/../model", "/data/nothing/there"}) {
    shared.task = bad;
    EXPECT_EQ(tick(), ExitStatus::ended_short) << bad;
    EXPECT_EQ(shared.task, std::nullopt) << bad;
    EXPECT_EQ(logged("file_name: " + bad), 1U);
  }
  EXPECT_THAT(shared.refusals(), SizeIs(3));
  EXPECT_THAT(shared.begun(), IsEmpty());
  EXPECT_THAT(records(), IsEmpty());
}

TEST_F(MasterTick, RefusesATaskThatWaitsAndLetsTheRunGoOn) {
  begin_run();
  for (const std::string bad : {"relative", "/data/nothing/there"}) {
    shared.task = bad;
    EXPECT_EQ(tick(), ExitStatus::ended_short);
    EXPECT_EQ(shared.task, task().string()) << "the run would be cancelled";
  }
  EXPECT_THAT(shared.refusals(), SizeIs(2));
  minion.act();
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(shared.ended().at(0).outcome, "complete");
}

TEST_F(MasterTick, RefusesAnEmptyTaskAndLetsTheRunGoOn) {
  shared.task = "";
  EXPECT_EQ(tick(), ExitStatus::ended_short);
  EXPECT_EQ(shared.task, std::nullopt);
  begin_run();
  shared.task = "";
  EXPECT_EQ(tick(), ExitStatus::ended_short);
  EXPECT_EQ(shared.task, task().string());
  EXPECT_THAT(shared.refusals(), SizeIs(2));
  EXPECT_THAT(shared.ended(), IsEmpty());
  minion.act();
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(shared.ended().at(0).outcome, "complete");
}

TEST_F(MasterTick, DropsOneTrailingSlash) {
  shared.task = task().string() + "/";
  EXPECT_EQ(tick(), ExitStatus::done);
  ASSERT_TRUE(shared.run());
  EXPECT_EQ(shared.run()->info.task.text(), task().string());
  EXPECT_EQ(logged("the trailing slash of the task is dropped"), 1U);
  minion.act();
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(shared.task, std::nullopt) << "it was the task of this run";
}

TEST_F(MasterTick, NamesAKeyTaskOfAnotherTypeAndLetsTheRunGoOn) {
  begin_run();
  shared.task_type = "list";
  EXPECT_EQ(tick(), ExitStatus::redis);
  EXPECT_EQ(logged("the key task holds a list and no path: delete it with redis-cli del task"), 1U);
  EXPECT_THAT(shared.ended(), IsEmpty());
  minion.act();
  EXPECT_EQ(tick(), ExitStatus::redis);
  EXPECT_EQ(shared.ended().at(0).outcome, "complete");
}

TEST_F(MasterTick, WarnsOfClaimsThatCostRedisTooMuch) {
  config.spread = Spread::claims;
  config.minions = 2000;
  config.piece_size.bytes = 10;
  set_task();
  static_cast<void>(tick());
  EXPECT_EQ(logged("--spread claims with 2000 hosts and 260 pieces costs Redis about 182 s"), 1U);
  EXPECT_EQ(warning_of_claims(Spread::claims, {512, 1}, 195), "");
  EXPECT_EQ(warning_of_claims(Spread::automatic, {4096, 1}, 1000), "");
}

TEST(WarningOfLosses, IsOneLineThatCountsAndEscapes) {
  const auto task = task_path(
      "/data/\x9b"
      "31m");
  EXPECT_EQ(warning_of_losses(task, 0, {}), "");
  EXPECT_EQ(warning_of_losses(task, 0, {.capabilities = 1}),
            "'/data/\\x9b31m' loses what is not carried: the capabilities of 1 files (first "
            "'\\x9b31m')");
  EXPECT_EQ(warning_of_losses(task, 2, {1, 0, 3, "a\n<script>"}),
            "'/data/\\x9b31m' loses what is not carried: the ACLs of 1 files, the extended "
            "attributes of 3 files (first 'a\\n<script>'), hard links (2 files have more than one "
            "name: each name becomes a file of its own)");
}

TEST_F(MasterTick, RefusesACutOfTooManyPieces) {
  config.piece_size.bytes = 1;
  write_file(task() / "c", std::string(kMaxPieces, 'c'));
  set_task();
  EXPECT_EQ(tick(), ExitStatus::ended_short);
  EXPECT_THAT(shared.refusals(), ElementsAre(testing::HasSubstr("--piece-size")));
}

TEST_F(MasterTick, RefusesAPayloadThatKeepsChangingAfterThreeAttempts) {
  set_task();
  unsigned writes = 0;
  coordinator.faults.at_call = [&](std::string_view verb) {
    if (verb == "begin") write_file(task() / "a", random_bytes(1700, 100 + ++writes));
  };
  EXPECT_EQ(tick(), ExitStatus::ended_short);
  EXPECT_THAT(shared.ended(), SizeIs(3));
  for (const auto& ended : shared.ended()) EXPECT_EQ(ended.outcome, "changed");
  EXPECT_THAT(shared.refusals(), SizeIs(1));
  EXPECT_EQ(shared.task, std::nullopt);
  EXPECT_THAT(records(), IsEmpty());
}

// --- Runs that end short ---

TEST_F(MasterTick, ACancelledRunKeepsItsSpoolUntilTheNextRun) {
  begin_run();
  shared.task.reset();
  EXPECT_EQ(tick(), ExitStatus::ended_short);
  EXPECT_EQ(shared.ended().at(0).outcome, "cancelled");
  ASSERT_THAT(records(), SizeIs(1));
  EXPECT_EQ(records().front().standing, Standing::ended_short);
  EXPECT_EQ(tick(), ExitStatus::done) << "it is not begun again";
  EXPECT_THAT(shared.begun(), SizeIs(1));
  write_file(folder.path() / "data" / "model.8", "the next payload");
  shared.task = (folder.path() / "data" / "model.8").string();
  static_cast<void>(tick());
  ASSERT_THAT(records(), SizeIs(1));
  EXPECT_EQ(records().front().task.text(), *shared.task);
}

TEST_F(MasterTick, TheSameTaskAgainReusesThePiecesOfARunThatEndedShort) {
  begin_run();
  const auto inode = status_of(piece(1)).value().st_ino;
  shared.task.reset();
  static_cast<void>(tick());
  set_task();
  static_cast<void>(tick());
  ASSERT_THAT(shared.begun(), SizeIs(2));
  EXPECT_EQ(status_of(piece(1)).value().st_ino, inode) << "it was not cut again";
  expect_right_digests(shared.run()->announced);
}

TEST_F(MasterTick, AnotherTaskWaitsNoLongerThanItsGrace) {
  config.grace = 60s;
  begin_run();
  const auto other = (folder.path() / "data" / "model.8").string();
  write_file(other, "the next payload");
  shared.task = other;
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(shared.run()->waiting_task->text(), other);
  clock.advance(59s);
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_THAT(shared.ended(), IsEmpty());
  clock.advance(1s);
  static_cast<void>(tick());
  EXPECT_EQ(shared.ended().at(0).outcome, "overtaken");
  EXPECT_EQ(shared.begun().at(1).task.text(), other);
}

TEST_F(MasterTick, ARunEndsAtItsDeadlineAndNamesTheMissing) {
  config.deadline = 60s;
  config.inventory = {kMinionHost, Address::parse("10.0.0.3").value()};
  begin_run();
  minion.act();
  clock.advance(60s);
  EXPECT_EQ(tick(), ExitStatus::ended_short);
  EXPECT_EQ(shared.ended().at(0).outcome, "deadline");
  EXPECT_THAT(shared.ended().at(0).missing, ElementsAre("10.0.0.3"));
  EXPECT_EQ(shared.task, std::nullopt);
  EXPECT_EQ(logged("not finished: 10.0.0.3"), 1U);
}

TEST_F(MasterTick, TheSamePathWithOtherContentsIsANewTask) {
  begin_run();
  write_file(task() / "a", random_bytes(1700, 77));
  minion.act();
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(shared.ended().at(0).outcome, "complete");
  ASSERT_THAT(shared.begun(), SizeIs(2)) << "the same tick distributes it";
  EXPECT_EQ(shared.task, task().string());
  expect_right_digests(shared.run()->announced);
}

// --- A Redis or a disk that loses its data ---

TEST_F(MasterTick, BeginsTheSameRunAgainWhenRedisLostIt) {
  begin_run();
  const auto run = shared.run()->info.id;
  shared.lose_everything();
  EXPECT_EQ(tick(), ExitStatus::done);
  ASSERT_TRUE(shared.run());
  EXPECT_EQ(shared.run()->info.id, run);
  EXPECT_EQ(shared.task, task().string());
  EXPECT_EQ(shared.run()->info.state, RunState::staged);
  expect_right_digests(shared.run()->announced);
  EXPECT_EQ(shared.run()->expected(), 1U) << "the spool remembers who is expected";
}

TEST_F(MasterTick, EndsARunWhoseSpoolIsLostAndStartsItsTaskOver) {
  begin_run();
  const auto run = shared.run()->info;
  std::filesystem::remove_all(state->spool(run.fingerprint).folder());
  static_cast<void>(tick());
  EXPECT_EQ(shared.ended().at(0).outcome, "spool-lost");
  ASSERT_THAT(shared.begun(), SizeIs(2));
  EXPECT_NE(shared.run()->info.id, run.id);
  expect_right_digests(shared.run()->announced);
}

TEST_F(MasterTick, StartsOverIfItsManifestHasRotted) {
  begin_run();
  write_file(state->spool(shared.run()->info.fingerprint).manifest_path(), "rot");
  shared.lose_everything();
  set_task();
  static_cast<void>(tick());
  ASSERT_THAT(shared.begun(), SizeIs(2));
  EXPECT_NE(shared.begun().at(0).id, shared.begun().at(1).id);
  expect_right_digests(shared.run()->announced);
}

TEST_F(MasterTick, CutsAPieceAgainThatItsSpoolLacksAfterAPowerCut) {
  begin_run();
  std::filesystem::remove(piece(1));
  EXPECT_EQ(tick(), ExitStatus::done);
  const CutPayload cut(task(), kMasterPieceBytes);
  EXPECT_EQ(content_of(piece(1)), cut.piece(1));
  minion.act();
  static_cast<void>(tick());
  EXPECT_EQ(shared.ended().at(0).outcome, "complete");
}

TEST_F(MasterTick, ChecksItsSpoolsAgainIfItsFirstWatchFailed) {
  begin_run();
  std::filesystem::remove(piece(1));
  config.host.linger = 3s;
  coordinator.faults.fail(1, Lost::call, "watch");
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(coordinator.faults.failed(), 1U);
  EXPECT_TRUE(std::filesystem::exists(piece(1)));
}

TEST_F(MasterTick, ReverifiesItsSpoolWhenAHostGotWrongBytes) {
  begin_run();
  write_file(piece(2), std::string(600, 'x'));
  FakeMinionCoordinator accuser(shared);
  accuser.doubt(shared.run()->info.id, kMasterHost, "piece 2 is wrong");
  ASSERT_TRUE(shared.watch().run->origin_is_suspect);
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_FALSE(shared.watch().run->origin_is_suspect);
  const CutPayload cut(task(), kMasterPieceBytes);
  EXPECT_EQ(content_of(piece(2)), cut.piece(2));
}

// --- Other masters ---

TEST_F(MasterTick, LeavesTheRunOfAnotherMasterAlone) {
  auto other = MasterWorld();
  other.set_task();
  static_cast<void>(other.tick());
  auto foreign = other.shared.begun().at(0);
  static_cast<void>(shared.begin(foreign, 1, {1, {}}, TaskKey::leave, Spread::automatic));
  start_log(LogLevel::info, log_path());
  set_task();
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_THAT(shared.ended(), IsEmpty());
  EXPECT_EQ(logged("is being distributed by a master on another host"), 1U);
}

TEST_F(MasterTick, NeitherResumesARunOfAnotherVersionNorReplacesIt) {
  begin_run();
  shared.format = RunFormat::other;
  EXPECT_EQ(tick(), ExitStatus::redis);
  EXPECT_EQ(logged("another version of sync-fanout began the run of"), 1U);
  EXPECT_THAT(shared.ended(), IsEmpty());
  shared.task.reset();
  EXPECT_EQ(tick(), ExitStatus::ended_short);
  EXPECT_EQ(shared.ended().at(0).outcome, "cancelled");
}

TEST_F(MasterTick, EndsWellIfTheHostsOfAnotherVersionFinishTheirRun) {
  begin_run();
  shared.format = RunFormat::other;
  config.host.linger = 10s;
  clock.at_wait = [&] {
    shared.format = RunFormat::ours;  // The fake minion is of that version.
    minion.act();
    shared.format = RunFormat::other;
  };
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(shared.ended().at(0).outcome, "complete");
}

// --- Its own daemon ---

TEST_F(MasterTick, WarnsIfItsOwnDaemonDoesNotServeItsSpool) {
  transfer.silence(kMasterHost);
  begin_run();
  EXPECT_EQ(logged("this host's own rsync daemon does not serve it"), 1U);
}

}  // namespace
}  // namespace libsync::test
