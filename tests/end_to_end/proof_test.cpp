// Verified, then visible: no wrong byte spreads, and no reader sees a payload in part.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <set>
#include <thread>

#include "fleet.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Proof : public Fleet {
 protected:
  /// Changes one byte of a file and restores its times, so only its bytes differ.
  static void rot(const std::filesystem::path& path) {
    struct stat before {};
    ASSERT_EQ(stat(path.c_str(), &before), 0);
    {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(5);
      const char byte = static_cast<char>(file.get() ^ 1);
      file.seekp(5);
      file.put(byte);
      ASSERT_TRUE(file.flush());
    }
    const timespec times[2] = {before.st_atim, before.st_mtim};
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }

  // The second host has nothing yet.
  std::filesystem::path published_by_the_first_of_two(const std::string& name, std::size_t bytes,
                                                      const Words& more = {}) {
    auto payload = source_root() / name;
    write_file(payload, random_bytes(bytes, 1));
    add_hosts(2);
    set_task(payload);
    Words options{"--minions", "2", "--piece-size", "1M"};
    options.insert(options.end(), more.begin(), more.end());
    EXPECT_EQ(master().run("sync-master", options).status, 0);
    EXPECT_EQ(minions().front()->run("sync-minion").status, 0);
    return payload;
  }
};

TEST_F(Proof, ACorruptPieceIsFoundBeforeItSpreadsAndTheOriginRepairsIt) {
  const auto payload = source_root() / "rotten";
  write_file(payload, random_bytes(4'000'000, 1));
  add_hosts(3);
  const Words options{"--minions", "3", "--piece-size", "1M"};
  set_task(payload);
  ASSERT_EQ(master().run("sync-master", options).status, 0);
  rot(master().spools().at(0) / "p00002");
  start_minions();
  // Two hosts must report wrong bytes before Redis suspects the origin, which then reverifies.
  start_master(options);
  wait_for_end();
  std::string logs;
  for (auto* const host : minions()) {
    expect_published(*host, payload);
    logs += host->log();
  }
  EXPECT_THAT(logs, HasSubstr(master().address() + " sent wrong bytes"));
  EXPECT_THAT(master().log(), HasSubstr("hashing the spool again"));
}

TEST_F(Proof, AHostDoesNotPublishARottenCopyFromAnother) {
  const auto payload = published_by_the_first_of_two("published", 3'000'000, {"--slots", "1"});
  auto& first = *minions().front();
  auto& second = *minions().back();
  for (const auto* const piece : {"p00000", "p00001", "p00002"}) rot(first.spools().at(0) / piece);
  master().stop_daemon();
  second.start("sync-minion", {"--linger", "60s"});
  ASSERT_TRUE(
      eventually([&] { return second.log().find("sent wrong bytes") != std::string::npos; }));
  EXPECT_FALSE(std::filesystem::exists(second.repo() / "published"));
  master().start_daemon();
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(second.repo() / "published"); }));
  expect_published(second, payload);
}

TEST_F(Proof, ASourceThatSendsTooMuchFillsNoDisk) {
  const auto payload = published_by_the_first_of_two("endless", 1'000'000);
  auto& first = *minions().front();
  auto& second = *minions().back();
  std::filesystem::resize_file(first.spools().at(0) / "p00000", 2'000'000'000);
  master().stop_daemon();
  second.start("sync-minion", {"--linger", "60s"});
  std::uintmax_t most = 0;
  ASSERT_TRUE(eventually([&] {
    const bool is_noticed = second.log().find("sends more than there is") != std::string::npos;
    for (const auto& spool : second.spools()) {
      std::error_code missing;  // The next pull deletes the file.
      const auto bytes = std::filesystem::file_size(spool / "incoming" / "p00000", missing);
      if (!missing) most = std::max(most, bytes);
    }
    return is_noticed;
  }));
  EXPECT_GT(most, 0U);
  EXPECT_LE(most, 1'000'000U);
  master().start_daemon();
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(second.repo() / "endless"); }));
  expect_published(second, payload);
}

TEST_F(Proof, AReaderOfAFileSeesTheOldOneOrTheNewOne) {
  auto& host = add_host();
  const auto payload = source_root() / "file";
  const std::string old_content(2'000'000, 'o');
  const std::string new_content(3'000'000, 'n');
  write_file(payload, old_content);
  write_file(host.repo() / "file", old_content);
  std::atomic<bool> is_over = false;
  std::atomic<int> torn = 0;
  std::atomic<bool> saw_old = false;
  std::atomic<bool> saw_new = false;
  std::thread reader([&] {
    while (!is_over) {
      std::ifstream file(host.repo() / "file", std::ios::binary);
      const std::string content{std::istreambuf_iterator<char>(file), {}};
      if (content == old_content) {
        saw_old = true;
      } else if (content == new_content) {
        saw_new = true;
      } else {
        ++torn;
      }
    }
  });
  write_file(payload, new_content);
  start_master({"--minions", "1", "--piece-size", "1M"});
  start_minions();
  set_task(payload);
  wait_for_end();
  EXPECT_TRUE(eventually([&] { return saw_new.load(); }));
  is_over = true;
  reader.join();
  EXPECT_EQ(torn, 0);
  EXPECT_TRUE(saw_old);
  expect_published(host, payload);
}

