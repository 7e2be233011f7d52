// A host adopts the bytes that it has, and does not transfer them again.

#include <gmock/gmock.h>
#include <signal.h>

#include <fstream>
#include <sstream>

#include "counted_fleet.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Adopting : public CountedFleet {};

TEST_F(Adopting, TheSameTaskAgainTransfersNoPayloadByte) {
  add_hosts(2);
  const auto payload = source_root() / "again";
  write_file(payload, random_bytes(5 * kMegabyte, 1));
  distribute(payload);
  const auto before = sent_bytes();
  EXPECT_GT(before, 10 * kMegabyte);
  distribute(payload);
  EXPECT_LT(sent_bytes() - before, kMegabyte / 10);
}

TEST_F(Adopting, TheSameTaskAgainLeavesThePublishedFileItself) {
  auto& host = add_host();
  const auto payload = source_root() / "untouched";
  write_file(payload, random_bytes(2 * kMegabyte, 1));
  distribute(payload);
  const auto inode = run({"stat", "-c", "%i", (host.repo() / "untouched").string()}).output;
  distribute(payload);
  EXPECT_EQ(run({"stat", "-c", "%i", (host.repo() / "untouched").string()}).output, inode);
}

TEST_F(Adopting, AFolderWithOneChangedFileTransfersAboutThatFilesPieces) {
  add_hosts(1);
  const auto payload = source_root() / "folder";
  for (unsigned i = 0; i < 10; ++i) {
    write_file(payload / std::to_string(i), random_bytes(kMegabyte + 1000, 10 + i));
  }
  distribute(payload);
  const auto before = sent_bytes();
  // The file gets another size, which shifts all bytes behind it in the stream.
  write_file(payload / "4", random_bytes(kMegabyte / 2, 99));
  distribute(payload);
  EXPECT_LT(sent_bytes() - before, 3 * kMegabyte);
}

