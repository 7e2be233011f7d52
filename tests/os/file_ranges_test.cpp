#include "os/file_ranges.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "file_size_limit.h"
#include "libsync/core/failure.h"
#include "os/descriptor.h"
#include "temporary_folder.h"

namespace libsync {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::size_t kBlock = 64 << 10U;
constexpr std::size_t kMiB = std::size_t{1} << 20U;
const auto kPage = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));

bool is_on_ext4(const Descriptor& file) {
  struct statfs where {};
  EXPECT_EQ(fstatfs(file.number(), &where), 0);
  return where.f_type == EXT4_SUPER_MAGIC;
}

std::size_t pages_in_cache(const Descriptor& file) {
  const auto bytes = static_cast<std::size_t>(status_of(file).st_size);
  void* const mapping = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.number(), 0);
  std::vector<unsigned char> pages((bytes + kPage - 1) / kPage);
  EXPECT_EQ(mincore(mapping, bytes, pages.data()), 0);
  munmap(mapping, bytes);
  return static_cast<std::size_t>(std::count_if(
      pages.begin(), pages.end(), [](unsigned char page) { return (page & 1U) != 0; }));
}

class Ranges : public testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path path(const std::string& name) const {
    return folder_.path() / name;
  }

  test::TemporaryFolder folder_;
};

// Bytes, a hole, bytes, a hole.
class CopyRange : public Ranges {
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
  const std::filesystem::path other = "/dev/shm/sync-disk-ranges-test-" + std::to_string(getpid());
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

// People see how far a long copy is, so its bytes count before it ends.
TEST_F(CopyRange, CountsTheBytesAsTheyMove) {
  const auto to = open_file(path("to"), O_RDWR | O_CREAT, 0600);
  for (const auto density : {Density::sparse, Density::dense}) {
    ByteCount count = 0;
    EXPECT_TRUE(copy_range(from_, 7, to, 0, content_.size() - 7, density, {}, &count));
    EXPECT_EQ(count, content_.size() - 7) << "holes count, too";
  }
  ByteCount count = 0;
  EXPECT_FALSE(copy_range(from_, 0, to, 0, content_.size() + 1, Density::dense, {}, &count));
  EXPECT_EQ(count, content_.size()) << "the copy did not end";
  ByteCount direct = 0;
  EXPECT_TRUE(copy_range_past_cache(from_, 0, to, 0, content_.size(), Density::dense, {}, &direct));
  EXPECT_EQ(direct, content_.size());
}

// Bytes that end in the middle of a page.
class CopyPastCache : public Ranges {
 protected:
  CopyPastCache() : content_(test::random_bytes((std::size_t{6} << 20U) + 123, 1)) {
    test::write_file(path("from"), content_);
    from_ = open_file(path("from"), O_RDONLY);
    to_ = open_file(path("to"), O_RDWR | O_CREAT, 0600);
  }

