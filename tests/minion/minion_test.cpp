// Ticks of a minion with a fake fleet: what it joins, keeps and deletes, and how a tick ends.

#include "minion/minion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "minion_world.h"
#include "os/files.h"

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
  EXPECT_EQ(known().error, hook.failure);
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_THAT(hook.runs, SizeIs(1)) << "it has ended, if badly";
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

TEST_F(HookTick, RunsIfTheRunEndsWhileItIsPublished) {
  coordinator->faults.at_call = [this](std::string_view verb) {
    if (verb == "finish" && shared.run()) end_run();
  };
  EXPECT_EQ(tick(), ExitStatus::done);
  expect_published();
  EXPECT_THAT(hook.runs, ElementsAre(destination()));
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
