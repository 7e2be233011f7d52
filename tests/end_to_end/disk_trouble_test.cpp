// A disk, limit or file system of a host does not fit. One line names the cause and the way out,
// and no host pulls in vain.

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "fleet.h"

namespace libsync::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class DiskTrouble : public Fleet {
 protected:
  std::filesystem::path staged(const std::string& name) {
    set_task(source_root() / name);
    const auto ran = master().run("sync-master", {"--minions", "1", "--piece-size", "1M"});
    EXPECT_EQ(ran.status, 0) << ran.output;
    return source_root() / name;
  }

  // Runs a script, which calls a tick as `tick`, in a namespace where any user may mount. The
  // host's daemon does not see these mounts, so the host may offer nothing.
  static Ran run_with_mounts(const Host& host, const std::string& script) {
    std::vector<std::string> words{"unshare", "--mount"};
    // In a namespace of users root could not give files to the group of the daemon.
    if (geteuid() != 0) words.insert(words.end(), {"--user", "--map-root-user"});
    words.insert(words.end(), {"bash", "-c",
                               "minion=$0 repo=$1 file=$2\n"
                               "tick() { \"$minion\" --config \"$file\" --linger 0; }\n" +
                                   script,
                               program_path("sync-minion"), host.repo().string(),
                               (host.folder() / "sync.toml").string()});
    return run(words);
  }
};

// All but a few bytes can be adopted, and the tree needs the room of the whole payload.
TEST_F(DiskTrouble, AdoptionNeedsTheRoomOfThePayloadAndFillsNoDisk) {
  auto& host = add_host();
  auto content = random_bytes(60'000'000, 5);
  const auto former = source_root() / "former";
  write_file(former, content);
  content[30'000'000] = static_cast<char>(content[30'000'000] ^ 1);
  write_file(source_root() / "large", content);
  static_cast<void>(staged("large"));
  const auto ran = run_with_mounts(host,
                                   "mount -t tmpfs -o size=100m tmpfs \"$repo\" || exit 7\n"
                                   "cp " +
                                       former.string() +
                                       " \"$repo/large\" || exit 8\n"
                                       "tick; status=$?\n"
                                       "du -sm \"$repo/.libsync\" | cut -f1\n"
                                       "exit $status");
  EXPECT_EQ(ran.status, 4) << ran.output << ran.errors;
  EXPECT_THAT(ran.output, AllOf(HasSubstr("large needs 0.06 GB on the file system of"),
                                HasSubstr("and 0.04 GB are free: free some space there")));
  EXPECT_TRUE(ran.output.ends_with("\n0\n") || ran.output.ends_with("\n1\n")) << ran.output;
}

// Another program fills the disk after the check.
TEST_F(DiskTrouble, ATreeIsGivenUpWhenTheDiskIsFullAllTheSame) {
  auto& host = add_host();
  write_file(source_root() / "large", random_bytes(30'000'000, 5));
  static_cast<void>(staged("large"));
  const auto ran =
      run_with_mounts(host,
                      "mount -t tmpfs -o size=80m tmpfs \"$repo\" || exit 7\n"
                      "\"$minion\" --config \"$file\" --bwlimit 4m --linger 0 & pid=$!\n"
                      "until [ $(du -sm \"$repo\" | cut -f1) -ge 12 ]; do\n"
                      "  kill -0 $pid || exit 8; sleep 0.05\n"
                      "done\n"
                      "head -c 100000000 /dev/zero > \"$repo/other\" 2> /dev/null\n"
                      "wait $pid; status=$?\n"
                      "ls \"$repo/.libsync/\"*/; exit $status");
  EXPECT_EQ(ran.status, 4) << ran.output << ran.errors;
  EXPECT_THAT(ran.output,
              AllOf(HasSubstr("free"), Not(HasSubstr("tree")), Not(HasSubstr("gone-minion"))));
}

