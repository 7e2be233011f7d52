// A role deletes what it has discarded, in the background.

#include "store/sweeper.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "failing_disk.h"
#include "os/files.h"
#include "os/random.h"
#include "task_path.h"
#include "temporary_folder.h"
#include "test_process.h"

namespace libsync {
namespace {

using std::filesystem::exists;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SweeperTest : public testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path discard(const std::string& name) const {
    auto path = state_.path() / name;
    test::write_file(path / "tree" / "payload" / "file", "x");
    return path;
  }
  /// The reasons of a Sweeper that has come to an end.
  [[nodiscard]] std::vector<std::string> sweep_all(Sweeper& sweeper) const {
    auto reasons = sweeper.sweep();
    EXPECT_TRUE(test::eventually([&] {
      for (auto& why : sweeper.sweep()) reasons.push_back(std::move(why));
      return !sweeper.is_working();
    }));
    return reasons;
  }

  test::TemporaryFolder repo_;
  StateFolder state_{repo_.path()};
};

TEST_F(SweeperTest, DeletesOnlyWhatItsOwnRoleHasDiscarded) {
  const auto ours = discard("gone-minion-0123");
  const auto other = discard("gone-master-4567");
  const auto spool = state_.spool(random_name<Fingerprint>());
  spool.assign({.role = Role::minion,
                .run = random_name<RunId>(),
                .task = test::task_path("/srv/data/payload"),
                .content = random_name<Fingerprint>(),
                .piece_bytes = 1});
  Sweeper sweeper(state_, Role::minion);
  EXPECT_THAT(sweep_all(sweeper), IsEmpty());
  EXPECT_FALSE(exists(ours));
  EXPECT_TRUE(exists(other));
  EXPECT_TRUE(exists(spool.folder()));
  spool.leave(Role::minion);
  EXPECT_FALSE(exists(spool.folder()));
  EXPECT_EQ(state_.discarded(Role::minion).size(), 1U);
  EXPECT_THAT(sweep_all(sweeper), IsEmpty());
  EXPECT_THAT(state_.discarded(Role::minion), IsEmpty());
}

TEST_F(SweeperTest, NamesWhatStaysOnceATick) {
  const auto ours = discard("gone-minion-0123");
  std::optional<test::FailingDisk> failing(std::in_place, 1, EROFS, test::Failing::forever);
  {
    Sweeper sweeper(state_, Role::minion);
    EXPECT_THAT(sweep_all(sweeper), ElementsAre(HasSubstr("mount it writable")));
    EXPECT_THAT(sweep_all(sweeper), IsEmpty());
    EXPECT_TRUE(exists(ours));
  }
  failing.reset();
  Sweeper next(state_, Role::minion);
  EXPECT_THAT(sweep_all(next), IsEmpty());
  EXPECT_FALSE(exists(ours));
}

TEST_F(SweeperTest, NobodyWaitsForALargeFolder) {
  constexpr std::size_t kFiles = 30'000;
  const auto ours = discard("gone-minion-0123");
  const auto folder = open_file(ours, O_RDONLY | O_DIRECTORY);
  for (std::size_t i = 0; i < kFiles; ++i) {
    ASSERT_EQ(mknodat(folder.number(), std::to_string(i).c_str(), S_IFREG | 0600, 0), 0);
  }
  {
    Sweeper sweeper(state_, Role::minion);
    static_cast<void>(sweeper.sweep());
    EXPECT_TRUE(sweeper.is_working());
    EXPECT_TRUE(test::eventually([&] { return names_in(ours).size() < kFiles; }));
  }
  EXPECT_TRUE(exists(ours)) << "the rest waits for the next tick";
}

}  // namespace
}  // namespace libsync
