// Files and folders of every kind arrive as rsync -a would copy them.

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fleet.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;

class Payloads : public Fleet {
 protected:
  /// Distributes a payload to one host, by ticks that do not linger.
  void distribute(const std::filesystem::path& payload, const Words& options = {}) {
    Words all{"--minions", "1"};
    all.insert(all.end(), options.begin(), options.end());
    set_task(payload);
    const auto staged = master().run("sync-master", all);
    EXPECT_EQ(staged.status, 0) << staged.output << staged.errors;
    const auto pulled = minions().front()->run("sync-minion");
    EXPECT_EQ(pulled.status, 0) << pulled.output << pulled.errors;
    EXPECT_THAT(master().run("sync-master", all).output, HasSubstr("mission complete"));
  }

  void refused(const std::filesystem::path& payload, const std::string& reason) {
    set_task(payload);
    const auto ran = master().run("sync-master", {"--minions", "1"});
    EXPECT_EQ(ran.status, 1) << ran.output;
    EXPECT_THAT(ran.output, HasSubstr(reason));
    EXPECT_EQ(redis.cli({"exists", "task"}), "0");
    EXPECT_EQ(redis.cli({"hget", "sync:last", "outcome"}), "refused");
    EXPECT_THAT(redis.cli({"hget", "sync:last", "reason"}), HasSubstr(reason));
  }

  /// A tree that holds everything that a payload may hold.
  std::filesystem::path make_tree(const std::string& name) {
    auto top = source_root() / name;
    const auto made = run({"bash", SOURCE_FOLDER "/tests/end_to_end/make_tree", top.string()});
    EXPECT_EQ(made.status, 0) << made.errors;
    if (geteuid() != 0) chmod((top / "one-byte").c_str(), 0400);
    return top;
  }
};

TEST_F(Payloads, ATreeOfEverythingArrivesAsRsyncWouldCopyIt) {
  add_hosts(1);
  const auto tree = make_tree("tree");
  distribute(tree, {"--piece-size", "1M"});
  expect_published(*minions().front(), tree);
  const auto copy = minions().front()->folder() / "by-rsync";
  ASSERT_EQ(run({"rsync", "-a", tree.string() + "/", copy.string() + "/"}).status, 0);
  EXPECT_EQ(listing_of(minions().front()->repo() / "tree"), listing_of(copy));
}

TEST_F(Payloads, ATreeReplacesAnotherAndLosesItsRemovedEntries) {
  add_hosts(1);
  const auto tree = make_tree("tree");
  distribute(tree, {"--piece-size", "1M"});
  ASSERT_EQ(run({"bash", "-c",
                 "cd \"$0\" && chmod -R u+w . && rm -rf a/b link star* && mkdir link "
                 "&& echo new > link/file",
                 tree.string()})
                .status,
            0);
  distribute(tree, {"--piece-size", "1M"});
  expect_published(*minions().front(), tree);
}

TEST_F(Payloads, AFolderWithoutContentsArrives) {
  add_hosts(1);
  const auto tree = source_root() / "names";
  std::filesystem::create_directories(tree / "empty" / "deeper");
  write_file(tree / "file", "");
  std::filesystem::create_symlink("file", tree / "link");
  distribute(tree);
  expect_published(*minions().front(), tree);
}

TEST_F(Payloads, PayloadNamesThatAShellWouldSplitArrive) {
  add_hosts(1);
  for (const auto* const name : {"a[b]c", "star*x", "-e sh", "$(id)", "two words ", "back\\slash",
                                 "quo'te\"", "bytes\xff\x80"}) {
    const auto payload = source_root() / name;
    write_file(payload, std::string("content of ") + name);
    distribute(payload);
    expect_published(*minions().front(), payload);
  }
}

TEST_F(Payloads, HolesStayHoles) {
  add_hosts(1);
  const auto payload = source_root() / "sparse";
  ASSERT_EQ(run({"bash", "-c",
                 "truncate -s 64M \"$0\" && printf data | dd of=\"$0\" bs=1M seek=33 conv=notrunc",
                 payload.string()})
                .status,
            0);
  distribute(payload, {"--piece-size", "8M"});
  expect_published(*minions().front(), payload);
  struct stat status {};
  ASSERT_EQ(stat((minions().front()->repo() / "sparse").c_str(), &status), 0);
  EXPECT_LT(status.st_blocks * 512, 4'000'000);
}

TEST_F(Payloads, TwentyThousandSmallFilesArrive) {
  add_hosts(1);
  const auto tree = source_root() / "many";
  ASSERT_EQ(run({"bash", "-c",
                 "mkdir -p \"$0\" && cd \"$0\" && for d in $(seq 100); do mkdir $d; for f in $(seq "
                 "200); do echo $d.$f > $d/$f; done; done",
                 tree.string()})
                .status,
            0);
  distribute(tree);
  expect_published(*minions().front(), tree);
}

TEST_F(Payloads, FilesWithSeveralNamesBecomeSeparateFilesWithAWarning) {
  add_hosts(1);
  const auto tree = source_root() / "linked";
  write_file(tree / "one", "content");
  std::filesystem::create_hard_link(tree / "one", tree / "two");
  ASSERT_EQ(setxattr((tree / "two").c_str(), "user.origin", "x", 1, 0), 0);
  set_task(tree);
  const auto log = master().run("sync-master", {"--minions", "1"}).output;
  EXPECT_THAT(log, HasSubstr("warning: '" + tree.string() +
                             "' loses what is not carried: the "
                             "extended attributes of 2 files (first 'one'), hard links (2 files "
                             "have more than one name"));
  EXPECT_EQ(minions().front()->run("sync-minion").status, 0);
  expect_published(*minions().front(), tree);
}

