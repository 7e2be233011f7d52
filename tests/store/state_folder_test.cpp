// The files of a host beside its spools: the folder itself, receipts, the owed command, the locks.

#include "store/state_folder.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "failing_disk.h"
#include "hand_clock.h"
#include "libsync/core/failure.h"
#include "libsync/core/run_record.h"
#include "ordinary_user.h"
#include "os/process.h"
#include "os/random.h"
#include "os/system_clock.h"
#include "store/spool.h"
#include "store/tick_lock.h"
#include "task_path.h"
#include "temporary_folder.h"
#include "test_process.h"

namespace libsync {
namespace {

using std::filesystem::exists;
using testing::UnorderedElementsAre;

class StateFolderTest : public testing::Test {
 protected:
  [[nodiscard]] RunRecord owner_as(Role role, const std::string& prefix) const {
    return {.role = role,
            .prefix = prefix,
            .run = random_name<RunId>(),
            .task = test::task_path("/srv/data/payload"),
            .content = random_name<Fingerprint>()};
  }
  [[nodiscard]] std::filesystem::path destination() const { return repo_.path() / "payload"; }

  test::TemporaryFolder repo_;
  StateFolder state_{repo_.path()};
  Digest manifest_ = digest_of("manifest");
};

TEST_F(StateFolderTest, IsClosedToOtherUsers) {
  const auto mode_of = [&](const std::string& name) {
    return status_of(state_.path() / name)->st_mode & 07777U;
  };
  EXPECT_EQ(status_of(state_.path())->st_mode & 07777U, 0750U);
  EXPECT_EQ(mode_of("push"), 0770U);
  EXPECT_EQ(mode_of("receipt"), 0750U);
  const StateFolder again(repo_.path());
  EXPECT_EQ(again.path(), state_.path());
}

TEST_F(StateFolderTest, RefusesAFolderThatOthersCanWriteToOrHaveMade) {
  std::filesystem::permissions(state_.path(), std::filesystem::perms(0757));
  EXPECT_THROW(StateFolder{repo_.path()}, Failure);
  std::filesystem::remove_all(state_.path());
  std::filesystem::create_directory(repo_.path() / "elsewhere");
  std::filesystem::create_directory_symlink("elsewhere", state_.path());
  EXPECT_THROW(StateFolder{repo_.path()}, Failure);
  EXPECT_THROW(StateFolder{repo_.path() / "missing"}, Failure);
}

TEST_F(StateFolderTest, FindsTheSpoolsOfARoleAndAFleet) {
  const auto ours = state_.spool(random_name<Fingerprint>());
  const auto another_role = state_.spool(random_name<Fingerprint>());
  const auto another_fleet = state_.spool(random_name<Fingerprint>());
  const auto both = state_.spool(random_name<Fingerprint>());
  ours.assign(owner_as(Role::minion, "sync"));
  another_role.assign(owner_as(Role::master, "sync"));
  another_fleet.assign(owner_as(Role::minion, "sync2"));
  both.assign(owner_as(Role::minion, "sync"));
  both.assign(owner_as(Role::master, "sync"));
  const auto names = [&](Role role) {
    std::vector<std::string> all;
    for (const auto& [spool, owner] : state_.spools_of(role, "sync")) {
      EXPECT_EQ(owner.role, role);
      all.push_back(spool.fingerprint().text());
    }
    return all;
  };
  EXPECT_THAT(names(Role::minion),
              UnorderedElementsAre(ours.fingerprint().text(), both.fingerprint().text()));
  EXPECT_THAT(names(Role::master),
              UnorderedElementsAre(another_role.fingerprint().text(), both.fingerprint().text()));
}

// Root passes every check of permissions, but not this one: the owner could swap a spool.
TEST_F(StateFolderTest, RefusesAFolderOfAnotherUserEvenForRoot) {
  test::give_to_ordinary_user(state_.path());
  const bool is_root = geteuid() == 0;
  EXPECT_EQ(is_root, status_of(state_.path())->st_uid != geteuid());
  if (is_root) {
    EXPECT_THROW(StateFolder{repo_.path()}, Failure);
    ASSERT_EQ(chown(state_.path().c_str(), 0, test::kOrdinaryUser), 0);
    EXPECT_NO_THROW(StateFolder{repo_.path()});
    ASSERT_EQ(chown(state_.path().c_str(), 0, test::kOrdinaryUser), 0);
    ASSERT_EQ(chmod(state_.path().c_str(), 0770), 0);
    EXPECT_THROW(StateFolder{repo_.path()}, Failure);
  }
}

TEST_F(StateFolderTest, NamesARepoThatOthersCanWriteToWhileThisUserIsRoot) {
  const bool is_root = geteuid() == 0;
  const auto why = [this] { return state_.weakness().value_or(""); };
  EXPECT_EQ(why(), "");
  const auto expect_weak = [&](const std::string& text) {
    EXPECT_THAT(why(), testing::HasSubstr(is_root ? text : ""));
    EXPECT_EQ(why().empty(), !is_root);
  };
  ASSERT_EQ(chmod(repo_.path().c_str(), 0757), 0);
  expect_weak("with mode 0757");
  ASSERT_EQ(chmod(repo_.path().c_str(), 0755), 0);
  test::give_to_ordinary_user(repo_.path());
  expect_weak("belongs to user 65534");
}

TEST_F(StateFolderTest, NamesTheSpoolsThatNothingHereCanUse) {
  const auto ours = state_.spool(random_name<Fingerprint>());
  const auto newer = state_.spool(random_name<Fingerprint>());
  const auto former = state_.spool(random_name<Fingerprint>());
  const auto torn = state_.spool(random_name<Fingerprint>());
  const auto master = state_.spool(random_name<Fingerprint>());
  for (const auto* const spool : {&ours, &newer, &torn}) {
    spool->assign(owner_as(Role::minion, "sync"));
  }
  former.assign(owner_as(Role::minion, "before:"));
  master.assign(owner_as(Role::master, "before:"));
  const auto record_of = [](const Spool& spool) { return spool.folder() / "owner-minion"; };
  const auto run = newer.record(Role::minion).value().run;
  test::write_file(record_of(newer), "colour blue\n" + test::content_of(record_of(newer)));
  test::write_file(record_of(torn), "prefix sy");
  test::write_file(former.piece_path(0), std::string(std::size_t{20'000'000}, 'x'));
  EXPECT_EQ(state_.spools_of(Role::minion, "sync").size(), 1U);
  std::map<std::string, Stray> strays;
  for (auto& stray : state_.strays(Role::minion, "sync", std::chrono::system_clock::now())) {
    strays.emplace(stray.spool.fingerprint().text(), stray);
  }
  ASSERT_EQ(strays.size(), 3U);
  const auto& of_newer = strays.at(newer.fingerprint().text());
  EXPECT_THAT(of_newer.why, testing::HasSubstr("has a run record of another version"));
  EXPECT_EQ(of_newer.record.value().run, run);
  const auto& of_former = strays.at(former.fingerprint().text());
  EXPECT_THAT(of_former.why, testing::AllOf(testing::HasSubstr(former.folder().string()),
                                            testing::HasSubstr("of 0.02 GB belongs to the keys "
                                                               "with the prefix 'before:'")));
  EXPECT_FALSE(of_former.record);
  EXPECT_FALSE(of_former.is_old);
  const auto& of_torn = strays.at(torn.fingerprint().text());
  EXPECT_THAT(of_torn.why, testing::HasSubstr("has a run record that cannot be read"));
  EXPECT_FALSE(of_torn.record);
}

TEST_F(StateFolderTest, MasterIdStaysTheSame) {
  const auto id = state_.master_id();
  EXPECT_EQ(state_.master_id(), id);
  EXPECT_EQ(StateFolder(repo_.path()).master_id(), id);
  test::write_file(state_.path() / "master", "");  // Torn, so the next call makes another one.
  const auto fresh = state_.master_id();
  EXPECT_NE(fresh, id);
  EXPECT_EQ(state_.master_id(), fresh);
}

TEST_F(StateFolderTest, HostIdStaysTheSame) {
  const auto kept = state_.host_id();
  EXPECT_EQ(kept.warning, "") << "a folder of an earlier version has none";
  EXPECT_EQ(kept.id.text().size(), 32U);
  EXPECT_EQ(state_.host_id().id, kept.id);
  EXPECT_EQ(StateFolder(repo_.path()).host_id().id, kept.id);
  EXPECT_EQ(status_of(state_.path() / "minion")->st_mode & 07777U, 0640U);
  const auto other = state_.new_host_id();
  EXPECT_NE(other, kept.id);
  EXPECT_EQ(state_.host_id().id, other);
  EXPECT_NE(state_.master_id().text(), other.text());
}

TEST_F(StateFolderTest, AFileWithoutAHostIdGetsANewOneWithAWarning) {
  const auto former = state_.host_id().id;
  const auto file = state_.path() / "minion";
  const auto expect_new = [&](const std::string& why) {
    const auto kept = state_.host_id();
    EXPECT_NE(kept.id, former);
    EXPECT_THAT(kept.warning,
                testing::AllOf(testing::HasSubstr(file.string()), testing::HasSubstr(why)));
    const auto again = state_.host_id();
    EXPECT_EQ(again.id, kept.id);
    EXPECT_EQ(again.warning, "");
  };
  for (const auto& text : {std::string(), former.text().substr(1), former.text() + "\n",
                           std::string(32, 'g'), std::string(1'000'000, 'a')}) {
    test::write_file(file, text);
    expect_new("holds no id: this host has a new one now");
  }
  std::filesystem::remove(file);
  std::filesystem::create_symlink("master", file);
  expect_new("holds no id: this host has a new one now");
  EXPECT_TRUE(std::filesystem::is_regular_file(std::filesystem::symlink_status(file)));
}

// A disk that fails for a moment must cost no id, since the host would be refused meanwhile.
TEST_F(StateFolderTest, AHostIdThatCannotBeReadStays) {
  const auto id = state_.host_id().id;
  {
    const test::Unreadable unreadable(state_.path() / "minion");
    EXPECT_THROW(static_cast<void>(state_.host_id()), Failure);
  }
  EXPECT_EQ(state_.host_id().id, id);
}

TEST_F(StateFolderTest, ADeathLeavesNoHostIdOrAWholeOne) {
  const auto file = state_.path() / "minion";
  for (std::size_t call = 1; call < 30; ++call) {
    std::filesystem::remove(file);
    bool has_died = false;
    {
      const test::FailingDisk disk(call, EIO, test::Failing::forever);
      try {
        static_cast<void>(state_.host_id());
      } catch (const Failure&) {
        has_died = true;
      }
    }
    EXPECT_TRUE(!exists(file) || HostId::parse(test::content_of(file))) << call;
    EXPECT_EQ(state_.host_id().warning, "") << call;
    if (has_died) continue;
    EXPECT_GT(call, 3U);
    return;
  }
  ADD_FAILURE() << "the disk fails for ever";
}

TEST_F(StateFolderTest, ReceiptIsForOneFileAndOneManifest) {
  EXPECT_FALSE(state_.receipts().has(destination(), manifest_));
  test::write_file(destination(), "one");
  EXPECT_FALSE(state_.receipts().has(destination(), manifest_));
  state_.receipts().write(destination(), manifest_);
  EXPECT_TRUE(state_.receipts().has(destination(), manifest_));
  test::write_file(destination(), "written to");
  EXPECT_TRUE(state_.receipts().has(destination(), manifest_));
  EXPECT_FALSE(state_.receipts().has(destination(), digest_of("another")));
  test::write_file(repo_.path() / "copy", "written to");
  std::filesystem::rename(repo_.path() / "copy", destination());
  EXPECT_FALSE(state_.receipts().has(destination(), manifest_));
  std::filesystem::remove(destination());
  EXPECT_FALSE(state_.receipts().has(destination(), manifest_));
  state_.receipts().write(destination(), manifest_);
  EXPECT_FALSE(state_.receipts().has(destination(), manifest_)) << "another program removed it";
}

TEST_F(StateFolderTest, ReceiptTellsTheKinshipToItsBasis) {
  const auto name = destination().filename().string();
  test::write_file(destination(), "one");
  EXPECT_EQ(state_.receipts().kinship(name), Kinship::unknown) << "there is none";
  for (const auto kinship : {Kinship::alike, Kinship::unlike, Kinship::unknown}) {
    state_.receipts().write(destination(), manifest_, kinship);
    EXPECT_EQ(state_.receipts().kinship(name), kinship);
    EXPECT_TRUE(state_.receipts().has(destination(), manifest_));
    EXPECT_TRUE(state_.receipts().names(destination()));
    EXPECT_FALSE(state_.receipts().has(destination(), digest_of("another")));
  }
}

TEST_F(StateFolderTest, ReceiptFitsANameOfFullLength) {
  const auto longest = repo_.path() / std::string(255, 'n');
  test::write_file(longest, "");
  state_.receipts().write(longest, manifest_);
  EXPECT_TRUE(state_.receipts().has(longest, manifest_));
}

TEST_F(StateFolderTest, CommandIsOwedFromPublishingUntilItHasRun) {
  EXPECT_FALSE(state_.receipts().hook_owed());
  state_.receipts().hook_has_run();  // No debt to clear.
  state_.receipts().owe_hook("payload", manifest_);
  EXPECT_FALSE(state_.receipts().hook_owed()) << "nothing was published";
  test::write_file(destination(), "one");
  EXPECT_FALSE(state_.receipts().hook_owed()) << "nothing was published by us";
  state_.receipts().write(destination(), manifest_);
  EXPECT_EQ(state_.receipts().hook_owed(), "payload");
  EXPECT_EQ(StateFolder(repo_.path()).receipts().hook_owed(), "payload");
  state_.receipts().hook_has_run();
  EXPECT_FALSE(state_.receipts().hook_owed());
}

TEST_F(StateFolderTest, CommandIsNotOwedForAWrongNameOrATruncatedRecord) {
  test::write_file(destination(), "one");
  state_.receipts().write(destination(), manifest_);
  for (const std::string& text : {std::string(), manifest_.hex().substr(1), manifest_.hex(),
                                  manifest_.hex() + "../payload", manifest_.hex() + "payloa"}) {
    test::write_file(state_.path() / "hook", text);
    EXPECT_FALSE(state_.receipts().hook_owed()) << text;
  }
}

TEST_F(StateFolderTest, WritesAServableProbe) {
  EXPECT_EQ(state_.write_probe("content"), "probe");
  EXPECT_EQ(test::content_of(state_.path() / "probe"), "content");
  EXPECT_EQ(status_of(state_.path() / "probe")->st_mode & 07777U, 0640U);
}

// Forks a process that acquires the lock, writes `ready`, and holds the lock until it is killed.
// With `child_pid`, a child of it inherits the lock and ignores TERM.
pid_t hold(const std::filesystem::path& lock, const std::filesystem::path& ready,
           const std::filesystem::path& child_pid = {}) {
  const pid_t holder = fork();
  if (holder != 0) return holder;
  test::HandClock clock;
  const auto acquired = TickLock::acquire(lock, Duration(0), clock);
  const auto* const held = std::get_if<TickLock>(&acquired);
  if (held == nullptr) _exit(1);
  if (!child_pid.empty()) {
    const std::string script = "trap '' TERM; echo $$ > '" + child_pid.string() + "'; " + "mv '" +
                               child_pid.string() + "' '" + ready.string() +
                               "'; while :; do sleep 0.05; done";
    [[maybe_unused]] const auto child =
        Child::start({"/bin/bash", {"-c", script}, {"PATH=/usr/bin:/bin"}, "", held->descriptor()});
    while (true) pause();
  }
  test::write_file(ready, "");
  while (true) pause();
}

TEST_F(StateFolderTest, ALockHeldByAnotherProcessNamesIt) {
  const auto lock = state_.lock_path(Role::minion);
  EXPECT_NE(lock, state_.lock_path(Role::master));
  const auto ready = repo_.path() / "ready";
  const pid_t holder = hold(lock, ready);
  ASSERT_TRUE(test::eventually([&] { return exists(ready); }));
  SystemClock clock;
  {
    const auto acquired = TickLock::acquire(lock, Duration(100), clock);
    const auto* const held = std::get_if<TickLock::Held>(&acquired);
    ASSERT_NE(held, nullptr);
    EXPECT_EQ(held->by, "process " + std::to_string(holder));
    ASSERT_TRUE(held->age);
    EXPECT_GE(*held->age, std::chrono::seconds(0));
    EXPECT_LT(*held->age, std::chrono::minutes(1));
  }
  kill(holder, SIGKILL);
  EXPECT_EQ(waitpid(holder, nullptr, 0), holder);
  EXPECT_TRUE(std::holds_alternative<TickLock>(TickLock::acquire(lock, Duration(0), clock)));
}

TEST_F(StateFolderTest, LockWaitsForItsPatience) {
  const auto lock = state_.lock_path(Role::minion);
  test::HandClock clock;
  clock.let_waits_pass();
  const auto mine = TickLock::acquire(lock, Duration(0), clock);
  ASSERT_TRUE(std::holds_alternative<TickLock>(mine));
  const auto before = clock.now();
  EXPECT_TRUE(std::holds_alternative<TickLock::Held>(
      TickLock::acquire(lock, std::chrono::seconds(2), clock)));
  EXPECT_GE(clock.now() - before, std::chrono::seconds(2));
  EXPECT_LT(clock.now() - before, std::chrono::milliseconds(2200));
}

TEST_F(StateFolderTest, LockStaysWithAChildThatOutlivesItsTick) {
  const auto lock = state_.lock_path(Role::minion);
  const auto ready = repo_.path() / "ready";
  const pid_t holder = hold(lock, ready, repo_.path() / "pid");
  ASSERT_TRUE(test::eventually([&] { return exists(ready); }));
  const int child = std::stoi(test::content_of(ready));
  kill(holder, SIGKILL);
  EXPECT_EQ(waitpid(holder, nullptr, 0), holder);
  SystemClock clock;
  EXPECT_TRUE(std::holds_alternative<TickLock::Held>(TickLock::acquire(lock, Duration(0), clock)));
  kill(-child, SIGKILL);
  EXPECT_TRUE(
      std::holds_alternative<TickLock>(TickLock::acquire(lock, std::chrono::seconds(20), clock)));
}

}  // namespace
}  // namespace libsync