TEST_F(Proof, AReaderOfAFolderSeesTheOldOneOrTheNewOne) {
  auto& host = add_host();
  const auto payload = source_root() / "folder";
  const auto fill = [](const std::filesystem::path& folder, const std::string& version) {
    for (int i = 0; i < 50; ++i) write_file(folder / std::to_string(i), version);
  };
  fill(host.repo() / "folder", "old");
  fill(payload, "new");
  std::atomic<bool> is_over = false;
  std::atomic<int> torn = 0;
  std::set<std::string> seen;
  std::thread reader([&] {
    while (!is_over) {
      // One folder, opened once, must hold files of one version.
      const int folder = open((host.repo() / "folder").c_str(), O_RDONLY | O_DIRECTORY);
      if (folder < 0) {
        ++torn;
        continue;
      }
      std::set<std::string> versions;
      for (int i = 0; i < 50; ++i) {
        const int file = openat(folder, std::to_string(i).c_str(), O_RDONLY);
        char text[4] = {};
        // The minion deletes the old folder once it is replaced, so some files may be missing.
        if (file >= 0 && read(file, text, 3) == 3) versions.insert(text);
        if (file >= 0) close(file);
      }
      if (versions.size() > 1) ++torn;
      seen.merge(versions);
      close(folder);
    }
  });
  start_master({"--minions", "1"});
  start_minions();
  set_task(payload);
  wait_for_end();
  EXPECT_TRUE(eventually([&] { return content_of(host.repo() / "folder" / "7") == "new"; }));
  is_over = true;
  reader.join();
  EXPECT_EQ(torn, 0);
  EXPECT_TRUE(seen.contains("old"));
  expect_published(host, payload);
}

TEST_F(Proof, APayloadThatKeepsChangingIsRefused) {
  const auto payload = source_root() / "growing";
  write_file(payload, random_bytes(30'000'000, 1));
  auto& host = add_host();
  std::atomic<bool> is_over = false;
  std::thread writer([&] {
    std::ofstream file(payload, std::ios::app | std::ios::binary);
    while (!is_over) file << "more" << std::flush;
  });
  set_task(payload);
  const auto ran = master().run("sync-master", {"--minions", "1", "--piece-size", "1M"});
  is_over = true;
  writer.join();
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.output, HasSubstr("growing' changed while it was read: trying again in 5 s"));
  EXPECT_THAT(ran.output,
              HasSubstr("changed while it was read, 3 times: set the task when the source "
                        "is complete"));
  EXPECT_EQ(redis.cli({"exists", "task"}), "0");
  EXPECT_EQ(redis.cli({"hget", "sync:last", "outcome"}), "refused");
  EXPECT_EQ(host.run("sync-minion").status, 0);
  EXPECT_FALSE(std::filesystem::exists(host.repo() / "growing"));
  EXPECT_TRUE(host.spools().empty()) << "the host keeps no part of it";
}

TEST_F(Proof, APayloadThatChangesOnceIsDistributedWithTheChange) {
  const auto payload = source_root() / "settling";
  write_file(payload / "one", random_bytes(20'000'000, 1));
  auto& host = add_host();
  start_master({"--minions", "1", "--piece-size", "1M"});
  start_minions({"--bwlimit", "5m"});
  set_task(payload);
  ASSERT_TRUE(eventually([&] { return redis.cli({"exists", "sync:run"}) == "1"; }));
  write_file(payload / "two", "appeared while the folder was read, or after it");
  wait_for_end();
  // The master notices the change while it reads, or it distributes the folder twice.
  ASSERT_TRUE(eventually([&] {
    return redis.cli({"exists", "task", "sync:run"}) == "0" &&
           redis.cli({"hget", "sync:last", "outcome"}) == "complete";
  }));
  expect_published(host, payload);
}

TEST_F(Proof, AWriteToAPublishedCopyHarmsNoOtherHost) {
  const auto payload = published_by_the_first_of_two("shared", 2'000'000);
  auto& first = *minions().front();
  auto& second = *minions().back();
  write_file(first.repo() / "shared", "scribbled over in place");
  const auto ran = second.run("sync-minion");
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.output, Not(HasSubstr("wrong bytes")));
  expect_published(second, payload);
}

}  // namespace
}  // namespace libsync::test
