// A new release moves only what is new.

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "counted_fleet.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Delta : public CountedFleet {
 protected:
  // Distributes the payload, and returns the bytes that moved for it, both ways.
  std::size_t moved_for(const std::filesystem::path& payload) {
    const auto before = sent_bytes() + received_bytes();
    distribute(payload);
    return sent_bytes() + received_bytes() - before;
  }

  // The piece files that the host may serve in the run in progress.
  std::vector<std::filesystem::path> pieces_of(const Host& host) {
    std::vector<std::filesystem::path> pieces;
    for (const auto& spool : host.spools()) {
      if (!exists(master().state() / spool.filename())) continue;
      std::error_code missing;  // The host sweeps the spool of the former run.
      for (const auto& entry : std::filesystem::directory_iterator(spool, missing)) {
        const auto name = entry.path().filename().string();
        if (name.size() == 6 && name[0] == 'p' && entry.exists(missing)) {
          pieces.push_back(entry.path());
        }
      }
    }
    return pieces;
  }

  // Their number. The payload is one file. All pieces have the right bytes, and no peer can enter
  // the folder of the others.
  std::size_t expect_pieces_of(const Host& host, const std::string& stream,
                               std::size_t piece_bytes) {
    for (const auto& spool : host.spools()) {
      struct stat status {};
      const bool is_of_this_run = exists(master().state() / spool.filename());
      if (!is_of_this_run || stat((spool / "incoming").c_str(), &status) != 0) continue;
      EXPECT_EQ(status.st_mode & 07777U, 0700U);
    }
    const auto pieces = pieces_of(host);
    for (const auto& path : pieces) {
      const auto number = std::stoul(path.filename().string().substr(1));
      EXPECT_TRUE(content_of(path) == stream.substr(number * piece_bytes, piece_bytes)) << path;
    }
    return pieces.size();
  }

  // A file, and the next version of it: every 100,000th byte has changed.
  void write_versions(const std::string& old_name, const std::string& new_name,
                      std::size_t bytes = 8 * kMegabyte) {
    auto content = random_bytes(bytes, 1);
    write_file(source_root() / old_name, content);
    for (std::size_t at = 0; at < content.size(); at += 100'000) content[at] ^= 1;
    write_file(source_root() / new_name, content);
  }
};

// Every piece differs, so none can be adopted, and the first few are pulled whole.
TEST_F(Delta, AChangeInEveryPieceMovesAFewPercentToEachHost) {
  add_hosts(2);
  write_versions("app.1", "app.2", 64 * kMegabyte);
  EXPECT_GT(moved_for(source_root() / "app.1"), 128 * kMegabyte);
  EXPECT_LT(moved_for(source_root() / "app.2"), 2 * 64 * kMegabyte * 15 / 100);
}

TEST_F(Delta, TheSameNameIsABasisAsWell) {
  add_hosts(1);
  write_versions("app", "next", 64 * kMegabyte);
  distribute(source_root() / "app");
  std::filesystem::rename(source_root() / "next", source_root() / "app");
  EXPECT_LT(moved_for(source_root() / "app"), 64 * kMegabyte * 15 / 100);
}

TEST_F(Delta, AReleaseUnderANewNameWithEqualContentsMovesNothing) {
  add_hosts(1);
  write_file(source_root() / "folder.1/a/weights", random_bytes(5 * kMegabyte, 1));
  write_file(source_root() / "folder.1/config", random_bytes(3000, 2));
  std::filesystem::copy(source_root() / "folder.1", source_root() / "folder.2",
                        std::filesystem::copy_options::recursive);
  distribute(source_root() / "folder.1");
  EXPECT_LT(moved_for(source_root() / "folder.2"), kMegabyte / 50);
}

TEST_F(Delta, AFileThatMovedIsFoundByItsBaseName) {
  add_hosts(1);
  const auto content = random_bytes(5 * kMegabyte, 1);
  write_file(source_root() / "folder.1/old/weights", content);
  write_file(source_root() / "folder.2/new/weights", content);
  distribute(source_root() / "folder.1");
  EXPECT_LT(moved_for(source_root() / "folder.2"), kMegabyte / 50);
}

