// A tree is deleted in small steps, whatever it holds.

#include "os/removal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "failing_disk.h"
#include "libsync/core/failure.h"
#include "ordinary_user.h"
#include "os/descriptor.h"
#include "os/files.h"
#include "temporary_folder.h"

namespace libsync {
namespace {

using testing::HasSubstr;

class RemovalTest : public testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path path(const std::string& name) const {
    return folder_.path() / name;
  }

  test::TemporaryFolder folder_;
};

TEST_F(RemovalTest, DeletesFoldersThatMayNotBeWrittenTo) {
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
  remove_tree(path("top"));  // A missing tree is no failure.
}

TEST_F(RemovalTest, SaysWhyWhereNothingDependsOnIt) {
  test::write_file(path("top/file"), "x");
  EXPECT_FALSE(try_remove_tree(path("top")));
  EXPECT_FALSE(std::filesystem::exists(path("top")));
  EXPECT_THAT(try_remove_tree("/proc/version").value_or(""), HasSubstr("/proc/version"));
}

TEST_F(RemovalTest, ASymlinkAtTheTopIsDeletedItself) {
  test::write_file(path("outside/kept"), "kept");
  std::filesystem::create_directory_symlink(path("outside"), path("top"));
  EXPECT_TRUE(remove_tree(path("top")));
  EXPECT_EQ(test::content_of(path("outside/kept")), "kept");
}

TEST_F(RemovalTest, StopsBetweenTwoFilesAndGoesOn) {
  for (int file = 0; file < 50; ++file) {
    test::write_file(path("top/inner/" + std::to_string(file)), "");
  }
  std::stop_source source;
  source.request_stop();
  EXPECT_FALSE(remove_tree(path("top"), source.get_token()));
  EXPECT_EQ(names_in(path("top/inner")).size(), 50U) << "nobody waits for a single file of it";
  EXPECT_TRUE(remove_tree(path("top"), {}));
  EXPECT_FALSE(std::filesystem::exists(path("top")));
}

// 1,100 levels: their path is longer than the kernel accepts, and each level would need a
// descriptor.
TEST_F(RemovalTest, DeletesATreeOfAnyDepth) {
  std::filesystem::create_directory(path("top"));
  auto folder = open_file(path("top"), O_RDONLY | O_DIRECTORY);
  for (int level = 0; level < 1100; ++level) {
    ASSERT_EQ(mkdirat(folder.number(), "level", 0700), 0);
    Descriptor next(openat(folder.number(), "level", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(next);
    folder = std::move(next);
  }
  EXPECT_TRUE(remove_tree(path("top")));
  EXPECT_FALSE(std::filesystem::exists(path("top")));
}

TEST_F(RemovalTest, DeletesTheOthersOfAFileThatTheKernelKeeps) {
  for (const auto* const name : {"top/a/1", "top/a/2", "top/b/3", "top/4"}) {
    test::write_file(path(name), "");
  }
  {
    const test::FailingDisk failing(3, EROFS);
    try {
      remove_tree(path("top"));
      ADD_FAILURE() << "one file has stayed";
    } catch (const Failure& failure) {
      EXPECT_THAT(failure.what(), HasSubstr("cannot delete '" + path("top").string()));
      EXPECT_THAT(failure.what(), HasSubstr("mount it writable"));
    }
  }
  EXPECT_TRUE(remove_tree(path("top")));
  EXPECT_FALSE(std::filesystem::exists(path("top")));
}

}  // namespace
}  // namespace libsync
