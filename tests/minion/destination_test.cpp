// A minion refuses some destinations, because it must not replace them.

#include "minion/destination.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "failing_disk.h"
#include "libsync/core/failure.h"
#include "os/random.h"
#include "store/state_folder.h"
#include "task_path.h"
#include "temporary_folder.h"

namespace libsync {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Destination, IsRefusedIfItMustNotBeReplaced) {
  const test::TemporaryFolder folder;
  const auto& repo = folder.path();
  test::write_file(repo / "file", "");
  std::filesystem::create_directory(repo / "folder");
  std::filesystem::create_symlink("file", repo / "symlink");
  ASSERT_EQ(mkfifo((repo / "fifo").c_str(), 0600), 0);
  struct Row {
    std::filesystem::path repo;
    const char* name;
    std::optional<EntryKind> kind;
    const char* rule;  // Empty: the minion accepts the destination.
  };
  const std::vector<Row> rows = {
      {repo, "missing", EntryKind::file, ""},
      {repo, "file", EntryKind::file, ""},
      {repo, "file", std::nullopt, ""},
      {repo, "file", EntryKind::folder, "is a file, the payload is a folder"},
      {repo, "folder", EntryKind::folder, ""},
      {repo, "folder", std::nullopt, ""},
      {repo, "folder", EntryKind::file, "is a folder, the payload is a file"},
      {repo, "symlink", std::nullopt, "is a symlink"},
      {repo, "fifo", std::nullopt, "is a special file"},
      {"/", "proc", EntryKind::folder, "is a mount point"}};
  for (const auto& [in, name, kind, rule] : rows) {
    const auto refusal = refuse_destination(in, name, kind);
    EXPECT_THAT(refusal ? refusal->reason : "", HasSubstr(rule)) << name;
    EXPECT_EQ(refusal.has_value(), *rule != '\0') << name;
  }
}

TEST(Destination, MayBeInARepoThatIsASymlinkToAnotherFileSystem) {
  const test::TemporaryFolder folder;
  std::filesystem::create_symlink("/proc", folder.path() / "repo");
  EXPECT_FALSE(refuse_destination(folder.path() / "repo", "tty", std::nullopt));
}

// NFS has renameat2(2), but none of its flags.
TEST(Destination, IsRefusedWhereTwoFoldersCannotBeSwapped) {
  const test::TemporaryFolder folder;
  const auto spool = StateFolder(folder.path()).spool(random_name<Fingerprint>());
  spool.assign({.role = Role::minion,
                .run = random_name<RunId>(),
                .task = test::task_path("/srv/new"),
                .content = random_name<Fingerprint>()});
  for (const auto error : {EINVAL, ENOSYS, EOPNOTSUPP}) {
    std::vector<std::string> reasons;
    bool has_failed = true;
    for (std::size_t nth = 1; has_failed; ++nth) {
      const test::FailingDisk disk(nth, error);
      try {
        const auto refusal = refuse_file_system(folder.path(), "new", spool, EntryKind::folder);
        if (refusal) reasons.push_back(refusal->reason);
      } catch (const Failure&) {
      }
      has_failed = disk.has_failed();
    }
    EXPECT_THAT(reasons, ElementsAre(HasSubstr("cannot swap two folders in one step"))) << error;
    EXPECT_FALSE(refuse_file_system(folder.path(), "new", spool, EntryKind::folder));
  }
}

}  // namespace
}  // namespace libsync
