// The folder in which `check` tries things, and the facts about the repo.

#include "store/check_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "hand_clock.h"
#include "os/files.h"
#include "store/repo_facts.h"
#include "temporary_folder.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using testing::Optional;
using namespace std::chrono_literals;

class CheckFolderTest : public testing::Test {
 protected:
  // Makes the modification time of a file so much earlier than the clock.
  void date(const std::filesystem::path& path, std::chrono::seconds ago) {
    const auto then = std::chrono::system_clock::to_time_t(clock_.wall() - ago);
    const timeval both[2] = {{then, 0}, {then, 0}};
    ASSERT_EQ(utimes(path.c_str(), both), 0);
  }

  TemporaryFolder repo_;
  HandClock clock_;
  StateFolder state_{repo_.path()};
};

TEST_F(CheckFolderTest, IsDeletedAfterwards) {
  std::filesystem::path path;
  {
    const CheckFolder folder(repo_.path(), clock_.wall());
    const CheckFolder beside(repo_.path(), clock_.wall());
    path = folder.path();
    EXPECT_EQ(path.parent_path(), state_.path());
    EXPECT_NE(beside.path(), path) << "two checks at once";
    folder.write("probe", "x");
    EXPECT_EQ(status_of(path / "probe")->st_mode & 07777U, 0640U);
    folder.restrict("probe", 0600);
    EXPECT_EQ(status_of(path / "probe")->st_mode & 07777U, 0600U);
    EXPECT_TRUE(folder.can_exchange());
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(CheckFolderTest, LeavesNoStateFolderOnAHostThatHasNone) {
  const TemporaryFolder fresh;
  { const CheckFolder folder(fresh.path(), clock_.wall()); }
  EXPECT_TRUE(std::filesystem::is_empty(fresh.path()));
  {
    const CheckFolder folder(fresh.path(), clock_.wall());
    const StateFolder tick(fresh.path());
  }
  EXPECT_TRUE(std::filesystem::exists(fresh.path() / ".libsync" / "receipt")) << "a tick began";
}

TEST_F(CheckFolderTest, DeletesWhatADeadCheckLeftAndNothingElse) {
  const auto old = state_.path() / "check-dead";
  const auto young = state_.path() / "check-alive";
  const auto other = state_.path() / "other";
  for (const auto& path : {old, young, other}) std::filesystem::create_directory(path);
  date(old, 2h);
  date(young, 5s);
  date(other, 2h);
  const CheckFolder folder(repo_.path(), clock_.wall());
  EXPECT_FALSE(std::filesystem::exists(old));
  EXPECT_TRUE(std::filesystem::exists(young));
  EXPECT_TRUE(std::filesystem::exists(other));
}

TEST_F(CheckFolderTest, TheFactsOfARepo) {
  const CheckFolder folder(repo_.path(), clock_.wall());
  auto facts = repo_facts(folder);
  EXPECT_EQ(facts.path, std::filesystem::canonical(repo_.path()));
  EXPECT_TRUE(facts.is_one_file_system);
  EXPECT_TRUE(facts.can_exchange);
  EXPECT_TRUE(facts.can_write);
  EXPECT_GT(facts.free_bytes, 0U);
  EXPECT_NE(facts.group_name, "");
  EXPECT_EQ(facts.weakness, std::nullopt);
  std::filesystem::permissions(repo_.path(), std::filesystem::perms(0777));
  facts = repo_facts(folder);
  EXPECT_THAT(facts.weakness, Optional(HasSubstr("0777")));
}

TEST_F(CheckFolderTest, TheLastTickByItsLock) {
  const auto path = state_.lock_path(Role::minion);
  EXPECT_EQ(tick_facts(path, clock_).begun_ago, std::nullopt);
  write_file(path, "process 4294967294");
  date(path, 90s);
  auto facts = tick_facts(path, clock_);
  EXPECT_EQ(facts.begun_ago, 90s);
  EXPECT_FALSE(facts.is_running);
  write_file(path, "process " + std::to_string(getpid()));
  EXPECT_TRUE(tick_facts(path, clock_).is_running);
  write_file(path, "process <script>");
  EXPECT_FALSE(tick_facts(path, clock_).is_running);
  date(path, -60s);
  facts = tick_facts(path, clock_);
  EXPECT_EQ(facts.begun_ago, 0s) << "a clock that was set back";
  EXPECT_EQ(tick_facts(state_.lock_path(Role::master), clock_).begun_ago, std::nullopt);
}

}  // namespace
}  // namespace libsync::test