TEST_F(Adopting, AFileWithAChangedMiddleTransfersAPartOfThatPiece) {
  add_hosts(1);
  const auto payload = source_root() / "file";
  write_file(payload, random_bytes(8 * kMegabyte, 1));
  distribute(payload);
  const auto before = sent_bytes();
  {
    std::fstream file(payload, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(3 * kMegabyte + 17);
    file << "changed";
  }
  distribute(payload);
  EXPECT_LT(sent_bytes() - before, kMegabyte / 10);
}

TEST_F(Adopting, APieceThatRottedUnderTheSameTimesIsPulledAgain) {
  auto& host = add_host();
  const auto payload = source_root() / "rot";
  write_file(payload, random_bytes(4 * kMegabyte, 1));
  distribute(payload);
  const auto rot = run({"bash", "-c",
                        "cp -p \"$0\" \"$0.times\" && printf X | dd of=\"$0\" bs=1 seek=2000000 "
                        "conv=notrunc && touch -r \"$0.times\" \"$0\" && rm \"$0.times\"",
                        (host.repo() / "rot").string()});
  ASSERT_EQ(rot.status, 0);
  const auto before = sent_bytes();
  distribute(payload);
  EXPECT_LT(sent_bytes() - before, 2 * kMegabyte);
}

TEST_F(Adopting, AHostKilledHalfwayGoesOnWithItsPieces) {
  for (const auto* const piece_size : {"1M", "whole"}) {
    const auto payload = source_root() / piece_size;
    constexpr std::size_t kBytes = 12 * kMegabyte;
    write_file(payload, random_bytes(kBytes, 1));
    if (minions().empty()) add_hosts(1);
    auto& host = *minions().front();
    const Words options{"--minions", "1", "--piece-size", piece_size};
    set_task(payload);
    ASSERT_EQ(master().run("sync-master", options).status, 0);
    const auto before = sent_bytes();
    const auto spool_bytes = [&] {
      std::size_t total = 0;
      for (const auto& spool : host.spools()) {
        for (const auto& entry : std::filesystem::recursive_directory_iterator(spool)) {
          const auto name = entry.path().filename().string();
          // The host may rename the piece at this moment.
          std::error_code missing;
          const auto bytes = name.starts_with("p0") ? entry.file_size(missing) : 0;
          if (!missing) total += bytes;
        }
      }
      return total;
    };
    auto& program = host.start("sync-minion", {"--bwlimit", "3m"});
    ASSERT_TRUE(eventually([&] { return spool_bytes() > kBytes / 2; }));
    program.signal(SIGKILL);
    static_cast<void>(program.wait());
    EXPECT_FALSE(std::filesystem::exists(host.repo() / piece_size));
    const auto ran = host.run("sync-minion");
    EXPECT_EQ(ran.status, 0) << ran.output;
    expect_published(host, payload);
    EXPECT_LT(sent_bytes() - before, kBytes * 4 / 3) << piece_size;
    EXPECT_THAT(master().run("sync-master", options).output, HasSubstr("mission complete"));
  }
}

TEST_F(Adopting, AHostThatJoinsLateGetsEverythingWhileTheRunLasts) {
  add_hosts(2);
  const auto payload = source_root() / "late";
  write_file(payload, random_bytes(3 * kMegabyte, 1));
  const Words options{"--minions", "3", "--piece-size", "1M"};
  set_task(payload);
  ASSERT_EQ(master().run("sync-master", options).status, 0);
  for (const auto* const host : minions()) ASSERT_EQ(host->run("sync-minion").status, 0);
  EXPECT_THAT(master().run("sync-master", options).output, HasSubstr("nothing to do"));
  master().stop_daemon();  // The other hosts serve.
  auto& late = add_host();
  ASSERT_EQ(late.run("sync-minion").status, 0);
  expect_published(late, payload);
  EXPECT_THAT(master().run("sync-master", options).output, HasSubstr("mission complete"));
}

TEST_F(Adopting, TheTaskAgainAfterARunThatEndedShortServesTheMissingHostsFromTheSameSpool) {
  add_hosts(2);
  auto& first = *minions().front();
  auto& laggard = *minions().back();
  const auto payload = source_root() / "short";
  write_file(payload, random_bytes(3 * kMegabyte, 1));
  const Words options{"--minions", "2", "--piece-size", "1M"};
  set_task(payload);
  ASSERT_EQ(master().run("sync-master", options).status, 0);
  ASSERT_EQ(first.run("sync-minion").status, 0);
  auto in_a_hurry = options;
  in_a_hurry.insert(in_a_hurry.end(), {"--deadline", "1s"});
  Ran ended;
  ASSERT_TRUE(eventually([&] {
    ended = master().run("sync-master", in_a_hurry);
    return ended.status == 1;
  }));
  EXPECT_THAT(ended.output, HasSubstr("ends without every host (deadline)"));
  ASSERT_EQ(master().spools().size(), 1U) << "the origin keeps its spool";
  const auto piece = master().spools().at(0) / "p00001";
  const auto inode = run({"stat", "-c", "%i", piece.string()}).output;

  set_task(payload);
  ASSERT_EQ(master().run("sync-master", options).status, 0);
  EXPECT_EQ(run({"stat", "-c", "%i", piece.string()}).output, inode)
      << "the master cut no piece again";
  ASSERT_EQ(first.run("sync-minion").status, 0);
  ASSERT_EQ(laggard.run("sync-minion").status, 0);
  expect_published(laggard, payload);
  EXPECT_THAT(master().run("sync-master", options).output, HasSubstr("mission complete"));
  EXPECT_TRUE(master().spools().empty());
}

TEST_F(Adopting, AMinionDeletesASpoolOnEvidenceOnly) {
  auto& host = add_host();
  const auto payload = source_root() / "kept";
  write_file(payload, random_bytes(kMegabyte, 1));
  set_task(payload);
  ASSERT_EQ(master().run("sync-master", {"--minions", "1"}).status, 0);
  ASSERT_EQ(host.run("sync-minion").status, 0);
  EXPECT_EQ(host.spools().size(), 1U) << "it serves until the run ends";
  redis.cli({"flushall"});
  ASSERT_EQ(host.run("sync-minion").status, 0);
  EXPECT_EQ(host.spools().size(), 1U) << "an empty Redis is no evidence";

  // The master begins the same run again. The host verifies its pieces, and pulls none.
  const auto before = sent_bytes();
  const auto resumed = master().run("sync-master", {"--minions", "1"});
  EXPECT_THAT(resumed.output, HasSubstr("going on with"));
  ASSERT_EQ(host.run("sync-minion").status, 0);
  EXPECT_LT(sent_bytes() - before, kMegabyte / 10);
  EXPECT_THAT(master().run("sync-master", {"--minions", "1"}).output,
              HasSubstr("mission complete"));
  ASSERT_EQ(host.run("sync-minion").status, 0);
  EXPECT_TRUE(host.spools().empty()) << "Redis says that the run has ended";
}

}  // namespace
}  // namespace libsync::test