// Another program fills the disk while the host copies pieces from the payload that it replaces.
// The host keeps what it has proven, publishes nothing, and goes on when there is room.
TEST_F(DiskTrouble, ADiskThatFillsWhileOldPiecesAreCopiedKeepsTheProvenOnes) {
  auto& host = add_host();
  constexpr std::size_t kBytes = 100 << 20U;
  const auto former = source_root() / "former";
  write_file(former, random_bytes(kBytes, 5));
  write_file(source_root() / "large", random_bytes(300'000, 6) + content_of(former));
  const auto large = staged("large");
  const auto pieces = master().spools().at(0);
  const auto ran = run_with_mounts(
      host,
      "pieces=" + pieces.string() + " large=" + large.string() + " former=" + former.string() +
          "\n"
          "mount -t tmpfs -o size=320m tmpfs \"$repo\" && cp $former \"$repo/large\" || exit 7\n"
          "tick & pid=$!\n"
          "until ls \"$repo/.libsync/\"*/p00001 > /dev/null 2>&1; do\n"
          "  kill -0 $pid || exit 8\n"
          "done\n"
          "free=$(($(stat -f -c '%a * %S' \"$repo\")))\n"
          "fallocate -l $free \"$repo/other\" || head -c $free /dev/zero > \"$repo/other\"\n"
          "wait $pid; echo \"status $?\"\n"
          "cmp \"$repo/large\" $former || exit 9\n"
          "for piece in \"$repo/.libsync/\"*/p[0-9]*; do\n"
          "  cmp \"$piece\" $pieces/$(basename \"$piece\") || exit 10; echo proven\n"
          "done\n"
          "rm \"$repo/other\"; tick || exit 12\n"
          "cmp \"$repo/large\" $large");
  EXPECT_EQ(ran.status, 0) << ran.output << ran.errors;
  EXPECT_THAT(ran.output, AllOf(HasSubstr("status 4\n"), HasSubstr("free some space"),
                                HasSubstr("proven\n"), Not(HasSubstr("wrong bytes"))));
}

TEST_F(DiskTrouble, AStateFolderOnAnotherFileSystemIsRefusedBeforeAPull) {
  auto& host = add_host();
  write_file(source_root() / "any", random_bytes(3'000'000, 5));
  static_cast<void>(staged("any"));
  const auto ran = run_with_mounts(
      host,
      "mkdir -p \"$repo/.libsync\" && mount -t tmpfs -o mode=750 tmpfs \"$repo/.libsync\"\n"
      "tick; status=$?; ls \"$repo/.libsync/\"*/ \"$repo\"; exit $status");
  EXPECT_EQ(ran.status, 4) << ran.output << ran.errors;
  EXPECT_THAT(ran.output, AllOf(HasSubstr("are on two file systems"),
                                HasSubstr("let both be on "
                                          "one"),
                                Not(HasSubstr("p00000")), Not(HasSubstr("trial"))));
  EXPECT_EQ(ran.output.find("are on two file systems"),
            ran.output.rfind("are on two file systems"));
}

TEST_F(DiskTrouble, AFolderFromALowerLayerIsRefusedBeforeAPull) {
  auto& host = add_host();
  write_file(source_root() / "folder" / "file", random_bytes(3'000'000, 5));
  static_cast<void>(staged("folder"));
  const auto ran = run_with_mounts(
      host,
      "mkdir /tmp/layers.$$ && mount -t tmpfs tmpfs /tmp/layers.$$ && cd /tmp/layers.$$ || exit 7\n"
      "mkdir -p lower/folder upper work && echo old > lower/folder/old\n"
      "mount -t overlay overlay -o userxattr,lowerdir=$PWD/lower,upperdir=$PWD/upper,"
      "workdir=$PWD/work \"$repo\" || exit 8\n"
      "tick; status=$?; ls \"$repo/.libsync/\"*/; cat \"$repo/folder/old\"\n"
      "umount \"$repo\"; cd /; umount /tmp/layers.$$; rmdir /tmp/layers.$$; exit $status");
  EXPECT_EQ(ran.status, 4) << ran.output << ran.errors;
  EXPECT_THAT(ran.output, AllOf(HasSubstr("is in a lower layer of an overlay file system"),
                                Not(HasSubstr("p00000")), HasSubstr("old\n")));
}

TEST_F(DiskTrouble, ALimitOfFileSizesIsNamed) {
  auto& host = add_host();
  write_file(source_root() / "any", random_bytes(3'000'000, 5));
  const auto payload = staged("any");
  const auto ran = run_with_mounts(host, "ulimit -f 2000; tick");  // In units of 1024 bytes.
  EXPECT_EQ(ran.status, 4) << ran.output << ran.errors;
  EXPECT_THAT(ran.output, AllOf(HasSubstr("File too large"), HasSubstr("ulimit -f")));
  EXPECT_EQ(host.run("sync-minion").status, 0);
  expect_published(host, payload);
}

TEST_F(DiskTrouble, FewOpenFilesAreEnoughForMany) {
  auto& host = add_host();
  for (int i = 0; i < 900; ++i) {
    write_file(source_root() / "many" / std::to_string(i), random_bytes(1000, 5));
  }
  const auto payload = staged("many");
  const auto ran = run_with_mounts(host, "ulimit -n 128; tick");
  EXPECT_EQ(ran.status, 0) << ran.output << ran.errors;
  expect_published(host, payload);
}

TEST_F(DiskTrouble, AWorkingFolderThatWasDeletedIsNoObstacle) {
  auto& host = add_host();
  write_file(source_root() / "any", random_bytes(3'000'000, 5));
  const auto payload = staged("any");
  const auto ran = run_with_mounts(
      host, "mkdir \"$repo/here\" && cd \"$repo/here\" && rmdir \"$repo/here\" && tick");
  EXPECT_EQ(ran.status, 0) << ran.output << ran.errors;
  expect_published(host, payload);
}

// The deletion of the former folder, the largest piece of work of a tick that publishes.
TEST_F(DiskTrouble, TermDoesNotWaitForTheDeletionOfAFolder) {
  auto& host = add_host();
  std::filesystem::create_directories(host.repo() / "folder");
  for (int i = 0; i < 100'000; ++i) {
    const auto path = host.repo() / "folder" / std::to_string(i);
    ASSERT_EQ(mknod(path.c_str(), S_IFREG | 0600, 0), 0);
  }
  write_file(source_root() / "folder" / "file", "new");
  const auto payload = staged("folder");
  host.start("sync-minion", {"--linger", "60s", "--keep-replaced", "0"});
  const auto is_deleting = [&] {
    std::error_code is_missing;
    const std::filesystem::directory_iterator all(host.state(), is_missing);
    return std::any_of(begin(all), end(all), [](const auto& entry) {
      return entry.path().filename().string().starts_with("gone-minion-");
    });
  };
  ASSERT_TRUE(eventually(is_deleting));
  const auto before = std::chrono::steady_clock::now();
  host.program().signal(SIGTERM);
  EXPECT_EQ(host.program().wait(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(1));
  EXPECT_TRUE(is_deleting()) << "else it has not been tried";
  expect_published(host, payload);
  EXPECT_EQ(host.run("sync-minion", {"--keep-replaced", "0"}).status, 0);
  EXPECT_FALSE(is_deleting());
}

}  // namespace
}  // namespace libsync::test