  std::string content_;
  Descriptor from_;
  Descriptor to_;
};

TEST_F(CopyPastCache, CopiesEveryRangeToEveryOffset) {
  const std::string before(content_.size() + kPage, '#');
  for (const std::size_t from : {std::size_t{0}, kPage, std::size_t{100}}) {
    for (const std::size_t to : {std::size_t{0}, 2 * kPage, std::size_t{100}}) {
      for (const std::size_t bytes : {kPage, kMiB, kMiB + kPage, content_.size() - from}) {
        test::write_file(path("to"), before);
        EXPECT_TRUE(copy_range_past_cache(from_, from, to_, to, bytes, Density::dense));
        auto expected = before;
        expected.replace(to, bytes, content_, from, bytes);
        ASSERT_TRUE(test::content_of(path("to")) == expected)
            << from << " to " << to << ", " << bytes << " bytes";
      }
    }
  }
}

TEST_F(CopyPastCache, MakesTheFileAsLongAsTheRange) {
  EXPECT_TRUE(copy_range_past_cache(from_, 0, to_, 0, content_.size(), Density::dense));
  EXPECT_TRUE(test::content_of(path("to")) == content_);
}

TEST_F(CopyPastCache, LeavesNothingOfTheCopyInTheCacheOfExt4) {
  const auto whole_pages = content_.size() - content_.size() % kPage;
  EXPECT_TRUE(copy_range_past_cache(from_, 0, to_, 0, whole_pages, Density::dense));
  if (is_on_ext4(to_)) {
    EXPECT_EQ(pages_in_cache(to_), 0U);
  }
  EXPECT_EQ(pages_in_cache(from_), content_.size() / kPage + 1);
  EXPECT_TRUE(test::content_of(path("to")) == content_.substr(0, whole_pages));
}

TEST_F(CopyPastCache, KeepsHolesAsHoles) {
  ASSERT_EQ(truncate(path("from").c_str(), 0), 0);
  ASSERT_EQ(truncate(path("from").c_str(), static_cast<off_t>(content_.size())), 0);
  EXPECT_TRUE(copy_range_past_cache(from_, 0, to_, 0, content_.size(), Density::sparse));
  EXPECT_EQ(status_of(to_).st_blocks, 0);
  EXPECT_EQ(ftruncate(to_.number(), static_cast<off_t>(content_.size())), 0);
  EXPECT_TRUE(test::content_of(path("to")) == std::string(content_.size(), '\0'));
}

TEST_F(CopyPastCache, TellsThatTheOriginalIsTooShort) {
  const auto to_the_end_of_the_page = content_.size() + kPage - content_.size() % kPage;
  EXPECT_FALSE(copy_range_past_cache(from_, 0, to_, 0, to_the_end_of_the_page, Density::dense));
  EXPECT_FALSE(copy_range_past_cache(from_, 4 * kMiB, to_, 0, content_.size(), Density::dense));
}

TEST_F(CopyPastCache, WhatIsWrittenAfterItNeedNotFitThePages) {
  EXPECT_TRUE(copy_range_past_cache(from_, 0, to_, 0, content_.size(), Density::dense));
  EXPECT_EQ(pwrite(to_.number(), "abc", 3, 1), 3);
  EXPECT_TRUE(test::content_of(path("to")) == content_.replace(1, 3, "abc"));
}

TEST_F(CopyPastCache, SaysWhatStoppedIt) {
  // As a full disk, in the middle of a page.
  constexpr std::size_t kRoom = (std::size_t{5} << 20U) + 100;
  const auto copy = [&] {
    const test::FileSizeLimit limit(kRoom);
    return copy_range_past_cache(from_, 0, to_, 0, content_.size(), Density::dense);
  };
  EXPECT_THAT([&] { static_cast<void>(copy()); },
              ThrowsMessage<Failure>(
                  HasSubstr("cannot copy into '" + path("to").string() + "': File too large")));
  EXPECT_TRUE(test::content_of(path("to")) == content_.substr(0, kRoom));
}

TEST_F(Ranges, Ext4HasTheBlocksOfWhatIsExpectedAndItsSizeStays) {
  const auto file = open_file(path("file"), O_RDWR | O_CREAT, 0600);
  expect_writes(file, 2 * kMiB);
  EXPECT_EQ(status_of(file).st_size, 0);
  const auto blocks = static_cast<std::uint64_t>(status_of(file).st_blocks);
  if (is_on_ext4(file)) {
    EXPECT_GE(blocks * 512, 2 * kMiB);
    EXPECT_LE(blocks * 512, 2 * kMiB + kBlock);  // And what lists them.
  } else {
    EXPECT_EQ(blocks, 0U);
  }
}

TEST_F(Ranges, LittleIsNotExpected) {
  const auto file = open_file(path("file"), O_RDWR | O_CREAT, 0600);
  expect_writes(file, 4096);
  EXPECT_EQ(status_of(file).st_blocks, 0);
}

TEST_F(Ranges, HashRangeHashesTheRangeAndTellsThatTheFileIsTooShort) {
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

TEST_F(CopyRange, HolesAndWrittenZerosAreZeros) {
  const auto is_zero_at = [&](std::size_t from, std::size_t bytes) {
    return is_zero(from_, from, bytes, {});
  };
  EXPECT_TRUE(is_zero_at(kBlock, 4 * kBlock));
  EXPECT_FALSE(is_zero_at(kBlock - 1, 4 * kBlock));
  EXPECT_FALSE(is_zero_at(kBlock, 4 * kBlock + 1));
  EXPECT_TRUE(is_zero_at(6 * kBlock, 2 * kBlock));
  EXPECT_FALSE(is_zero_at(6 * kBlock, 2 * kBlock + 1)) << "behind the end";
  EXPECT_TRUE(is_zero_at(0, 0));
  const auto file = open_file(path("zeros"), O_RDWR | O_CREAT, 0600);
  const std::string zeros(3 * kBlock, '\0');
  ASSERT_EQ(pwrite(file.number(), zeros.data(), zeros.size(), 0),
            static_cast<ssize_t>(zeros.size()));
  EXPECT_TRUE(is_zero(file, 0, zeros.size(), {}));
  ASSERT_EQ(pwrite(file.number(), "x", 1, 2 * kBlock), 1);
  EXPECT_FALSE(is_zero(file, 0, zeros.size(), {}));
}

TEST_F(Ranges, HashedBytesCountAsTheyAreRead) {
  test::write_file(path("file"), test::random_bytes(600'000, 2));
  const auto file = open_file(path("file"), O_RDONLY);
  Hasher hasher;
  RollingSummer summer;
  ByteCount count = 0;
  EXPECT_TRUE(hash_range(hasher, file, 17, 500'000, {}, &count));
  EXPECT_EQ(count, 500'000U);
  EXPECT_TRUE(hash_and_sum_range(hasher, summer, file, 0, 100'000, {}, &count));
  EXPECT_EQ(count, 600'000U);
  EXPECT_FALSE(hash_range(hasher, file, 0, 600'001, {}, &count));
  EXPECT_EQ(count, 1'200'000U) << "the range did not end";
}

}  // namespace
}  // namespace libsync