TEST_F(Payloads, SpecialFilesAreRefusedByName) {
  const auto tree = source_root() / "special";
  write_file(tree / "fine", "content");
  ASSERT_EQ(mkfifo((tree / "pipe").c_str(), 0600), 0);
  refused(tree, "special/pipe' is a FIFO");
  std::filesystem::remove(tree / "pipe");
  ASSERT_EQ(
      run({"python3", "-c", "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])",
           (tree / "socket").string()})
          .status,
      0);
  refused(tree, "special/socket' is a socket");
  refused("/dev/null", "lies below no --source-root");
}

TEST_F(Payloads, TasksOutsideTheSourceRootAreRefused) {
  write_file(source_root() / "real" / "file", "content");
  std::filesystem::create_symlink("real", source_root() / "way");
  std::filesystem::create_symlink("real/file", source_root() / "link");
  refused("/etc/shadow", "lies below no --source-root");
  refused(source_root(), "lies below no --source-root");
  refused("relative/path", "is not an absolute path");
  refused(source_root().string() + "/../x", "is not in its plain form");
  refused(source_root() / "absent", "No such file or directory");
  refused(source_root() / "way" / "file", "passes through a symlink");
  refused(source_root() / "link", "is a symlink");
  refused(source_root() / ".libsync", "cannot be published");
  refused("--help", "is not an absolute path");
}

TEST_F(Payloads, ARunEndsWellAfterItsSourceRootIsRenamed) {
  add_hosts(1);
  const auto root = source_root() / "root";
  write_file(root / "file", "content");
  const Words options{"--minions", "1", "--source-root", root.string()};
  set_task(root / "file");
  ASSERT_EQ(master().run("sync-master", options).status, 0);
  std::filesystem::rename(root, source_root() / "elsewhere");
  ASSERT_EQ(minions().front()->run("sync-minion").status, 0);
  const auto ran = master().run("sync-master", options);
  EXPECT_EQ(ran.status, 0) << ran.output;
  EXPECT_EQ(redis.cli({"hget", "sync:last", "outcome"}), "complete");
  set_task(root / "file");
  const auto later = master().run("sync-master", options);
  EXPECT_EQ(later.status, 4) << "the source root may not be mounted yet";
  EXPECT_THAT(later.output, HasSubstr("open the --source-root"));
  EXPECT_EQ(redis.cli({"get", "task"}), root / "file");
}

TEST_F(Payloads, TheDestinationItselfAndOurOwnStateAreRefused) {
  const Words all{"--minions", "1", "--source-root", "/"};
  const auto refused_here = [&](const std::filesystem::path& path, const std::string& reason) {
    set_task(path);
    const auto ran = master().run("sync-master", all);
    EXPECT_EQ(ran.status, 1);
    EXPECT_THAT(ran.output, HasSubstr(reason));
  };
  write_file(master().repo() / "model", "content");
  refused_here(master().repo() / "model", "is itself the place where it would be published");
  refused_here(master().folder(), "the state folder of sync-fanout");
  refused_here(master().state() / "receipt", "the state folder of sync-fanout");
}

TEST_F(Payloads, ADestinationOfAnotherKindIsLeftAlone) {
  auto& host = add_host();
  const auto payload = source_root() / "thing";
  write_file(payload, "content");
  write_file(host.repo() / "thing" / "inside", "precious");
  set_task(payload);
  EXPECT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
  const auto ran = host.run("sync-minion");
  EXPECT_EQ(ran.status, 4);
  EXPECT_THAT(ran.output, HasSubstr("is a folder, the payload is a file: move it away"));
  EXPECT_EQ(content_of(host.repo() / "thing" / "inside"), "precious");
  EXPECT_THAT(master().run("sync-master", {"status"}).output,
              HasSubstr("failed   " + host.address()));

  std::filesystem::remove_all(host.repo() / "thing");
  std::filesystem::create_symlink("/etc/hostname", host.repo() / "thing");
  const auto again = host.run("sync-minion");
  EXPECT_EQ(again.status, 4);
  EXPECT_THAT(again.output, HasSubstr("is a symlink: move it away"));
}

TEST_F(Payloads, OwnersAreCarriedByRootIfAsked) {
  if (geteuid() != 0) {
    auto& host = add_host();
    const auto ran = host.run("sync-minion", {"--owner"});
    EXPECT_EQ(ran.status, 2);
    return;
  }
  auto& host = add_host();
  const auto payload = source_root() / "owned";
  write_file(payload, "content");
  ASSERT_EQ(chown(payload.c_str(), 1234, 2345), 0);
  chmod(payload.c_str(), 06755);
  set_task(payload);
  EXPECT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
  EXPECT_EQ(host.run("sync-minion", {"--owner"}).status, 0);
  struct stat status {};
  ASSERT_EQ(stat((host.repo() / "owned").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 1234U);
  EXPECT_EQ(status.st_gid, 2345U);
  EXPECT_EQ(status.st_mode & 07777U, 06755U);
}

TEST_F(Payloads, ASetIdBitDoesNotSurviveAChangeOfOwner) {
  if (geteuid() != 0) return;  // Only root can give a file to another user.
  add_hosts(1);
  const auto payload = source_root() / "set-id";
  write_file(payload, "content");
  ASSERT_EQ(chown(payload.c_str(), 1234, 2345), 0);
  chmod(payload.c_str(), 06755);
  distribute(payload);
  struct stat status {};
  ASSERT_EQ(stat((minions().front()->repo() / "set-id").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 0U);
  EXPECT_EQ(status.st_mode & 07777U, 0755U);
}

}  // namespace
}  // namespace libsync::test
