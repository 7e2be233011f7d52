// The accounts of runs that ended, as files: which remain, and what a damaged disk does to them.

#include "master/run_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "libsync/core/failure.h"
#include "master_world.h"
#include "ordinary_user.h"
#include "os/files.h"
#include "os/random.h"

namespace libsync::test {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr std::uint64_t kBegun = 1'764'489'006'000;

RunAccount account_of(std::uint64_t begun_ms, std::size_t accounts = 1) {
  RunAccount account{.run = random_name<RunId>(), .path = "/data1/model.7", .outcome = "complete"};
  account.begun_ms = begun_ms;
  account.cut = {1000, 100};
  account.hosts = {{.address = kMasterHost}, {.address = kMinionHost}};
  for (std::size_t i = 0; i < accounts; ++i) account.hosts[i].has_account = true;
  return account;
}

RunFile file_of(const RunAccount& account) { return {account.begun_ms, account.run}; }

unsigned mode_of(const fs::path& path) { return status_of(path)->st_mode & 07777U; }

class RunFolder : public testing::Test {
 protected:
  RunFolder() { fs::create_directories(repo_.path() / ".libsync"); }

  [[nodiscard]] fs::path path_of(const RunAccount& account) const {
    return files_.folder() / file_of(account).name();
  }

  WithoutSync without_sync_;
  TemporaryFolder repo_;
  RunFiles files_{repo_.path()};
};

TEST_F(RunFolder, HoldsAnAccountForItsOwnerAlone) {
  EXPECT_THAT(files_.all(), IsEmpty());
  const auto account = account_of(kBegun);
  files_.write(account);
  EXPECT_EQ(files_.folder(), repo_.path() / ".libsync" / "runs");
  EXPECT_EQ(mode_of(files_.folder()), 0700U);
  EXPECT_EQ(mode_of(path_of(account)), 0600U);
  EXPECT_EQ(path_of(account).filename(), std::to_string(kBegun) + "-" + account.run.text());
  EXPECT_THAT(files_.all(), ElementsAre(file_of(account)));
  EXPECT_EQ(files_.read(file_of(account)), account);
}

TEST_F(RunFolder, KeepsTheTenLatestRuns) {
  std::vector<RunAccount> accounts;
  // 9 comes before 10: by number, and not as text.
  for (std::uint64_t i = 5; i < 17; ++i) {
    accounts.push_back(account_of(i));
    files_.write(accounts.back());
    EXPECT_LE(names_in(files_.folder()).size(), kMostRunFiles);
  }
  const auto all = files_.all();
  ASSERT_THAT(all, SizeIs(kMostRunFiles));
  EXPECT_EQ(all.front(), file_of(accounts.back()));
  EXPECT_EQ(all.back(), file_of(accounts[2]));
  // A clock that was set back makes the latest run the first one by its name.
  const auto early = account_of(1);
  files_.write(early);
  EXPECT_EQ(files_.read(file_of(early)), early);
  EXPECT_THAT(files_.all(), SizeIs(kMostRunFiles));
}

TEST_F(RunFolder, LeavesOtherNamesAloneAndDeletesWhatADeadTickLeft) {
  const auto account = account_of(kBegun);
  const auto id = std::string(32, 'a');
  fs::create_directory(files_.folder());
  const std::vector<std::string> foreign = {
      "notes", "7-" + id.substr(1), "07-" + id, "7-" + id + "x", "-" + id, "notes.new", "7_" + id};
  for (const auto& name : foreign) write_file(files_.folder() / name, "mine");
  write_file(files_.folder() / ("7-" + id + ".new"), "half");
  files_.write(account);
  EXPECT_THAT(files_.all(), ElementsAre(file_of(account)));
  for (const auto& name : foreign) EXPECT_TRUE(fs::exists(files_.folder() / name)) << name;
  EXPECT_THAT(names_in(files_.folder()), SizeIs(foreign.size() + 1));
}

TEST_F(RunFolder, PassesThroughNoSymlink) {
  const auto account = account_of(kBegun);
  TemporaryFolder elsewhere;
  const auto target = elsewhere.path() / file_of(account).name();
  write_file(target, encode(account));
  fs::create_directory(files_.folder());
  fs::create_symlink(target, path_of(account));
  fs::create_directory(files_.folder() / ("8-" + std::string(32, 'b')));
  EXPECT_THAT(files_.all(), IsEmpty());
  EXPECT_EQ(files_.read(file_of(account)), std::nullopt);
  files_.write(account);
  EXPECT_EQ(files_.read(file_of(account)), account) << "the file replaces the symlink itself";
  EXPECT_EQ(content_of(target), encode(account));
  fs::remove_all(files_.folder());
  fs::create_directory_symlink(elsewhere.path(), files_.folder());
  EXPECT_THAT(files_.all(), IsEmpty());
  EXPECT_EQ(files_.read(file_of(account)), std::nullopt);
  EXPECT_THROW(files_.write(account_of(kBegun + 1)), Failure);
  EXPECT_THAT(names_in(elsewhere.path()), SizeIs(1));
}

TEST_F(RunFolder, ReadsNoDamagedFileAndWritesItAgain) {
  const auto account = account_of(kBegun);
  files_.write(account);
  const auto text = encode(account);
  for (const auto& damaged : {std::string(), text.substr(0, text.size() / 2),
                              text.substr(0, text.size() - 1), text + "x", "<script>" + text}) {
    write_file(path_of(account), damaged);
    EXPECT_EQ(files_.read(file_of(account)), std::nullopt) << damaged;
    EXPECT_THAT(files_.all(), SizeIs(1));
  }
  files_.write(account);
  EXPECT_EQ(files_.read(file_of(account)), account);
  write_file(path_of(account), encode(account_of(kBegun)));
  EXPECT_EQ(files_.read(file_of(account)), std::nullopt) << "it is of another run";
}

TEST_F(RunFolder, DeletesAFileThatIsTooLongForAnAccount) {
  const auto account = account_of(kBegun);
  files_.write(account);
  const auto later = RunFile{kBegun + 1, random_name<RunId>()};
  write_file(files_.folder() / later.name(), "");
  fs::resize_file(files_.folder() / later.name(), kRunAccountBytes + 1);
  EXPECT_EQ(files_.read(later), std::nullopt);
  files_.write(account_of(kBegun + 2));
  EXPECT_FALSE(fs::exists(files_.folder() / later.name()));
  EXPECT_EQ(files_.read(file_of(account)), account);
}

TEST_F(RunFolder, AddsAccountsThatComeLateAndLosesNone) {
  auto account = account_of(kBegun, 1);
  files_.write(account);
  account.hosts[1].has_account = true;
  files_.write(account);
  EXPECT_EQ(files_.read(file_of(account)), account);
  auto poorer = account;
  poorer.hosts[0].has_account = false;
  files_.write(poorer);
  EXPECT_EQ(files_.read(file_of(account)), account) << "Redis has lost some of them";
}

TEST_F(RunFolder, NamesTheCauseIfItIsNotReadable) {
  files_.write(account_of(kBegun));
  fs::permissions(repo_.path() / ".libsync", fs::perms::owner_all);
  // It belongs to root, or to this user, who cannot enter it either.
  if (geteuid() != 0) fs::permissions(files_.folder(), fs::perms::none);
  EXPECT_TRUE(holds_for_ordinary_user([&] {
    try {
      static_cast<void>(files_.all());
    } catch (const Failure& failure) {
      return std::string(failure.what()).find("Permission denied") != std::string::npos;
    }
    return false;
  }));
  fs::permissions(files_.folder(), fs::perms::owner_all);
}

// --- The master writes them ---

class KeptAccounts : public testing::Test, protected MasterWorld {
 protected:
  KeptAccounts() {
    set_task();
    static_cast<void>(tick());
    minion.act();
  }

