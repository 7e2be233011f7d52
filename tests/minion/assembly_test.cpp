#include "minion/assembly.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <optional>
#include <span>

#include "cut_payload.h"
#include "libsync/core/failure.h"
#include "libsync/core/ownership.h"
#include "libsync/core/run_record.h"
#include "libsync/core/verdict.h"
#include "minion/old_copy.h"
#include "ordinary_user.h"
#include "os/files.h"
#include "os/random.h"
#include "store/replaced.h"
#include "store/state_folder.h"
#include "task_path.h"
#include "temporary_folder.h"
#include "test_process.h"

namespace libsync {
namespace {

using std::filesystem::perms;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

constexpr std::uint64_t kPieceBytes = 1000;
// The disk begins to write a piece of this size when it is in place.
constexpr std::uint64_t kLongPieceBytes = std::uint64_t{1} << 20U;

void set_mtime(const std::filesystem::path& path, FileTime time) {
  const timespec times[] = {{0, UTIME_OMIT}, {time.seconds, static_cast<long>(time.nanoseconds)}};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << path;
}

// Writes a folder with modes and times of every kind. No border of a file is one of a piece.
void write_tree(const std::filesystem::path& top, unsigned seed) {
  test::write_file(top / "a", test::random_bytes(2500, seed));
  test::write_file(top / "b/read-only", test::random_bytes(10, seed + 1));
  test::write_file(top / "b/z", test::random_bytes(3333, seed + 2));
  test::write_file(top / "c", "");
  std::filesystem::create_directories(top / "empty");
  std::filesystem::create_symlink("../nowhere", top / "link");
  std::filesystem::permissions(top / "a", perms(0751));
  std::filesystem::permissions(top / "b/read-only", perms(0400));
  set_mtime(top / "b/read-only", {1'000'000'000, 1});
  set_mtime(top / "link", {1'100'000'000, 999'999'999});
  set_mtime(top / "b", {1'200'000'000, 2});
  std::filesystem::permissions(top / "b", perms(0555));
  set_mtime(top / "empty", {1'300'000'000, 3});
  set_mtime(top, {1'400'000'000, 4});
  std::filesystem::permissions(top, perms(0555));
}

// Whether the file has bytes that are not on the disk yet.
bool waits_to_be_written(const std::filesystem::path& path) {
  const auto file = open_file(path, O_RDONLY);
  struct statfs where {};
  EXPECT_EQ(fstatfs(file.number(), &where), 0);
  if (where.f_type == TMPFS_MAGIC) return false;  // There is no disk below it.
  alignas(fiemap) std::array<char, sizeof(fiemap) + 64 * sizeof(fiemap_extent)> answer{};
  auto* const map = reinterpret_cast<fiemap*>(answer.data());
  map->fm_length = FIEMAP_MAX_OFFSET;
  map->fm_extent_count = 64;
  EXPECT_EQ(ioctl(file.number(), FS_IOC_FIEMAP, map), 0) << path << ": " << errno;
  const auto extents = std::span(map->fm_extents, map->fm_mapped_extents);
  EXPECT_FALSE(extents.empty());
  return std::any_of(extents.begin(), extents.end(), [](const fiemap_extent& extent) {
    return (extent.fe_flags & (FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_UNWRITTEN)) != 0;
  });
}

// On its own the kernel would begin to write after 30 s.
bool is_soon_written(const std::filesystem::path& path) {
  return test::eventually([&] { return !waits_to_be_written(path); }, std::chrono::seconds(20));
}

class AssemblyTest : public testing::Test {
 protected:
  AssemblyTest() {
    std::filesystem::create_directory(repo());
    state_.emplace(repo());
  }

  [[nodiscard]] std::filesystem::path repo() const { return folder_.path() / "repo"; }
  [[nodiscard]] std::filesystem::path original() const { return folder_.path() / "source"; }
  [[nodiscard]] std::filesystem::path destination() const { return repo() / "name"; }

  [[nodiscard]] Spool assigned_spool() const {
    auto spool = state_->spool(random_name<Fingerprint>());
    spool.assign(RunRecord{Role::minion, "sync", random_name<RunId>(), test::task_path("/srv/name"),
                           random_name<Fingerprint>()});
    return spool;
  }

  // A spool with all pieces of a payload, and its assembly.
  struct Build {
    test::CutPayload cut;
    Spool spool;
    Assembly assembly;

    void splice(PieceNumber piece) {
      EXPECT_EQ(assembly.splice(piece, cut.digest(piece), {}), Verdict::good) << piece;
    }
  };
  Build build_of(const test::CutPayload& cut, Ownership ownership = Ownership::own) const {
    const auto spool = assigned_spool();
    for (PieceNumber piece = 0; piece < cut.pieces(); ++piece) {
      test::write_file(spool.piece_path(piece), cut.piece(piece));
    }
    return {cut, spool,
            Assembly(spool, cut.manifest(), cut.piece_bytes(), repo(), "name", ownership)};
  }
  Build build() const { return build_of({original(), kPieceBytes}); }

  OldCopy old_copy(const Build& built) const {
    return {locate(repo(), "name"), built.cut.manifest(), built.cut.piece_bytes(), {}};
  }

  static void gather(Build& built) {
    built.assembly.begin();
    // Pieces arrive in any order. Here the last comes first.
    for (PieceNumber piece = built.cut.pieces(); piece-- > 0;) built.splice(piece);
  }
  static void publish(Build& built) {
    gather(built);
    built.assembly.complete();
    built.assembly.publish();
  }

  [[nodiscard]] bool is_published_as(const test::CutPayload& wanted) const {
    const test::CutPayload found(destination(), wanted.piece_bytes());
    EXPECT_EQ(found.pieces(), wanted.pieces());
    for (PieceNumber piece = 0; piece < wanted.pieces(); ++piece) {
      if (found.piece(piece) != wanted.piece(piece)) return false;
    }
    return found.manifest().entries() == wanted.manifest().entries();
  }

  test::TemporaryFolder folder_;
  std::optional<StateFolder> state_;
};

TEST_F(AssemblyTest, PublishesContentsModesAndTimesOfEveryEntry) {
  write_tree(original(), 1);
  auto built = build();
  ASSERT_EQ(built.cut.pieces(), 6U);
  publish(built);
  EXPECT_TRUE(is_published_as(built.cut));
  EXPECT_TRUE(built.assembly.has_equal_entries());
}

// Some files reach the disk while Assembly builds the tree, the rest with the whole of it.
TEST_F(AssemblyTest, PublishesATreeOfThousandsOfFiles) {
  for (unsigned i = 0; i < 2500; ++i) {
    test::write_file(original() / std::to_string(i % 10) / std::to_string(i), std::to_string(i));
  }
  auto built = build();
  publish(built);
  EXPECT_TRUE(is_published_as(built.cut));
}

TEST_F(AssemblyTest, PublishesAFileAlone) {
  test::write_file(original(), test::random_bytes(2001, 1));
  std::filesystem::permissions(original(), perms(0444));
  set_mtime(original(), {1'000'000'000, 7});
  auto built = build();
  publish(built);
  EXPECT_TRUE(is_published_as(built.cut));
  test::write_file(folder_.path() / "next", "short");
  auto next = build_of({folder_.path() / "next", kPieceBytes});
  publish(next);
  EXPECT_TRUE(is_published_as(next.cut));
}

TEST_F(AssemblyTest, PublishesAPayloadWithoutBytes) {
  std::filesystem::create_directory(original());
  auto built = build();
  publish(built);
  EXPECT_TRUE(is_published_as(built.cut));
}

TEST_F(AssemblyTest, ExchangesAFolderInOneStepAndKeepsTheReplacedOne) {
  write_tree(original(), 1);
  auto first = build();
  publish(first);
  write_tree(folder_.path() / "other", 50);
  auto second = build_of({folder_.path() / "other", kPieceBytes});
  gather(second);
  second.assembly.complete();
  EXPECT_TRUE(is_published_as(first.cut)) << "until the swap";
  second.assembly.publish();
  EXPECT_TRUE(is_published_as(second.cut));
  const ReplacedVersions replaced(second.spool.folder().parent_path());
  ASSERT_EQ(replaced.all().size(), 1U);
  const auto kept = replaced.all().front().folder;
  EXPECT_TRUE(test::content_of(kept / "payload/a") == test::content_of(original() / "a"));
  EXPECT_EQ(status_of(kept)->st_mode & 07777U, 0700U);
  EXPECT_EQ(status_of(kept.parent_path())->st_mode & 07777U, 0700U) << "no module may read it";
  second.assembly.clear();
  EXPECT_TRUE(std::filesystem::exists(kept));
  EXPECT_FALSE(std::filesystem::exists(second.spool.tree_folder()));
  EXPECT_TRUE(is_published_as(second.cut));
}

TEST_F(AssemblyTest, KeepsOneReplacedVersionOfAName) {
  for (const unsigned seed : {1U, 20U, 40U}) {
    const auto top = folder_.path() / std::to_string(seed);
    write_tree(top, seed);
    auto built = build_of({top, kPieceBytes});
    publish(built);
  }
  const StateFolder state(repo());
  const auto kept = ReplacedVersions(state.path()).all();
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_TRUE(test::content_of(kept[0].folder / "payload/a") ==
              test::content_of(folder_.path() / "20" / "a"));
  EXPECT_EQ(state.discarded(Role::minion).size(), 1U);
}

TEST_F(AssemblyTest, ASetgidRepoGivesItsGroup) {
  write_tree(original(), 1);
  constexpr gid_t kGroup = 4321;
  ASSERT_EQ(chown(repo().c_str(), 0, kGroup), 0);
  ASSERT_EQ(chmod(repo().c_str(), 02775), 0);
  auto built = build();
  publish(built);
  EXPECT_EQ(status_of(destination())->st_gid, kGroup);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(destination())) {
    EXPECT_EQ(status_of(entry.path())->st_gid, kGroup) << entry.path();
  }
}

TEST_F(AssemblyTest, OrdinaryUserReplacesFoldersThatMayNotBeWrittenTo) {
  write_tree(original(), 1);
  write_tree(folder_.path() / "other", 50);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) {
    test::give_to_ordinary_user(entry.path());
  }
  EXPECT_TRUE(test::holds_for_ordinary_user([this] {
    for (const auto* const name : {"source", "other", "source"}) {
      auto built = build_of({folder_.path() / name, kPieceBytes});
      publish(built);
      built.assembly.clear();
      if (!is_published_as(built.cut)) return false;
    }
    return true;
  }));
}

TEST_F(AssemblyTest, StartsAnewFromThePiecesAfterADeath) {
  write_tree(original(), 1);
  auto built = build();
  test::write_file(built.spool.tree_folder() / "payload/a", std::string(5000, '#'));
  test::write_file(built.spool.tree_folder() / "payload/stray/file", "left over");
  std::filesystem::permissions(built.spool.tree_folder() / "payload", perms(0555));
  publish(built);
  EXPECT_TRUE(is_published_as(built.cut));
}

TEST_F(AssemblyTest, MayBeBegunAnew) {
  test::write_file(original() / "one", test::random_bytes(kPieceBytes, 1));
  test::write_file(original() / "two", test::random_bytes(kPieceBytes, 2));
  auto built = build();
  gather(built);
  publish(built);
  EXPECT_TRUE(is_published_as(built.cut));
}

TEST_F(AssemblyTest, NoOtherUserCanReadAnUnfinishedTree) {
  write_tree(original(), 1);
  auto built = build();
  built.assembly.begin();
  for (PieceNumber piece = 1; piece + 1 < built.cut.pieces(); ++piece) {
    built.splice(piece);
  }
  EXPECT_EQ(status_of(built.spool.tree_folder())->st_mode & 077U, 0U);
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(built.spool.tree_folder())) {
    if (entry.is_symlink()) continue;
    EXPECT_EQ(entry.status().permissions() & perms(077), perms::none) << entry.path();
  }
}

TEST_F(AssemblyTest, FileThatLiesInOnePieceIsFinishedWithIt) {
  write_tree(original(), 1);
  auto built = build();
  gather(built);
  struct stat status {};
  const auto path = built.spool.tree_folder() / "payload/b/read-only";
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0400U);
  EXPECT_EQ(mtime_of(status), (FileTime{1'000'000'000, 1}));
}

TEST_F(AssemblyTest, FileIsFinishedWithTheLastOfItsPieces) {
  write_tree(original(), 1);
  set_mtime(original() / "a", {1'500'000'000, 5});
  auto built = build();
  const auto a = built.spool.tree_folder() / "payload/a";
  built.assembly.begin();
  built.splice(2);
  EXPECT_EQ(status_of(built.spool.tree_folder() / "payload/b/read-only")->st_mode & 07777U, 0400U);
  built.splice(0);
  built.splice(2);  // A piece in place does not count twice.
  EXPECT_EQ(status_of(a)->st_mode & 07777U, 0600U);
  built.splice(1);
  EXPECT_EQ(status_of(a)->st_mode & 07777U, 0751U);
  built.splice(0);
  EXPECT_EQ(mtime_of(*status_of(a)), (FileTime{1'500'000'000, 5}));
}

TEST_F(AssemblyTest, DiskBeginsToWriteAPieceWhenItIsInPlace) {
  test::write_file(original(), test::random_bytes(2 * kLongPieceBytes, 1));
  auto built = build_of({original(), kLongPieceBytes});
  built.assembly.begin();
  built.splice(1);
  EXPECT_TRUE(is_soon_written(built.spool.tree_folder() / "payload"));
}

// No page of the small file belongs to the piece.
TEST_F(AssemblyTest, DiskBeginsToWriteTheFileAfterOneOfOneByte) {
  test::write_file(original() / "a", "a");
  test::write_file(original() / "b", test::random_bytes(2 * kLongPieceBytes, 1));
  auto built = build_of({original(), kLongPieceBytes});
  built.assembly.begin();
  built.splice(1);
  EXPECT_TRUE(is_soon_written(built.spool.tree_folder() / "payload/b"));
}

TEST_F(AssemblyTest, PutsLongPiecesTogetherInAnyOrder) {
  const auto content = test::random_bytes(5 * kLongPieceBytes / 2, 1);
  test::write_file(original(), content);
  auto built = build_of({original(), kLongPieceBytes});
  built.assembly.begin();
  for (const PieceNumber piece : {2U, 0U, 1U}) built.splice(piece);
  EXPECT_TRUE(test::content_of(built.spool.tree_folder() / "payload") == content);
}

TEST_F(AssemblyTest, DiskBeginsToWriteAnAdoptedPiece) {
  test::write_file(original(), test::random_bytes(2 * kLongPieceBytes, 1));
  std::filesystem::copy(original(), destination());
  auto built = build_of({original(), kLongPieceBytes});
  built.assembly.begin();
  EXPECT_TRUE(built.assembly.adopt(1, built.cut.digest(1), old_copy(built), {}));
  EXPECT_TRUE(is_soon_written(built.spool.tree_folder() / "payload"));
}

// Bytes in the second and the fifth of eight blocks, so with holes at both ends.
std::string write_sparse_file(const std::filesystem::path& path) {
  constexpr std::size_t kBlock = std::size_t{64} << 10U;
  const auto bytes = test::random_bytes(2 * kBlock, 1);
  const auto file = open_file(path, O_RDWR | O_CREAT, 0600);
  EXPECT_EQ(ftruncate(file.number(), 8 * kBlock), 0);
  EXPECT_EQ(pwrite(file.number(), bytes.data(), kBlock, kBlock), static_cast<ssize_t>(kBlock));
  EXPECT_EQ(pwrite(file.number(), bytes.data() + kBlock, kBlock, 4 * kBlock),
            static_cast<ssize_t>(kBlock));
  return bytes;
}

// The entries that are compared have the holes.
TEST_F(AssemblyTest, HolesOfEachFileAreWhereTheyWere) {
  std::filesystem::create_directory(original());
  test::write_file(original() / "a", "dense");
  write_sparse_file(original() / "b");
  write_sparse_file(original() / "c");
  test::write_file(original() / "all hole", "");
  std::filesystem::resize_file(original() / "all hole", 1 << 20);
  auto built = build_of({original(), 50'000});
  ASSERT_EQ(built.cut.pieces(), 6U) << "4 x 65,536 + 5 bytes";
  publish(built);
  EXPECT_TRUE(is_published_as(built.cut));
  EXPECT_TRUE(built.assembly.has_equal_entries());
}

TEST_F(AssemblyTest, AdoptsTheBytesBetweenHoles) {
  write_sparse_file(original());
  auto first = build_of({original(), 50'000});
  publish(first);
  auto second = build_of({original(), 50'000});
  const auto old = old_copy(second);
  second.assembly.begin();
  for (PieceNumber piece = 0; piece < 3; ++piece) {
    EXPECT_TRUE(second.assembly.adopt(piece, second.cut.digest(piece), old, {})) << piece;
  }
  second.assembly.complete();
  second.assembly.publish();
  EXPECT_TRUE(is_published_as(second.cut));
}

// No piece has the bytes of a hole.
TEST_F(AssemblyTest, APublishedFileWithBytesInAHoleIsNotEqual) {
  write_sparse_file(original());
  auto built = build_of({original(), 50'000});
  publish(built);
  const auto time = mtime_of(*status_of(destination()));
  const auto write_one = [&](const char* byte) {
    const auto file = open_file(destination(), O_RDWR);
    ASSERT_EQ(pwrite(file.number(), byte, 1, 200'000), 1);
    set_mtime(destination(), time);
  };
  write_one("\0");
  EXPECT_TRUE(built.assembly.has_equal_entries()) << "zeros are what a hole has";
  write_one("x");
  EXPECT_FALSE(built.assembly.has_equal_entries());
}

TEST_F(AssemblyTest, PublishesIntoARepoThatIsASymlink) {
  test::write_file(original(), "contents");
  const auto built = build();
  std::filesystem::create_directory_symlink(repo(), folder_.path() / "link");
  Assembly assembly(built.spool, built.cut.manifest(), kPieceBytes, folder_.path() / "link", "name",
                    Ownership::own);
  assembly.begin();
  EXPECT_EQ(assembly.splice(0, built.cut.digest(0), {}), Verdict::good);
  assembly.complete();
  assembly.publish();
  EXPECT_TRUE(is_published_as(built.cut));
}

TEST_F(AssemblyTest, SharesNoFileWithTheSpool) {
  test::write_file(original(), "one piece");
  auto built = build();
  publish(built);
  test::write_file(destination(), "written");  // This keeps the inode.
  EXPECT_EQ(test::content_of(built.spool.piece_path(0)), "one piece");
}

// The piece was good when it got its name. Its copy finds the change.
TEST_F(AssemblyTest, PieceThatHasChangedSinceItWasVerifiedIsNotInPlace) {
  write_tree(original(), 1);
  auto built = build();
  built.assembly.begin();
  const auto path = built.spool.piece_path(1);
  const auto file = open_file(path, O_RDWR);
  const char other = static_cast<char>(built.cut.piece(1)[700] ^ 1);
  ASSERT_EQ(pwrite(file.number(), &other, 1, 700), 1);
  EXPECT_EQ(built.assembly.splice(1, built.cut.digest(1), {}), Verdict::bad);
  std::filesystem::resize_file(path, 999);
  EXPECT_EQ(built.assembly.splice(1, built.cut.digest(1), {}), Verdict::absent);
  std::filesystem::remove(path);
  EXPECT_EQ(built.assembly.splice(1, built.cut.digest(1), {}), Verdict::absent);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(built.assembly.splice(2, built.cut.digest(2), stop.get_token()), Verdict::absent);
  test::write_file(path, built.cut.piece(1));
  for (const PieceNumber piece : {0U, 1U, 2U, 3U, 4U, 5U}) built.splice(piece);
  built.assembly.complete();
  built.assembly.publish();
  EXPECT_TRUE(is_published_as(built.cut));
}

TEST_F(AssemblyTest, TheVerdictIsOnTheFileEvenIfThePieceIsInPlace) {
  write_tree(original(), 1);
  auto built = build();
  built.assembly.begin();
  built.splice(1);
  test::write_file(built.spool.incoming_path(1), std::string(kPieceBytes, '#'));
  EXPECT_EQ(built.assembly.splice(1, open_file(built.spool.incoming_path(1), O_RDONLY),
                                  built.cut.digest(1), {}),
            Verdict::bad);
  EXPECT_EQ(built.assembly.splice(1, open_file(built.spool.piece_path(1), O_RDONLY),
                                  built.cut.digest(1), {}),
            Verdict::good);
}

TEST_F(AssemblyTest, PieceOfMoreFilesThanMayBeOpenIsPutInPlace) {
  for (unsigned i = 0; i < 1200; ++i) {
    test::write_file(original() / std::to_string(i), std::to_string(i));
  }
  auto built = build_of({original(), kLongPieceBytes});
  ASSERT_EQ(built.cut.pieces(), 1U);
  publish(built);
  EXPECT_TRUE(is_published_as(built.cut));
}

TEST_F(AssemblyTest, AdoptsPublishedPiecesWhoseBytesAreTheSame) {
  write_tree(original(), 1);
  auto first = build();
  publish(first);
  // Byte 1500 of the stream belongs to piece 1, and lies in `a`.
  const auto file = open_file(destination() / "a", O_RDWR);
  ASSERT_EQ(pwrite(file.number(), "\x01", 1, 1500), 1);
  auto second = build();
  const auto old = old_copy(second);
  EXPECT_EQ(old.candidates().size(), 6U);
  second.assembly.begin();
  for (PieceNumber piece = 0; piece < 6; ++piece) {
    const auto digest = second.cut.digest(piece);
    EXPECT_EQ(old.has(piece, digest, {}), piece != 1) << piece;
    EXPECT_EQ(second.assembly.adopt(piece, digest, old, {}), piece != 1) << piece;
  }
  second.splice(1);
  second.assembly.complete();
  second.assembly.publish();
  EXPECT_TRUE(is_published_as(second.cut));
}

TEST_F(AssemblyTest, SaysHowFarItIs) {
  write_tree(original(), 1);
  auto first = build();
  EXPECT_EQ(first.assembly.work(), "");
  publish(first);
  auto second = build();
  EXPECT_TRUE(second.assembly.has_equal_entries());
  EXPECT_THAT(second.assembly.work(),
              MatchesRegex("listing the old payload, [1-9][0-9]* entries so far"));
  const auto old = old_copy(second);
  EXPECT_TRUE(second.assembly.is_equal(0, second.cut.digest(0), old, {}));
  EXPECT_EQ(second.assembly.work(), "comparing the old payload, 1 kB of 5.843 kB");
  second.assembly.begin();
  EXPECT_THAT(second.assembly.work(), HasSubstr("making the folders"));
  EXPECT_TRUE(second.assembly.adopt(0, second.cut.digest(0), old, {}));
  EXPECT_THAT(second.assembly.work(), HasSubstr(" files, copied 1 kB and hashed 1 kB of "));
  EXPECT_FALSE(second.assembly.adopt(1, second.cut.digest(0), old, {}));
  EXPECT_THAT(second.assembly.work(), HasSubstr(" files, copied 2 kB and hashed 2 kB of "));
  second.splice(1);
  EXPECT_THAT(second.assembly.work(), HasSubstr(" files, copied 2 kB and hashed 2 kB of "))
      << "the wrong piece counts no more";
  second.splice(2);
  EXPECT_THAT(second.assembly.work(), HasSubstr(" files, copied 3 kB and hashed 3 kB of "));
  for (PieceNumber piece = 3; piece < 6; ++piece) second.splice(piece);
  second.assembly.complete();
  EXPECT_EQ(second.assembly.work(), "");
  static_cast<void>(second.assembly.find_only_here({}));
  EXPECT_THAT(second.assembly.work(), MatchesRegex("publishing [0-9]+ files"));
}

TEST_F(AssemblyTest, CandidatesLieWhollyInThePublishedCopy) {
  write_tree(original(), 1);
  auto built = build();
  EXPECT_EQ(old_copy(built).candidates().size(), 0U) << "there is no published copy";
  publish(built);
  // `a` has pieces 0, 1 and half of 2; `b/read-only` 10 bytes more of 2; `b/z` the rest.
  std::filesystem::resize_file(destination() / "a", 1500);
  EXPECT_THAT(old_copy(built).candidates().members(), ElementsAre(0, 3, 4, 5));
  EXPECT_FALSE(built.assembly.has_equal_entries());
  // Assembly adopts nothing through a symlink, not even the right bytes.
  std::filesystem::permissions(destination(), perms(0755));
  std::filesystem::permissions(destination() / "b", perms(0755));
  std::filesystem::rename(destination() / "b", folder_.path() / "b");
  std::filesystem::create_directory_symlink(folder_.path() / "b", destination() / "b");
  EXPECT_THAT(old_copy(built).candidates().members(), ElementsAre(0));
  EXPECT_FALSE(old_copy(built).has(4, built.cut.digest(4), {}));
}

TEST_F(AssemblyTest, KeepsSetIdBitsOnlyForTheSameOwner) {
  const auto mode_with = [this](std::uint32_t uid, std::uint32_t gid) {
    test::write_file(original(), "program");
    auto entries = test::CutPayload(original(), kPieceBytes).manifest().entries();
    entries[0].mode = 06755;
    entries[0].uid = uid;
    entries[0].gid = gid;
    const auto spool = assigned_spool();
    test::write_file(spool.piece_path(0), "program");
    Build built{{original(), kPieceBytes},
                spool,
                {spool, Manifest(entries), kPieceBytes, repo(), "name", Ownership::own}};
    publish(built);
    EXPECT_TRUE(built.assembly.has_equal_entries());
    return status_of(destination())->st_mode & 07777U;
  };
  EXPECT_EQ(mode_with(geteuid(), getegid()), 06755U);
  EXPECT_EQ(mode_with(geteuid() + 1, getegid()), 02755U);
  EXPECT_EQ(mode_with(geteuid(), getegid() + 1), 04755U);
  EXPECT_EQ(mode_with(geteuid() + 1, getegid() + 1), 0755U);
}

TEST_F(AssemblyTest, CarriesOwnersIfItIsAskedTo) {
  test::write_file(original(), "program");
  test::give_to_ordinary_user(original());
  std::filesystem::permissions(original(), perms(04755));
  auto built = build_of({original(), kPieceBytes}, Ownership::carried);
  publish(built);
  EXPECT_TRUE(is_published_as(built.cut));  // As root, the payload has another owner.
}

}  // namespace
}  // namespace libsync
