// Ticks of a minion with a fake fleet: what it joins, keeps and deletes, and how a tick ends.

#include "minion/minion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "minion_world.h"
#include "os/files.h"
#include "store/replaced.h"

namespace libsync::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using namespace std::chrono_literals;

class MinionTick : public testing::Test, protected MinionWorld {
 protected:
  ~MinionTick() override {
    sigset_t stopping;
    sigemptyset(&stopping);
    sigaddset(&stopping, SIGTERM);
    const timespec at_once{};
    static_cast<void>(sigtimedwait(&stopping, nullptr, &at_once));  // Not for the next test.
  }

  /// Calls `act` at the `nth` wait of the tick.
  void at_wait(int nth, std::function<void()> act) {
    clock.at_wait = [nth, act = std::move(act), this] {
      if (++waits_ == nth) act();
    };
  }

  [[nodiscard]] FakeHost& known() { return shared.run()->host(kSelf); }

 private:
  int waits_ = 0;
};

TEST_F(MinionTick, EndsAtOnceWithoutARun) {
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_THAT(coordinator->faults.verbs(), ElementsAre("join"));
  shared.has_functions = false;
  EXPECT_EQ(tick(), ExitStatus::done);
}

TEST_F(MinionTick, PublishesARunAndEnds) {
  begin_staged();
  EXPECT_EQ(tick(), ExitStatus::done);
  expect_published();
  expect_finished();
  expect_served(5);
  EXPECT_EQ(logged("rsync complete:"), 1U);
  EXPECT_EQ(logged("from 10.0.0.1: 5 pieces"), 1U);
  const auto note = StateFolder(repo()).notes().published().value().value;
  EXPECT_EQ(note.run, run->id);
  EXPECT_EQ(note.manifest, run->manifest);
  EXPECT_THAT(note.fed_by, ElementsAre(testing::Pair(kOrigin, 5)));
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(logged("rsync complete:"), 1U) << "a finished run is not published again";
}

TEST_F(MinionTick, ALingeringOneIsWokenByARun) {
  config.host.linger = 60s;
  Instant begun;
  std::optional<Instant> joined;
  at_wait(3, [&] {
    begin_staged();
    begun = clock.now();
  });
  coordinator->faults.at_call = [&](std::string_view verb) {
    if (verb == "join" && shared.run() && !joined) joined = clock.now();
  };
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(joined, begun) << "it does not wait for its next look";
  expect_published();
  expect_finished();
}

TEST_F(MinionTick, StartsOverWithANewRunAfterOneThatEnds) {
  begin();
  serve(kOrigin);
  announce(0, 2);
  config.host.linger = 30s;
  const auto former = spool().folder();
  at_wait(12, [this] {
    static_cast<void>(shared.end(run->id, "cancelled", "", TaskAfter::goes));
    begin_staged();
  });
  EXPECT_EQ(tick(), ExitStatus::done);
  expect_published();
  expect_finished();
  EXPECT_FALSE(std::filesystem::exists(former));
  EXPECT_EQ(logged("is over, or another has begun: stopping"), 1U);
}

TEST_F(MinionTick, KeepsASpoolThatBeganAfterTheRunThatEnded) {
  begin_staged();
  EXPECT_EQ(tick(), ExitStatus::done);
  auto record = spool().record(Role::minion).value();
  record.run = random_name<RunId>();
  record.begun_ms += 1'000'000;
  spool().assign(record);
  end_run();
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_TRUE(std::filesystem::exists(spool().manifest_path()))
      << "a Redis that came back from an older snapshot does not know of it";
}

TEST_F(MinionTick, FetchesAgainWhatIsNotPublishedAnyMore) {
  begin_staged();
  EXPECT_EQ(tick(), ExitStatus::done);
  std::filesystem::remove_all(destination());
  EXPECT_EQ(tick(), ExitStatus::done);
  expect_published();
  expect_finished();
  EXPECT_THAT(transfer.pulls_of(piece_name(0)), SizeIs(1)) << "the spool has it";
}

TEST_F(MinionTick, RefusesADestinationThatIsASymlink) {
  std::filesystem::create_symlink("elsewhere", destination());
  begin_staged();
  EXPECT_EQ(tick(), ExitStatus::local);
  EXPECT_THAT(failure, HasSubstr("is a symlink: move it away"));
  EXPECT_EQ(known().error, failure) << "status shows why";
  EXPECT_EQ(StateFolder(repo()).notes().fault(NotedFault::tick).value().value, failure);
  EXPECT_TRUE(std::filesystem::is_symlink(destination()));
}