  [[nodiscard]] std::vector<RunFile> kept() const { return files_.all(); }
  [[nodiscard]] fs::path runs() const { return files_.folder(); }

  RunFiles files_{repo()};
  unsigned changes_ = 0;
  bool has_failed_ = false;
};

TEST_F(KeptAccounts, AreWrittenWhenTheRunHasEnded) {
  EXPECT_THAT(kept(), IsEmpty());
  EXPECT_EQ(tick(), ExitStatus::done);
  ASSERT_THAT(kept(), SizeIs(1));
  const auto account = files_.read(kept().front());
  ASSERT_TRUE(account);
  EXPECT_EQ(account->run, shared.begun().front().id);
  EXPECT_EQ(account->path, task().string());
  EXPECT_EQ(account->outcome, "complete");
  EXPECT_EQ(account->finished, 1U);
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_THAT(kept(), SizeIs(1));
}

TEST_F(KeptAccounts, AreWrittenByTheNextTickIfTheFirstOneDies) {
  coordinator.faults.at_call = [&](std::string_view verb) {
    if (verb == "last_account" && !shared.ended().empty()) throw Killed();
  };
  EXPECT_THROW(static_cast<void>(tick()), Killed);
  coordinator.faults.at_call = nullptr;
  ASSERT_THAT(shared.ended(), SizeIs(1));
  ASSERT_THAT(kept(), IsEmpty());
  EXPECT_EQ(tick(), ExitStatus::done);
  ASSERT_THAT(kept(), SizeIs(1));
  EXPECT_TRUE(files_.read(kept().front()));
}

TEST_F(KeptAccounts, ComeToTheNextTickWithAccountsOfHostsThatLearnLateOfTheEnd) {
  ASSERT_EQ(tick(), ExitStatus::done);
  ASSERT_THAT(kept(), SizeIs(1));
  EXPECT_FALSE(files_.read(kept().front())->hosts.front().has_account);
  clock.advance(5s);
  FakeMinionCoordinator(shared).give_account(shared.begun().front().id, kMinionHost,
                                             {.joined_ago = 1s});
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_TRUE(files_.read(kept().front())->hosts.front().has_account);
}

TEST_F(KeptAccounts, AreWrittenOfRunsThatEndShort) {
  config.minions = 2;
  shared.task.reset();
  EXPECT_EQ(tick(), ExitStatus::ended_short);
  const auto other = folder.path() / "data" / "model.8";
  write_file(other, "another payload");
  shared.task = other.string();
  coordinator.faults.at_call = [&](std::string_view verb) {
    if (verb == "begin") write_file(other, random_bytes(100, ++changes_));
  };
  EXPECT_EQ(tick(), ExitStatus::ended_short);
  EXPECT_THAT(shared.refusals(), SizeIs(1));
  std::vector<std::string> outcomes;
  for (const auto& file : kept()) outcomes.push_back(files_.read(file)->outcome);
  std::sort(outcomes.begin(), outcomes.end());
  EXPECT_THAT(outcomes, ElementsAre("cancelled", "changed", "changed", "changed"));
}

TEST_F(KeptAccounts, WaitForARedisThatIsOutOfReach) {
  config.host.linger = 5s;
  coordinator.faults.at_call = [&](std::string_view verb) {
    if (verb != "last_account" || shared.ended().empty() || has_failed_) return;
    has_failed_ = true;
    coordinator.faults.fail(1, Lost::answer, "last_account");
  };
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_TRUE(has_failed_);
  EXPECT_EQ(shared.ended().front().outcome, "complete");
  EXPECT_THAT(kept(), SizeIs(1)) << "the same tick has tried again";
  EXPECT_EQ(logged("warning"), 0U);
}

TEST_F(KeptAccounts, EndNoRunIfTheyCannotBeWritten) {
  write_file(runs(), "no folder");
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_EQ(shared.ended().front().outcome, "complete");
  EXPECT_THAT(records(), IsEmpty());
  EXPECT_EQ(logged("warning: sync-master report cannot show the run that ended last: cannot make "
                   "the folder"),
            1U);
  fs::remove(runs());
  EXPECT_EQ(tick(), ExitStatus::done);
  EXPECT_THAT(kept(), SizeIs(1)) << "the operator has corrected it";
}

}  // namespace
}  // namespace libsync::test
