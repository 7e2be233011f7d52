#include "disk.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>

#include "libsync/failure.h"
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

constexpr std::size_t kBlock = 64 << 10U;

// Bytes, a hole, bytes, a hole.
class CopyRange : public Disk {
 protected:
  CopyRange() {
    const auto bytes = test::random_bytes(kBlock, 1);
    content_ = bytes + std::string(4 * kBlock, '\0') + bytes + std::string(2 * kBlock, '\0');
    from_ = open_file(path("from"), O_RDWR | O_CREAT, 0600);
    for (const std::size_t offset : {std::size_t{0}, 5 * kBlock}) {
      EXPECT_EQ(pwrite(from_.number(), bytes.data(), kBlock, static_cast<off_t>(offset)),
                static_cast<ssize_t>(kBlock));
    }
    EXPECT_EQ(ftruncate(from_.number(), static_cast<off_t>(content_.size())), 0);
  }

  std::string content_;
  Descriptor from_;
};

TEST_F(CopyRange, KeepsHolesAsHoles) {
  const auto to = open_file(path("to"), O_RDWR | O_CREAT, 0600);
  ASSERT_EQ(ftruncate(to.number(), static_cast<off_t>(content_.size())), 0);
  EXPECT_TRUE(copy_range(from_, 0, to, 0, content_.size(), Density::sparse));
  EXPECT_TRUE(test::content_of(path("to")) == content_);
  EXPECT_EQ(status_of(to).st_blocks, status_of(from_).st_blocks);
}

TEST_F(CopyRange, MakesNoHolesInWhatIsDense) {
  const auto to = open_file(path("to"), O_RDWR | O_CREAT, 0600);
  EXPECT_TRUE(copy_range(from_, 0, to, 0, content_.size(), Density::dense));
  EXPECT_TRUE(test::content_of(path("to")) == content_);
  if (can_share_blocks(folder_.path())) return;  // Holes are shared as well.
  EXPECT_GE(status_of(to).st_blocks * 512, static_cast<blkcnt_t>(content_.size()));
}

TEST_F(CopyRange, CopiesEveryRangeToEveryOffset) {
  const std::string before(content_.size() + 2 * kBlock, '#');
  for (const std::size_t from :
       {std::size_t{0}, kBlock - 7, kBlock + 5, 3 * kBlock, 5 * kBlock + 1}) {
    for (const std::size_t to : {std::size_t{0}, std::size_t{100}, kBlock + 1}) {
      for (const std::size_t bytes : {std::size_t{1}, std::size_t{4096}, kBlock, 3 * kBlock}) {
        if (from + bytes > content_.size()) continue;
        for (const auto density : {Density::sparse, Density::dense}) {
          test::write_file(path("to"), before);
          const auto file = open_file(path("to"), O_RDWR);
          EXPECT_TRUE(copy_range(from_, from, file, to, bytes, density));
          auto expected = before;
          expected.replace(to, bytes, content_, from, bytes);
          ASSERT_TRUE(test::content_of(path("to")) == expected)
              << from << " to " << to << ", " << bytes << " bytes";
        }
      }
    }
  }
}

TEST_F(CopyRange, CopiesBetweenFileSystems) {
  const std::filesystem::path other = "/dev/shm/sync-disk-test-" + std::to_string(getpid());
  const auto to = open_file(other, O_RDWR | O_CREAT | O_EXCL, 0600);
  std::filesystem::remove(other);
  const std::string before(content_.size() + 100, '#');
  auto expected = before;
  expected.replace(3, content_.size() - 20, content_, 10, content_.size() - 20);
  for (const auto density : {Density::sparse, Density::dense}) {
    ASSERT_EQ(pwrite(to.number(), before.data(), before.size(), 0),
              static_cast<ssize_t>(before.size()));
    EXPECT_TRUE(copy_range(from_, 10, to, 3, content_.size() - 20, density));
    std::string found(before.size(), '\0');
    EXPECT_EQ(pread(to.number(), found.data(), found.size(), 0),
              static_cast<ssize_t>(found.size()));
    EXPECT_TRUE(found == expected);
  }
}

TEST_F(CopyRange, TellsThatTheOriginalIsTooShort) {
  const auto to = open_file(path("to"), O_RDWR | O_CREAT, 0600);
  for (const auto density : {Density::sparse, Density::dense}) {
    EXPECT_FALSE(copy_range(from_, 0, to, 0, content_.size() + 1, density));
    EXPECT_FALSE(copy_range(from_, content_.size(), to, 0, 1, density));
    EXPECT_TRUE(copy_range(from_, content_.size(), to, 0, 0, density));
  }
}

