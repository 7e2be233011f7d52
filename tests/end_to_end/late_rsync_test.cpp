// On a busy host rsync may pause between printing the name of a file and its last calls on that
// file. Here strace delays each of its closes.

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstdlib>

#include "fleet.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class LateRsync : public Fleet {
 protected:
  LateRsync() {
    if (const char* const path = getenv("PATH")) path_ = path;
  }
  ~LateRsync() override { setenv("PATH", path_.c_str(), 1); }

  /// Programs that start from now on run a delayed rsync.
  void delay_closes() const {
    const auto folder = source_root() / "bin";
    write_file(folder / "rsync",
               "#!/bin/sh\nexec strace -f -o /dev/null -e trace=close "
               "-e inject=close:delay_enter=20000 /usr/bin/rsync \"$@\"\n");
    std::filesystem::permissions(folder / "rsync", std::filesystem::perms(0755));
    setenv("PATH", (folder.string() + ":" + path_).c_str(), 1);
  }
  void restore_rsync() const { setenv("PATH", path_.c_str(), 1); }

 private:
  std::string path_;
};

TEST_F(LateRsync, TheModulesUserCanReadVerifiedPiecesAndNoHostIsBlamed) {
  const auto payload = source_root() / "late";
  write_file(payload, random_bytes(12'000'000, 1));
  add_hosts(2);
  auto& first = *minions().front();
  auto& second = *minions().back();
  set_task(payload);
  ASSERT_EQ(master().run("sync-master", {"--minions", "2", "--piece-size", "2M"}).status, 0);
  delay_closes();
  const auto ran = first.run("sync-minion");
  restore_rsync();
  EXPECT_EQ(ran.status, 0) << ran.output;
  EXPECT_THAT(ran.output, Not(HasSubstr("status 23")));
  struct stat repo {};
  ASSERT_EQ(stat(first.repo().c_str(), &repo), 0);
  for (const auto* const name : {"manifest", "p00000", "p00001", "p00002", "p00003", "p00004"}) {
    struct stat status {};
    ASSERT_EQ(stat((first.spools().at(0) / name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 07777U, 0640U) << name;
    EXPECT_EQ(status.st_gid, repo.st_gid) << name;
  }
  master().stop_daemon();
  const auto next = second.run("sync-minion");
  EXPECT_EQ(next.status, 0) << next.output;
  EXPECT_THAT(next.output, Not(HasSubstr("status 23")));
  expect_published(second, payload);
}

}  // namespace
}  // namespace libsync::test
