// Holes of sparse files do not move.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "counted_fleet.h"
#include "os/descriptor.h"
#include "os/files.h"

namespace libsync::test {
namespace {

constexpr std::size_t kSize = 512 * kMegabyte;
constexpr std::size_t kExtents = 4;  // A MiB each, with a hole in front.

class Holes : public CountedFleet {
 protected:
  Holes() {
    std::filesystem::create_directories(folder_);
    const auto file = open_file(disk(), O_RDWR | O_CREAT, 0600);
    EXPECT_EQ(ftruncate(file.number(), kSize), 0);
    for (std::size_t i = 0; i < kExtents; ++i) {
      write_at(disk(), (2 * i + 1) * kSize / (2 * kExtents),
               random_bytes(kMegabyte, static_cast<unsigned>(i)));
    }
  }

  [[nodiscard]] std::filesystem::path disk() const { return folder_ / "disk"; }

  static void write_at(const std::filesystem::path& path, std::size_t offset,
                       const std::string& bytes) {
    const auto file = open_file(path, O_RDWR);
    EXPECT_EQ(pwrite(file.number(), bytes.data(), bytes.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes.size()));
  }

  static std::size_t bytes_on_disk(const std::filesystem::path& path) {
    struct stat status {};
    EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
    return static_cast<std::size_t>(status.st_blocks) * 512;
  }

  // A block more for each hole at most.
  void expect_as_many_blocks(const std::string& name) {
    const auto wanted = bytes_on_disk(source_root() / name);
    for (const auto* const host : minions()) {
      EXPECT_LE(bytes_on_disk(host->repo() / name), wanted + (kExtents + 1) * 4096);
    }
  }

  std::filesystem::path folder_ = source_root() / "image.1";
};

TEST_F(Holes, AreNeitherSentNorWritten) {
  add_hosts(2);
  write_file(folder_ / "all hole", "");
  std::filesystem::resize_file(folder_ / "all hole", kSize);
  write_file(folder_ / "readme", "a small dense file");
  distribute(folder_);
  EXPECT_LT(sent_bytes(), 2 * (kExtents + 1) * kMegabyte);
  expect_as_many_blocks("image.1/disk");
  expect_as_many_blocks("image.1/all hole");
}

// Its stream is empty, as that of an empty file.
TEST_F(Holes, AFileMayBeNothingElse) {
  add_hosts(1);
  const auto file = source_root() / "all hole";
  write_file(file, "");
  std::filesystem::resize_file(file, kSize);
  distribute(file);
  EXPECT_LT(bytes_on_disk(minions().front()->repo() / "all hole"), kMegabyte);
}

TEST_F(Holes, TheNextReleaseMovesItsNewBytes) {
  add_hosts(1);
  distribute(folder_);
  const auto next = source_root() / "image.2";
  ASSERT_EQ(run({"cp", "-a", folder_.string(), next.string()}).status, 0);
  write_at(next / "disk", 3 * kSize / 4, random_bytes(kMegabyte / 2, 99));
  write_at(next / "disk", kSize / 8, "a change in an old extent");
  const auto before = sent_bytes() + received_bytes();
  distribute(next);
  EXPECT_LT(sent_bytes() + received_bytes() - before, 2 * kMegabyte);
  expect_as_many_blocks("image.2/disk");
}

// The published file has the size and the times of the original, and all bytes of its pieces.
TEST_F(Holes, BytesInAHoleOfThePublishedCopyAreReplaced) {
  add_hosts(1);
  distribute(folder_);
  const auto published = minions().front()->repo() / "image.1/disk";
  write_at(published, 12345, "x");
  ASSERT_EQ(run({"touch", "-r", disk().string(), published.string()}).status, 0);
  distribute(folder_);
}

}  // namespace
}  // namespace libsync::test