// --- Stopping ---

TEST_F(MinionTick, RefusesARunOfAnotherVersionAndLeaves) {
  config.host.linger = 60s;
  begin_staged(Spread::trees);
  shared.format = RunFormat::other;
  EXPECT_EQ(tick(), ExitStatus::redis);
  EXPECT_THAT(failure,
              HasSubstr("another version of sync-fanout began the run of '/data/model.7'"));
  EXPECT_THAT(failure, HasSubstr("`redis-cli del synctask` ends that run"));
  EXPECT_THAT(coordinator->faults.verbs(), ElementsAre("join", "leave"));
  EXPECT_EQ(known().error, failure) << "status names the host";
}

TEST_F(MinionTick, GivesBackItsClaimsIfItHasToStop) {
  write_file(destination() / "a", "a former one");
  begin();  // Its origin delivers nothing.
  announce(0, 5);
  at_wait(6, [this] {
    EXPECT_GT(shared.run()->claims_of(kSelf), 0U);
    EXPECT_THAT(transfer.running(), testing::Not(IsEmpty()));
    raise(SIGTERM);
  });
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(shared.run()->claims_of(kSelf), 0U);
  EXPECT_THAT(transfer.running(), IsEmpty());
  EXPECT_EQ(known().error, "");
  EXPECT_EQ(content_of(destination() / "a"), "a former one");
}

TEST_F(MinionTick, NoWakeUpEndsThePauseAfterAFailure) {
  config.host.linger = 60s;
  begin_staged();
  transfer.silence(kOrigin);
  std::vector<Instant> visits;
  coordinator->faults.at_call = [&](std::string_view verb) {
    if (verb == "join") visits.push_back(clock.now());
    if (verb == "leave") shared.wake(kSelf);
  };
  EXPECT_EQ(tick(), ExitStatus::no_source);
  ASSERT_THAT(visits, SizeIs(testing::Ge(3U)));
  for (std::size_t i = 1; i < visits.size(); ++i) EXPECT_GE(visits[i] - visits[i - 1], 10s);
}

TEST_F(MinionTick, StopsWhileItLingers) {
  config.host.linger = 1h;
  at_wait(4, [] { raise(SIGTERM); });
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(clock.waits(), 4U);
}

// --- Deleting ---

class DeletingTick : public MinionTick {
 protected:
  /// A folder of so many files that no test waits for its deletion.
  [[nodiscard]] std::filesystem::path discard_large() const {
    constexpr int kFiles = 30'000;
    const StateFolder state(repo());
    auto path = state.path() / "gone-minion-0123";
    make_folder(path, 0700);
    const auto opened = open_file(path, O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < kFiles; ++i) {
      EXPECT_EQ(mknodat(opened.number(), std::to_string(i).c_str(), S_IFREG | 0600, 0), 0);
    }
    return path;
  }
  /// The run record of the spool has this prefix, and begins with this line.
  void rewrite_record(const std::string& prefix, const std::string& line) {
    auto record = spool().record(Role::minion).value();
    record.prefix = prefix;
    spool().assign(record);
    const auto path = spool().folder() / "owner-minion";
    write_file(path, line + content_of(path));
  }
};

TEST_F(DeletingTick, NeitherTheStopSignalNorARunWaitsForALargeFolder) {
  const auto large = discard_large();
  config.host.linger = 1h;
  begin_staged();
  std::chrono::steady_clock::time_point stopped;
  clock.at_wait = [&] {
    if (!shared.run()->host(kSelf).finished_ms) return;
    EXPECT_TRUE(std::filesystem::exists(large)) << "the run has not waited";
    stopped = std::chrono::steady_clock::now();
    raise(SIGTERM);
    clock.at_wait = nullptr;
  };
  EXPECT_EQ(tick(), ExitStatus::done) << failure;
  EXPECT_LT(std::chrono::steady_clock::now() - stopped, 500ms);
  EXPECT_TRUE(std::filesystem::exists(large)) << "the next tick goes on";
  expect_published();
}

TEST_F(DeletingTick, AOnePassTickStaysUntilAllIsDeleted) {
  const auto large = discard_large();
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_FALSE(std::filesystem::exists(large));
}

TEST_F(DeletingTick, ASpoolOfAnotherVersionGoesWithItsRun) {
  begin_staged();
  EXPECT_EQ(tick(), ExitStatus::done);
  const auto newer = spool().folder();
  rewrite_record("sync", "colour blue\n");
  shared.lose_everything();
  shared.has_functions = true;
  restart();
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_TRUE(std::filesystem::exists(newer)) << "an empty Redis is no evidence";
  begin_staged();
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_FALSE(std::filesystem::exists(newer));
  EXPECT_EQ(logged("has a run record of another version: deleting it"), 1U);
}

