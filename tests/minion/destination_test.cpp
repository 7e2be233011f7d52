// A minion refuses some destinations, because it must not replace them.

#include "minion/destination.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <vector>

#include "temporary_folder.h"

namespace libsync {
namespace {

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

}  // namespace
}  // namespace libsync
