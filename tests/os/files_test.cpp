#include "os/files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>

#include "file_size_limit.h"
#include "libsync/core/failure.h"
#include "ordinary_user.h"
#include "temporary_folder.h"

namespace libsync {
namespace {

class Disk : public testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path path(const std::string& name) const {
    return folder_.path() / name;
  }
  [[nodiscard]] std::size_t names() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder_.path()),
                      std::filesystem::directory_iterator()));
  }

  test::TemporaryFolder folder_;
};

TEST_F(Disk, ReplaceFileWritesAllWithExactlyTheMode) {
  const auto mask = umask(077);
  replace_file(path("file"), "old", 0640);
  replace_file(path("file"), "new and longer", 0644);
  umask(mask);
  EXPECT_EQ(test::content_of(path("file")), "new and longer");
  EXPECT_EQ(status_of(path("file"))->st_mode & 07777U, 0644U);
  EXPECT_EQ(names(), 1U);
}

TEST_F(Disk, ReplaceFileLeavesTheOldContentIfItCannotWriteAll) {
  replace_file(path("file"), "old", 0640);
  {
    const test::FileSizeLimit limit(100);
    EXPECT_THROW(replace_file(path("file"), std::string(200, 'n'), 0640), Failure);
  }
  EXPECT_EQ(test::content_of(path("file")), "old");
  replace_file(path("file"), "n", 0640);  // The remains of the failed call do not matter.
  EXPECT_EQ(test::content_of(path("file")), "n");
}

TEST_F(Disk, WriteNamedFileObeysTheUmaskAndKeepsASymlink) {
  test::write_file(path("file"), "old");
  std::filesystem::create_symlink("file", path("link"));
  const auto mask = umask(027);
  write_named_file(path("new"), "content");
  write_named_file(path("link"), "new and longer");
  umask(mask);
  EXPECT_EQ(test::content_of(path("new")), "content");
  EXPECT_EQ(status_of(path("new"))->st_mode & 07777U, 0640U);
  EXPECT_EQ(test::content_of(path("file")), "new and longer");
  EXPECT_TRUE(S_ISLNK(status_of(path("link"))->st_mode));
  EXPECT_EQ(names(), 3U) << "nothing is left beside them";
}

TEST_F(Disk, WriteNamedFileChangesNothingIfItFails) {
  test::write_file(path("file"), "old");
  {
    const test::FileSizeLimit limit(100);
    EXPECT_THROW(write_named_file(path("file"), std::string(200, 'n')), Failure);
  }
  EXPECT_THROW(write_named_file(path("nowhere/file"), "new"), Failure);
  // A device such as /dev/null must not become a file either.
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_THROW(write_named_file(path("pipe"), "new"), Failure);
  EXPECT_THROW(write_named_file(folder_.path(), "new"), Failure);
  EXPECT_TRUE(S_ISFIFO(status_of(path("pipe"))->st_mode));
  EXPECT_EQ(test::content_of(path("file")), "old");
  EXPECT_EQ(names(), 2U);
}

TEST_F(Disk, ReadFileReturnsNothingForMissingLargeAndOtherFiles) {
  test::write_file(path("file"), "1234");
  EXPECT_EQ(read_file(path("file"), 4), "1234");
  EXPECT_EQ(read_file(path("file"), 3), std::nullopt);
  EXPECT_EQ(read_file(path("missing"), 4), std::nullopt);
  EXPECT_EQ(read_file(path("file") / "below", 4), std::nullopt);
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(read_file(path("fifo"), 4), std::nullopt);
  std::filesystem::create_symlink("file", path("link"));
  EXPECT_THROW(static_cast<void>(read_file(path("link"), 4)), Failure);
}

TEST_F(Disk, AppendToFileAddsAtTheEnd) {
  append_to_file(path("file"), "one\n");
  append_to_file(path("file"), "two\n");
  EXPECT_EQ(test::content_of(path("file")), "one\ntwo\n");
}