TEST_F(DeletingTick, ASpoolOfAFormerPrefixIsNamedAndGoesAfterAWeek) {
  begin_staged();
  EXPECT_EQ(tick(), ExitStatus::done);
  const auto former = spool().folder();
  rewrite_record("before:", "");
  const auto record_is_old = [&](std::chrono::hours age) {
    const auto wall =
        std::chrono::duration_cast<std::chrono::seconds>(clock.wall().time_since_epoch() - age);
    const timespec times[] = {{0, UTIME_OMIT}, {wall.count(), 0}};
    const auto path = former / "owner-minion";
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  };
  record_is_old(kStrayKept - 1h);
  end_run();
  begin_staged();
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_TRUE(std::filesystem::exists(former)) << "its run may go on under those keys";
  EXPECT_EQ(logged("GB belongs to the keys with the prefix 'before:': nothing here can use it"),
            1U);
  record_is_old(kStrayKept + 1h);
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_FALSE(std::filesystem::exists(former));
}

// --- The hook ---

class HookTick : public MinionTick {
 protected:
  HookTick() {
    hook.kind = Hook::configured;
    begin_staged();
  }
};

TEST_F(HookTick, RunsOnceAfterPublishing) {
  hook.at_run = [this] { expect_published(); };
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_THAT(hook.runs, ElementsAre(destination()));
}

TEST_F(HookTick, ItsFailureIsThatOfTheTickAndShownByStatus) {
  hook.failure = "--after-publish ended with status 3: no space";
  EXPECT_EQ(tick(), ExitStatus::local);
  expect_published();
  EXPECT_TRUE(known().finished_ms);
  EXPECT_EQ(known().hook_fault, hook.failure);
  EXPECT_EQ(StateFolder(repo()).notes().fault(NotedFault::hook).value().value, hook.failure);
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_THAT(hook.runs, SizeIs(1)) << "it has ended, if badly";
  hook.failure.reset();
  StateFolder(repo()).receipts().owe_hook("model.7", run->manifest);
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_FALSE(StateFolder(repo()).notes().fault(NotedFault::hook));
}

TEST_F(HookTick, IsOwedStillIfItWasEndedByASignal) {
  hook.failure = "--after-publish was ended";
  hook.at_run = [] { raise(SIGTERM); };
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_TRUE(StateFolder(repo()).receipts().hook_owed());
}

TEST_F(HookTick, RunsForAPayloadThatAnEarlierTickPublished) {
  coordinator->faults.fail(1, Lost::call, "finish");
  EXPECT_EQ(tick(), ExitStatus::redis);
  expect_published();
  EXPECT_THAT(hook.runs, IsEmpty());
  coordinator->faults.break_off();
  EXPECT_EQ(tick(), ExitStatus::redis);
  EXPECT_THAT(hook.runs, ElementsAre(destination())) << "Redis is not needed for it";
}

TEST_F(HookTick, ItsFailureIsReportedAfterAnOutageAndInTheNextTick) {
  hook.failure = "--after-publish ended with status 3";
  coordinator->faults.fail(1, Lost::call, "report_fault");
  config.host.linger = 30s;
  EXPECT_EQ(tick(), ExitStatus::local);
  EXPECT_EQ(known().hook_fault, hook.failure) << "a visit later";
  known().hook_fault.clear();
  StateFolder(repo()).receipts().owe_hook("model.7", run->manifest);
  restart();
  EXPECT_EQ(tick(), ExitStatus::local);
  EXPECT_EQ(known().hook_fault, hook.failure) << "the tick that ran it again";
}

TEST_F(HookTick, ItsFailureAfterTheEndOfTheRunIsShownWithTheLastRun) {
  hook.failure = "--after-publish ended with status 3";
  hook.at_run = [this] { end_run(); };
  EXPECT_EQ(tick(), ExitStatus::local);
  ASSERT_TRUE(shared.status().last);
  EXPECT_EQ(shared.status().last->hosts.at(0).hook_fault, hook.failure);
}

TEST_F(HookTick, IsTheWorkOfTheHostInARunThatBeginsMeanwhile) {
  hook.at_run = [this] {
    if (!hook.runs.empty()) return;
    end_run();
    begin_staged();
  };
  std::vector<std::string> shown;
  hook.while_it_runs = [&] { shown.push_back(known().work); };
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_THAT(shown, ElementsAre("running --after-publish for 'model.7'"));
  EXPECT_EQ(known().work, "");
  expect_finished();
}

