#include "os/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "libsync/core/failure.h"
#include "ordinary_user.h"
#include "os/descriptor.h"
#include "os/files.h"
#include "os/process.h"
#include "temporary_folder.h"
#include "test_process.h"

namespace libsync {
namespace {

using testing::HasSubstr;

void limit(int resource, rlim_t soft, rlim_t hard) {
  const rlimit limits{soft, hard};
  ASSERT_EQ(setrlimit(resource, &limits), 0);
}

// All in a process of its own, whose limits count for nobody else.
TEST(Limits, TheSoftOnesAreRaisedAndChildrenKeepTheirs) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "limits";
  test::give_to_ordinary_user(folder.path());
  EXPECT_TRUE(test::holds_for_ordinary_user([&] {
    limit(RLIMIT_NOFILE, 60, 300);
    limit(RLIMIT_FSIZE, 1000, 100'000);
    raise_limits();
    auto child = Child::start(
        {"/bin/bash", {"-c", "ulimit -S -n > " + path.string()}, {"PATH=/usr/bin:/bin"}, "", -1});
    while (!child.ended()) static_cast<void>(child.lines());
    rlimit size{};
    getrlimit(RLIMIT_FSIZE, &size);
    return open_file_limit() == 300 && size.rlim_cur == 100'000;
  }));
  EXPECT_EQ(test::content_of(path), "60\n");
}

TEST(Limits, AFileThatIsTooLargeIsAFailureAndNoSignal) {
  const test::TemporaryFolder folder;
  test::give_to_ordinary_user(folder.path());
  EXPECT_TRUE(test::holds_for_ordinary_user([&] {
    limit(RLIMIT_FSIZE, 1000, 1000);
    raise_limits();
    try {
      append_to_file(folder.path() / "file", std::string(2000, 'x'));
    } catch (const Failure& failure) {
      return std::string(failure.what()).find("raise the limit of file sizes (ulimit -f") !=
                 std::string::npos &&
             failure.remedy() == Remedy::operator_acts;
    }
    return false;
  }));
}

TEST(Limits, TooManyOpenFilesNameTheLimit) {
  errno = EMFILE;
  try {
    throw_disk_failure("open", std::filesystem::path("/srv/file"));
  } catch (const Failure& failure) {
    EXPECT_THAT(failure.what(), HasSubstr("raise the limit of open files (ulimit -n"));
  }
}

}  // namespace
}  // namespace libsync