TEST_F(Disk, MakeFolderSetsExactlyTheModeAndAcceptsNoSubstitute) {
  const auto mask = umask(077);
  make_folder(path("folder"), 0770);
  umask(mask);
  EXPECT_EQ(status_of(path("folder"))->st_mode & 07777U, 0770U);
  make_folder(path("folder"), 0700);
  EXPECT_EQ(status_of(path("folder"))->st_mode & 07777U, 0770U);
  test::write_file(path("file"), "");
  std::filesystem::create_directory_symlink("folder", path("link"));
  EXPECT_THROW(make_folder(path("file"), 0770), Failure);
  EXPECT_THROW(make_folder(path("link"), 0770), Failure);
  EXPECT_THROW(make_folder(path("missing") / "below", 0770), Failure);
}

TEST_F(Disk, OpenBeneathStaysBeneathAndRefusesSymlinks) {
  test::write_file(path("folder/inner/file"), "");
  test::write_file(path("outside"), "");
  std::filesystem::create_symlink("file", path("folder/inner/link"));
  std::filesystem::create_directory_symlink("inner", path("folder/linked"));
  std::filesystem::create_symlink("../outside", path("folder/out"));
  const auto folder = open_file(path("folder"), O_PATH | O_DIRECTORY);
  EXPECT_TRUE(open_beneath(folder, "inner/file", O_RDONLY));
  for (const auto* const bad : {"inner/link", "linked/file", "out", "../outside",
                                "inner/../../outside", "/etc/passwd", "inner/missing"}) {
    errno = 0;
    EXPECT_FALSE(open_beneath(folder, bad, O_RDONLY)) << bad;
    EXPECT_NE(errno, 0) << bad;
  }
  EXPECT_FALSE(open_beneath(folder, path("folder/inner/file"), O_RDONLY));
}

TEST_F(Disk, OpenFileRefusesASymlinkAtTheEnd) {
  test::write_file(path("file"), "");
  std::filesystem::create_symlink("file", path("link"));
  EXPECT_THROW(static_cast<void>(open_file(path("link"), O_RDONLY)), Failure);
}

TEST_F(Disk, FailureNamesActPathCauseAndWayOut) {
  try {
    static_cast<void>(open_file(path("missing"), O_RDONLY));
    ADD_FAILURE();
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.what(), "cannot open '" + path("missing").string() +
                                  "': No such file or directory: make it, or name another with the "
                                  "options");
    EXPECT_EQ(failure.status(), ExitStatus::local);
    EXPECT_EQ(failure.remedy(), Remedy::operator_acts);
  }
}

TEST_F(Disk, TimeHelpsOnlyAFullDisk) {
  for (const int error : {ENOSPC, EDQUOT, EROFS, EIO, EACCES}) {
    errno = error;
    try {
      throw_disk_failure("write", path("file"));
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.remedy() == Remedy::try_again, error == ENOSPC || error == EDQUOT);
    }
  }
}

TEST_F(Disk, ExchangePathsSwapsAndNeedsBoth) {
  test::write_file(path("one/inner"), "1");
  test::write_file(path("other"), "2");
  exchange_paths(path("one"), path("other"));
  EXPECT_EQ(test::content_of(path("one")), "2");
  EXPECT_EQ(test::content_of(path("other/inner")), "1");
  EXPECT_THROW(exchange_paths(path("one"), path("missing")), Failure);
  EXPECT_EQ(test::content_of(path("one")), "2");
}

TEST_F(Disk, AskingWhetherBlocksCanBeSharedLeavesNothing) {
  static_cast<void>(can_share_blocks(folder_.path()));
  EXPECT_EQ(names(), 0U);
  EXPECT_FALSE(can_share_blocks(path("missing")));
}

TEST(Mounts, AreTheFifthFieldWithItsBlanksInOctal) {
  EXPECT_THAT(
      mount_points_of("22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
                      "96 22 0:5 /a /srv/my\\040files\\134x rw shared:1 - tmpfs tmpfs rw\n"),
      testing::ElementsAre("/", "/srv/my files\\x"));
  EXPECT_THAT(mount_points(), testing::Contains("/proc"));
}

}  // namespace
}  // namespace libsync