// A second pull of a piece may begin while the first one is judged, and leave its file.
TEST_F(HookTick, OfATickThatLeavesNothingUnproven) {
  hook.at_run = [this] {
    write_file(spool().incoming_path(0), "a part");
    write_file(spool().incoming_path(4, Attempt::second), "another");
  };
  EXPECT_EQ(tick(), ExitStatus::done);
  expect_served(cut->pieces());
}

TEST_F(HookTick, NeedsNoRedisToGoOn) {
  hook.at_run = [this] { coordinator->faults.break_off(); };
  hook.while_it_runs = [] {};
  EXPECT_EQ(tick(), ExitStatus::redis);
  EXPECT_THAT(hook.runs, ElementsAre(destination()));
  EXPECT_FALSE(StateFolder(repo()).receipts().hook_owed());
}

TEST_F(HookTick, RunsIfTheRunEndsWhileItIsPublished) {
  coordinator->faults.at_call = [this](std::string_view verb) {
    if (verb == "finish" && shared.run()) end_run();
  };
  EXPECT_EQ(tick(), ExitStatus::done);
  expect_published();
  EXPECT_THAT(hook.runs, ElementsAre(destination()));
}

// --- The replaced version ---

class ReplacingTick : public MinionTick {
 protected:
  ReplacingTick() {
    write_file(destination() / "former", "of the former payload");
    begin_staged();
  }
  /// The content of a file of the replaced version; empty if it is gone.
  [[nodiscard]] std::string former() const {
    for (const auto& one : ReplacedVersions(repo() / ".libsync").all()) {
      const auto path = one.folder / "payload" / "former";
      if (std::filesystem::exists(path)) return content_of(path);
    }
    return "";
  }
};

TEST_F(ReplacingTick, StaysUntilTheRunEnds) {
  hook.kind = Hook::configured;
  hook.at_run = [this] { EXPECT_EQ(former(), "of the former payload"); };
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(former(), "of the former payload");
  EXPECT_EQ(logged("warning: the folder 'model.7' had 1 files that the new payload does not have, "
                   "and they go with it: 'former'"),
            1U);
  end_run();
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(former(), "");
  expect_swept();
}

TEST_F(ReplacingTick, StaysForTenMinutesIfTheRunGoesOn) {
  EXPECT_EQ(tick(), ExitStatus::done);
  clock.advance(9min);
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_NE(former(), "");
  clock.advance(1min);
  coordinator->faults.break_off();
  EXPECT_EQ(tick(), ExitStatus::redis);
  EXPECT_EQ(former(), "") << "that needs no Redis";
}

TEST_F(ReplacingTick, ALingeringTickDeletesItInTime) {
  config.keep_replaced = 20s;
  config.host.linger = 60s;
  std::optional<Instant> published;
  std::optional<Instant> deleted;
  clock.at_wait = [&] {
    if (!published && former() != "") published = clock.now();
    if (published && !deleted && former() == "") deleted = clock.now();
  };
  EXPECT_EQ(tick(), ExitStatus::done);
  ASSERT_TRUE(deleted);
  EXPECT_GE(*deleted - *published, 20s);
  EXPECT_LE(*deleted - *published, 30s);
}

TEST_F(ReplacingTick, StaysAsLongAsTheOptionSays) {
  config.keep_replaced = 1h;
  EXPECT_EQ(tick(), ExitStatus::done);
  end_run();
  clock.advance(59min);
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_NE(former(), "");
  clock.advance(1min);
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(former(), "");
}

TEST_F(ReplacingTick, StaysForTheHookEvenWithoutAStay) {
  config.keep_replaced = 0s;
  hook.kind = Hook::configured;
  hook.at_run = [this] {
    EXPECT_NE(former(), "");
    raise(SIGTERM);
  };
  hook.failure = "--after-publish was ended";
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_NE(former(), "") << "the command is owed still";
}

TEST_F(ReplacingTick, GoesAtOnceAfterTheHookWithoutAStay) {
  config.keep_replaced = 0s;
  hook.kind = Hook::configured;
  hook.at_run = [this] { EXPECT_NE(former(), ""); };
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(hook.runs.size(), 1U);
  EXPECT_EQ(former(), "");
}

// --- After a cancel ---