TEST_F(Disk, Ext4HasTheBlocksOfWhatIsExpectedAndItsSizeStays) {
  constexpr std::uint64_t kBytes = std::uint64_t{2} << 20U;
  const auto file = open_file(path("file"), O_RDWR | O_CREAT, 0600);
  struct statfs where {};
  ASSERT_EQ(fstatfs(file.number(), &where), 0);
  const bool is_ext4 = where.f_type == EXT4_SUPER_MAGIC;
  expect_writes(file, 0, kBytes);
  EXPECT_EQ(status_of(file).st_size, 0);
  const auto blocks = static_cast<std::uint64_t>(status_of(file).st_blocks);
  if (is_ext4) {
    EXPECT_GE(blocks * 512, kBytes);
  } else {
    EXPECT_EQ(blocks, 0U);
  }
}

TEST_F(Disk, LittleIsNotExpected) {
  const auto file = open_file(path("file"), O_RDWR | O_CREAT, 0600);
  expect_writes(file, 0, 4096);
  EXPECT_EQ(status_of(file).st_blocks, 0);
}

TEST_F(Disk, HashRangeHashesTheRangeAndTellsThatTheFileIsTooShort) {
  const auto content = test::random_bytes(600'000, 2);
  test::write_file(path("file"), content);
  const auto file = open_file(path("file"), O_RDONLY);
  Hasher hasher;
  EXPECT_TRUE(hash_range(hasher, file, 17, 500'000, {}));
  EXPECT_EQ(hasher.finish(), digest_of(content.substr(17, 500'000)));
  Hasher beyond;
  EXPECT_FALSE(hash_range(beyond, file, 17, content.size(), {}));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(hash_range(beyond, file, 0, 1, stop.get_token()));
}

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
  // As a full disk, after 100 bytes.
  auto* const before = signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit little{100, limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &little);
  EXPECT_THROW(replace_file(path("file"), std::string(200, 'n'), 0640), Failure);
  setrlimit(RLIMIT_FSIZE, &limit);
  signal(SIGXFSZ, before);
  EXPECT_EQ(test::content_of(path("file")), "old");
  replace_file(path("file"), "n", 0640);  // What was left over is in nobody's way.
  EXPECT_EQ(test::content_of(path("file")), "n");
}

TEST_F(Disk, ReadFileAnswersForWhatIsNotThereTooLargeOrNoFile) {
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

TEST_F(Disk, MakeFolderGivesExactlyTheModeAndTakesNoSubstitute) {
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

TEST_F(Disk, RemoveTreeDeletesFoldersThatMayNotBeWrittenTo) {
  std::filesystem::create_directories(path("outside"));
  test::write_file(path("outside/kept"), "kept");
  test::write_file(path("top/closed/file"), "");
  test::write_file(path("top/read-only/deep/file"), "");
  std::filesystem::create_directory_symlink(path("outside"), path("top/read-only/link"));
  test::give_to_ordinary_user(folder_.path());
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path("top"))) {
    test::give_to_ordinary_user(entry.path());
  }
  test::give_to_ordinary_user(path("top"));
  std::filesystem::permissions(path("top/read-only/deep"), std::filesystem::perms(0555));
  std::filesystem::permissions(path("top/read-only"), std::filesystem::perms(0555));
  std::filesystem::permissions(path("top/closed"), std::filesystem::perms(0));
  EXPECT_TRUE(test::holds_for_ordinary_user([this] {
    remove_tree(path("top"));
    return !status_of(path("top"));
  }));
  EXPECT_EQ(test::content_of(path("outside/kept")), "kept");
  remove_tree(path("top"));  // Not there any more: nothing to do.
}

TEST(RemoveTree, SaysWhyWhereNothingDependsOnIt) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "top" / "file", "x");
  EXPECT_FALSE(try_remove_tree(folder.path() / "top"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "top"));
  EXPECT_THAT(try_remove_tree("/proc/version").value_or(""), testing::HasSubstr("/proc/version"));
}

TEST_F(Disk, OpenBeneathStaysBeneathAndFollowsNoSymlink) {
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

TEST_F(Disk, OpenFileFollowsNoSymlinkAtTheEnd) {
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

TEST_F(Disk, OnlyAFullDiskMayMendItself) {
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