TEST_F(Delta, BytesThatMovedByLessThanHalfAPieceMoveNotAgain) {
  add_hosts(1);
  const auto content = random_bytes(8 * kMegabyte, 1);
  write_file(source_root() / "app.1", content);
  write_file(source_root() / "app.2", "a longer header" + content);
  write_file(source_root() / "app.3", content.substr(100'000));
  distribute(source_root() / "app.1");
  EXPECT_LT(moved_for(source_root() / "app.2"), 8 * kMegabyte * 6 / 100);
  EXPECT_LT(moved_for(source_root() / "app.3"), 8 * kMegabyte * 6 / 100);
}

TEST_F(Delta, BytesThatMovedFarAreFoundToo) {
  add_hosts(1);
  const auto content = random_bytes(16 * kMegabyte, 1);
  write_file(source_root() / "app.1", content);
  write_file(source_root() / "app.2",
             content.substr(0, 9'000'000) + random_bytes(700'000, 3) + content.substr(9'000'000));
  write_file(source_root() / "app.3", content_of(source_root() / "app.2").substr(5'000'000));
  distribute(source_root() / "app.1");
  EXPECT_LT(moved_for(source_root() / "app.2"), kMegabyte * 3 / 2) << last_output_;
  EXPECT_LT(moved_for(source_root() / "app.3"), kMegabyte / 2) << last_output_;
}

// The minions are there before the master has staged anything.
TEST_F(Delta, MinionsThatLingerFindThemAsWell) {
  add_hosts(2);
  const auto content = random_bytes(32 * kMegabyte, 1);
  write_file(source_root() / "app.1", content);
  write_file(source_root() / "app.2", random_bytes(3'000'000, 3) + content.substr(0, 30'000'000));
  start_master({"--minions", "2", "--piece-size", "256K"});
  start_minions({"--log-level", "debug"});
  set_task(source_root() / "app.1");
  wait_for_end();
  const auto before = sent_bytes() + received_bytes();
  set_task(source_root() / "app.2");
  wait_for_end();
  for (const auto* const host : minions()) expect_published(*host, source_root() / "app.2");
  EXPECT_LT(sent_bytes() + received_bytes() - before, 2 * 4 * kMegabyte)
      << minions().front()->log();
}

TEST_F(Delta, TheRuleChoosesTheOldPayload) {
  auto& host = add_host();
  write_versions("app.1", "app.2");
  distribute(source_root() / "app.1");
  minion_options_ = {"--basis", "same-name"};
  EXPECT_GT(moved_for(source_root() / "app.2"), 8 * kMegabyte);
  minion_options_ = {"--basis", "none"};
  std::filesystem::rename(source_root() / "app.1", source_root() / "app.2");
  EXPECT_GT(moved_for(source_root() / "app.2"), 8 * kMegabyte);
  EXPECT_EQ(host.run("sync-minion", {"--basis", "some"}).status, 2);
}

TEST_F(Delta, NothingInCommonCostsLittleMore) {
  add_hosts(1);
  write_file(source_root() / "app.1", random_bytes(16 * kMegabyte, 1));
  write_file(source_root() / "app.2", random_bytes(16 * kMegabyte, 2));
  distribute(source_root() / "app.1");
  EXPECT_LT(moved_for(source_root() / "app.2"), 16 * kMegabyte * 102 / 100);
}

TEST_F(Delta, AlongTreesTooOnlyTheDifferenceMoves) {
  add_hosts(3);
  write_versions("app.1", "app.2", 64 * kMegabyte);
  distribute(source_root() / "app.1");
  start_master({"--minions", "3", "--piece-size", "1M", "--spread", "trees"});
  start_minions();
  const auto before = sent_bytes() + received_bytes();
  set_task(source_root() / "app.2");
  wait_for_end();
  for (const auto* const host : minions()) expect_published(*host, source_root() / "app.2");
  EXPECT_LT(sent_bytes() + received_bytes() - before, 3 * 64 * kMegabyte * 70 / 100);
}

// The old payload may hold what no other user may read, and a symlink may lead out of it.
TEST_F(Delta, NoPeerReadsOldBytesAndNoSymlinkLeadsOutOfThePayload) {
  auto& host = add_host();
  const auto folder = source_root() / "folder.1";
  write_file(folder / "plain", random_bytes(2 * kMegabyte, 1));
  write_file(folder / "private", random_bytes(6 * kMegabyte, 2));
  std::filesystem::permissions(folder / "private", std::filesystem::perms(0600));
  distribute(folder);
  // Another program replaces a published file by a symlink.
  const auto secret = random_bytes(2 * kMegabyte, 3);
  write_file(host.folder() / "secret", secret);
  std::filesystem::remove(host.repo() / "folder.1/plain");
  std::filesystem::create_symlink(host.folder() / "secret", host.repo() / "folder.1/plain");
  const auto next = source_root() / "folder.2";
  write_file(next / "plain", secret.substr(0, kMegabyte) + random_bytes(kMegabyte, 4));
  auto content = content_of(folder / "private");
  // The other pieces show that the payload is alike, and half a piece needs a second or two.
  content.replace(2 * kMegabyte + kMegabyte / 2 - 250'000, 500'000, random_bytes(500'000, 5));
  write_file(next / "private", content);
  std::filesystem::permissions(next / "private", std::filesystem::perms(0600));
  set_task(next);
  ASSERT_EQ(master().run("sync-master", {"--minions", "1", "--piece-size", "1M"}).status, 0);
  // A slow pull, so that files with old bytes lie in incoming/ for a while.
  host.start("sync-minion", {"--bwlimit", "300"});
  std::filesystem::path filled;
  ASSERT_TRUE(eventually([&] {
    for (const auto& spool : host.spools()) {
      std::error_code missing;  // The host sweeps the spool of the former run.
      for (const auto& entry : std::filesystem::directory_iterator(spool / "incoming", missing)) {
        if (entry.is_regular_file(missing) && entry.file_size(missing) > kMegabyte) {
          filled = entry.path();
        }
      }
    }
    return !filled.empty();
  }));
  struct stat status {};
  ASSERT_EQ(stat(filled.parent_path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0700U);
  const auto pull = [&](const std::string& name) {
    return run({"sh", "-c",
                "echo \"$1\" | rsync --files-from=- --password-file=\"$2/rsync.password\" "
                "\"rsync://sre@$3:8730/repo/\" \"$2/pulled/\"",
                "sh", name, host.folder().string(), host.address()});
  };
  EXPECT_EQ(pull("folder.1/private").status, 23) << "its mode is 0600";
  // The daemon of a user who is not root has that user's own rights.
  if (geteuid() == 0) {
    const auto refused = pull(filled.lexically_relative(host.repo()).string());
    EXPECT_EQ(refused.status, 23);
    EXPECT_THAT(refused.errors, HasSubstr("Permission denied"));
  }
  EXPECT_EQ(host.program().wait(), 0);
  static_cast<void>(master().run("sync-master", {"--minions", "1"}));
  expect_published(host, next);
}

// A killed rsync leaves a file with old and new bytes; no process takes it for the piece.
TEST_F(Delta, AHostKilledInAPullAccusesNobodyAndGoesOn) {
  auto& host = add_host();
  write_versions("app.1", "app.2");
  distribute(source_root() / "app.1");
  set_task(source_root() / "app.2");
  ASSERT_EQ(master().run("sync-master", {"--minions", "1", "--piece-size", "1M"}).status, 0);
  for (int kill_after_ms = 50; kill_after_ms <= 400; kill_after_ms += 50) {
    auto& program = host.start("sync-minion", {"--bwlimit", "40"});
    std::this_thread::sleep_for(std::chrono::milliseconds(kill_after_ms));
    program.signal(SIGKILL);
    static_cast<void>(program.wait());
  }
  const auto ran = host.run("sync-minion");
  EXPECT_EQ(ran.status, 0) << ran.output;
  EXPECT_THAT(ran.output, Not(HasSubstr("wrong bytes")));
  EXPECT_EQ(*redis.ask({"HLEN", "sync:blame"}).number(), 0);
  EXPECT_THAT(master().run("sync-master", {"--minions", "1"}).output,
              HasSubstr("mission complete"));
  expect_published(host, source_root() / "app.2");
}

// The operator cancels the first release while a host pulls it.
TEST_F(Delta, AnUnfinishedReleaseIsABasisOfTheNextOne) {
  auto& host = add_host();
  write_file(source_root() / "app.1", random_bytes(16 * kMegabyte, 1));
  write_file(source_root() / "app.2", content_of(source_root() / "app.1") + "one more line");
  const auto tick = [&](const std::string& task) {
    set_task(source_root() / task);
    ASSERT_EQ(master().run("sync-master", {"--minions", "1", "--piece-size", "1M"}).status, 0);
  };
  tick("app.1");
  auto& program = host.start("sync-minion", {"--bwlimit", "4000"});
  ASSERT_TRUE(eventually([&] { return sent_bytes() > 6 * kMegabyte; }, std::chrono::seconds(30)));
  program.signal(SIGTERM);
  static_cast<void>(program.wait());
  redis.ask({"DEL", "task"});
  static_cast<void>(master().run("sync-master", {"--minions", "1"}));
  const auto before = sent_bytes();
  tick("app.2");
  ASSERT_EQ(host.run("sync-minion").status, 0);
  static_cast<void>(master().run("sync-master", {"--minions", "1"}));
  expect_published(host, source_root() / "app.2");
  EXPECT_LT(sent_bytes() - before, 12 * kMegabyte);
}

// The receipt of the second release makes the pulls of the third begin with old bytes at once.
TEST_F(Delta, AFamilyThatIsAlikeNeedsNoTry) {
  add_hosts(1);
  write_versions("app.1", "app.2", 16 * kMegabyte);
  auto content = content_of(source_root() / "app.2");
  for (std::size_t at = 7; at < content.size(); at += 100'000) content[at] ^= 1;
  write_file(source_root() / "app.3", content);
  distribute(source_root() / "app.1");
  const auto second = moved_for(source_root() / "app.2");
  const auto third = moved_for(source_root() / "app.3");
  EXPECT_LT(second, 16 * kMegabyte * 9 / 10);
  EXPECT_LT(third, 16 * kMegabyte * 5 / 100);
}

// A piece has its name once its digest has proven it, so peers never read a copy of old bytes.
TEST_F(Delta, AHostKilledWhileItCopiesOldPiecesServesProvenOnesAlone) {
  auto& host = add_host();
  const auto content = random_bytes(96 * kMegabyte, 1);
  write_file(source_root() / "app.1", content);
  const auto next = source_root() / "app.2";
  const auto stream = random_bytes(3'000'000, 3) + content;
  write_file(next, stream);
  distribute(source_root() / "app.1");
  set_task(next);
  ASSERT_EQ(master().run("sync-master", {"--minions", "1", "--piece-size", "256K"}).status, 0);
  const auto before = sent_bytes() + received_bytes();
  std::size_t proven = 0;
  for (const std::size_t enough : {1U, 30U, 100U}) {
    auto& program = host.start("sync-minion", {});
    EXPECT_TRUE(eventually([&] { return pieces_of(host).size() >= enough; }));
    program.signal(SIGKILL);
    static_cast<void>(program.wait());
    proven = expect_pieces_of(host, stream, 256 << 10U);
    EXPECT_FALSE(std::filesystem::exists(host.repo() / "app.2"));
  }
  EXPECT_LT(proven, 396U) << "it was killed in the middle";
  const auto ran = host.run("sync-minion");
  EXPECT_EQ(ran.status, 0) << ran.output;
  EXPECT_THAT(ran.output, Not(HasSubstr("wrong bytes")));
  // On a busy machine a tick begins to pull before its search has begun.
  EXPECT_LT(sent_bytes() + received_bytes() - before, 24 * kMegabyte) << "the rest is old";
  EXPECT_EQ(*redis.ask({"HLEN", "sync:blame"}).number(), 0);
  EXPECT_THAT(master().run("sync-master", {"--minions", "1"}).output,
              HasSubstr("mission complete"));
  expect_published(host, next);
}

}  // namespace
}  // namespace libsync::test