class CancelledTick : public MinionTick {
 protected:
  CancelledTick() {
    begin();
    serve(kOrigin);
    announce(0, 3);
    config.host.linger = 60s;
    // The tick pulls what is announced, and the run ends.
    at_wait(40, [this] {
      EXPECT_TRUE(std::filesystem::exists(spool().piece_path(0)));
      static_cast<void>(shared.end(run->id, "cancelled", "", TaskAfter::goes));
    });
    EXPECT_EQ(tick(), ExitStatus::done);
    clock.at_wait = nullptr;
    config.host.linger = 0s;
  }
};

TEST_F(CancelledTick, KeepsThePiecesAndTheSameTaskGoesOnWithThem) {
  ASSERT_TRUE(std::filesystem::exists(spool().piece_path(0)));
  EXPECT_FALSE(std::filesystem::exists(spool().tree_folder())) << "the copy costs room";
  const auto former = run->fingerprint;
  run->id = random_name<RunId>();
  run->begun_ms += 1000;
  static_cast<void>(shared.begin(*run, 6, {1, {}}, TaskKey::leave, Spread::claims));
  announce(0, cut->pieces());
  EXPECT_EQ(run->fingerprint, former);
  EXPECT_EQ(tick(), ExitStatus::done) << failure;
  expect_published();
  EXPECT_THAT(transfer.pulls_of(piece_name(0)), SizeIs(1)) << "the spool had it";
  end_run();
  EXPECT_EQ(tick(), ExitStatus::done);
  expect_swept();
}

TEST_F(CancelledTick, AnotherRunOfThePayloadUsesThePiecesAndDeletesThem) {
  const auto former = spool().folder();
  ASSERT_TRUE(std::filesystem::exists(former));
  begin_staged();
  EXPECT_EQ(tick(), ExitStatus::done) << failure;
  expect_published();
  EXPECT_THAT(transfer.pulls_of(piece_name(0)), SizeIs(1)) << "the former spool had it";
  EXPECT_FALSE(std::filesystem::exists(former));
  EXPECT_FALSE(std::filesystem::exists(spool().former_folder()));
}

TEST_F(CancelledTick, TheRuleOfTheBasisHoldsForPiecesAsWell) {
  const auto former = spool().folder();
  config.basis = BasisRule::none;
  begin_staged();
  EXPECT_EQ(tick(), ExitStatus::done) << failure;
  expect_published();
  EXPECT_THAT(transfer.pulls_of(piece_name(0)), SizeIs(2));
  EXPECT_FALSE(std::filesystem::exists(former));
}

TEST_F(CancelledTick, AWeekDeletesThePieces) {
  const auto record = spool().folder() / "owner-minion";
  const auto age = [&](std::chrono::hours by) {
    const auto at =
        std::chrono::duration_cast<std::chrono::seconds>(clock.wall().time_since_epoch() - by);
    const timespec times[] = {{0, UTIME_OMIT}, {at.count(), 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, record.c_str(), times, 0), 0);
  };
  age(kStrayKept - 1h);
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_TRUE(std::filesystem::exists(record));
  age(kStrayKept + 1h);
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_FALSE(std::filesystem::exists(record));
}

// --- Suspicion of what is published ---

class SuspectTick : public MinionTick {
 protected:
  SuspectTick() {
    begin_staged();
    EXPECT_EQ(tick(), ExitStatus::done);
    expect_served(5);
    known().is_suspect = true;
  }
};

TEST_F(SuspectTick, IsClearedIfItsSpoolIsGood) {
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_FALSE(known().is_suspect);
  EXPECT_GT(known().slots, 0U);
  EXPECT_EQ(logged("rsync complete:"), 1U);
}

TEST_F(SuspectTick, ProvesWhatIsPublishedIfItsSpoolIsNot) {
  write_file(spool().piece_path(2), random_bytes(1000, 6));
  const auto b = destination() / "sub" / "b";
  const auto times = std::filesystem::last_write_time(b);
  write_file(b, random_bytes(2000, 7));
  std::filesystem::last_write_time(b, times);
  EXPECT_EQ(tick(), ExitStatus::done) << failure;
  expect_published();
  expect_finished();
  EXPECT_EQ(logged("have rotted: verifying the published payload"), 1U);
}

TEST_F(SuspectTick, HashesAgainInTheNextTickIfRedisIsOutOfReach) {
  coordinator->faults.fail(1, Lost::call, "digests");
  EXPECT_EQ(tick(), ExitStatus::redis);
  EXPECT_TRUE(known().is_suspect);
  coordinator->faults.fail(1, Lost::call, "report");
  EXPECT_EQ(tick(), ExitStatus::redis);
  EXPECT_TRUE(known().is_suspect);
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_FALSE(known().is_suspect);
}

}  // namespace
}  // namespace libsync::test
