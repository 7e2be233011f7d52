#include "store/spool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <regex>

#include "libsync/core/failure.h"
#include "libsync/core/pieces.h"
#include "libsync/core/run_record.h"
#include "libsync/core/served_modes.h"
#include "libsync/core/verdict.h"
#include "ordinary_user.h"
#include "os/files.h"
#include "os/random.h"
#include "store/state_folder.h"
#include "task_path.h"
#include "temporary_folder.h"

namespace libsync {
namespace {

using std::filesystem::exists;

constexpr PieceNumber kPiece = 3;

class SpoolTest : public testing::Test {
 protected:
  [[nodiscard]] static RunRecord owner_as(Role role) {
    return {.role = role,
            .prefix = "fleet:a",
            .run = random_name<RunId>(),
            .task = test::task_path("/srv/data/a  name with spaces "),
            .content = random_name<Fingerprint>(),
            .piece_bytes = 1U << 20U};
  }

  [[nodiscard]] Verdict accept(const std::filesystem::path& from) const {
    return spool_.accept(from, kPiece, content_.size(), digest_of(content_), {});
  }

  test::TemporaryFolder repo_;
  StateFolder state_{repo_.path()};
  Spool spool_ = state_.spool(random_name<Fingerprint>());
  std::string content_ = test::random_bytes(100'000, 4);
};

TEST_F(SpoolTest, ASecondAttemptWritesIntoAFolderOfItsOwn) {
  const auto first = spool_.incoming_path(kPiece);
  const auto second = spool_.incoming_path(kPiece, Attempt::second);
  spool_.assign(owner_as(Role::minion));
  EXPECT_TRUE(exists(spool_.incoming_folder(Attempt::second)));
  test::write_file(first, content_.substr(1));
  EXPECT_FALSE(spool_.make_way(kPiece, content_.size(), Attempt::second));
  EXPECT_TRUE(exists(first)) << "its rsync still writes there";
  test::write_file(second, content_);
  EXPECT_EQ(accept(second), Verdict::good);
  EXPECT_FALSE(exists(first));
  EXPECT_FALSE(exists(second));
  EXPECT_TRUE(exists(spool_.piece_path(kPiece)));
}

TEST_F(SpoolTest, InheritsTheSpoolOfAnEarlierRun) {
  const auto former = state_.spool(random_name<Fingerprint>());
  former.assign(owner_as(Role::minion));
  test::write_file(former.piece_path(kPiece), content_);
  spool_.assign(owner_as(Role::minion));
  EXPECT_TRUE(spool_.inherit(former));
  EXPECT_FALSE(exists(former.folder()));
  EXPECT_EQ(test::content_of(spool_.former_folder() / piece_name(kPiece)), content_);
  EXPECT_EQ(status_of(spool_.former_folder())->st_mode & 0777U, 0700U) << "no host pulls it";
  EXPECT_TRUE(spool_.discard_former());
  EXPECT_FALSE(exists(spool_.former_folder()));
  EXPECT_FALSE(spool_.discard_former());
}

// Runs that end early in a row leave one former spool, without a second copy of its pieces.
TEST_F(SpoolTest, InheritsNothingThatTheFormerSpoolHasInherited) {
  const auto first = state_.spool(random_name<Fingerprint>());
  const auto second = state_.spool(random_name<Fingerprint>());
  for (const auto& spool : {first, second, spool_}) spool.assign(owner_as(Role::minion));
  ASSERT_TRUE(second.inherit(first));
  std::filesystem::create_directory(second.tree_folder());
  EXPECT_TRUE(spool_.inherit(second));
  EXPECT_FALSE(exists(spool_.former_folder() / "former"));
  EXPECT_FALSE(exists(spool_.former_folder() / "tree"));
  EXPECT_EQ(state_.discarded(Role::minion).size(), 2U) << "the sweeper deletes them";
}

TEST_F(SpoolTest, IsServedAgainAfterADeathInsideInherit) {
  spool_.assign(owner_as(Role::minion));
  std::filesystem::permissions(spool_.folder(), std::filesystem::perms(0700));
  spool_.assign(owner_as(Role::minion));
  EXPECT_EQ(status_of(spool_.folder())->st_mode & 0777U, kServedFolderMode & 0777U);
}

TEST_F(SpoolTest, InheritsNoSpoolThatAMasterOwnsAndOneAtMost) {
  spool_.assign(owner_as(Role::minion));
  const auto shared = state_.spool(random_name<Fingerprint>());
  shared.assign(owner_as(Role::minion));
  shared.assign(owner_as(Role::master));
  EXPECT_FALSE(spool_.inherit(shared));
  EXPECT_TRUE(exists(shared.folder()));
  const auto one = state_.spool(random_name<Fingerprint>());
  const auto other = state_.spool(random_name<Fingerprint>());
  one.assign(owner_as(Role::minion));
  other.assign(owner_as(Role::minion));
  EXPECT_TRUE(spool_.inherit(one));
  EXPECT_FALSE(spool_.inherit(other));
  EXPECT_TRUE(exists(other.folder()));
}

TEST_F(SpoolTest, NamesPiecesInTheirOrder) {
  EXPECT_EQ(piece_name(17), "p00017");
  EXPECT_EQ(piece_name(kMaxPieces), "p04096");
}

TEST_F(SpoolTest, AcceptsAGoodPieceUnderItsFinalNameForTheModuleToServe) {
  spool_.assign(owner_as(Role::minion));
  test::write_file(spool_.incoming_path(kPiece), content_);
  std::filesystem::permissions(spool_.incoming_path(kPiece), std::filesystem::perms(0600));
  EXPECT_EQ(accept(spool_.incoming_path(kPiece)), Verdict::good);
  EXPECT_FALSE(exists(spool_.incoming_path(kPiece)));
  EXPECT_EQ(test::content_of(spool_.piece_path(kPiece)), content_);
  struct stat status {};
  struct stat repo {};
  ASSERT_EQ(stat(spool_.piece_path(kPiece).c_str(), &status), 0);
  ASSERT_EQ(stat(repo_.path().c_str(), &repo), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0640U);
  EXPECT_EQ(status.st_gid, repo.st_gid);
  EXPECT_EQ(accept(spool_.piece_path(kPiece)), Verdict::good);  // Again, under its final name.
  EXPECT_TRUE(exists(spool_.piece_path(kPiece)));
}

TEST_F(SpoolTest, DeletesABadPieceUnderEitherName) {
  spool_.assign(owner_as(Role::minion));
  content_[50'000] = static_cast<char>(content_[50'000] ^ 1);
  const auto bad = content_;
  content_[50'000] = static_cast<char>(content_[50'000] ^ 1);
  for (const auto& path : {spool_.incoming_path(kPiece), spool_.piece_path(kPiece)}) {
    test::write_file(path, bad);
    EXPECT_EQ(accept(path), Verdict::bad);
    EXPECT_FALSE(exists(path));
    EXPECT_FALSE(exists(spool_.incoming_path(kPiece)));
    EXPECT_FALSE(exists(spool_.piece_path(kPiece)));
  }
}

TEST_F(SpoolTest, LeavesAPartialPieceForTheNextPull) {
  spool_.assign(owner_as(Role::minion));
  EXPECT_EQ(accept(spool_.incoming_path(kPiece)), Verdict::absent);
  test::write_file(spool_.incoming_path(kPiece), content_.substr(1));
  EXPECT_EQ(accept(spool_.incoming_path(kPiece)), Verdict::absent);
  EXPECT_TRUE(exists(spool_.incoming_path(kPiece)));
  EXPECT_FALSE(exists(spool_.piece_path(kPiece)));
}

TEST_F(SpoolTest, KeepsAPieceWhoseCheckWasStopped) {
  spool_.assign(owner_as(Role::minion));
  test::write_file(spool_.incoming_path(kPiece), content_);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(spool_.accept(spool_.incoming_path(kPiece), kPiece, content_.size(),
                          digest_of(content_), stop.get_token()),
            Verdict::absent);
  EXPECT_TRUE(exists(spool_.incoming_path(kPiece)));
}

TEST_F(SpoolTest, MakeWayKeepsWhatAPullCanBeginWithAndDeletesAnyOtherFile) {
  spool_.assign(owner_as(Role::minion));
  const auto path = spool_.incoming_path(kPiece);
  const auto make_way = [&] { return spool_.make_way(kPiece, content_.size()); };
  EXPECT_FALSE(make_way());
  EXPECT_FALSE(exists(path));
  for (const auto& begun : {content_.substr(1), content_ + "x"}) {
    test::write_file(path, begun);
    EXPECT_TRUE(make_way());
    EXPECT_EQ(test::content_of(path), begun) << "a part of it, or old bytes";
  }
  test::write_file(path, "");
  EXPECT_FALSE(make_way()) << "it has no byte";
  test::write_file(path, content_);
  EXPECT_FALSE(make_way());
  EXPECT_FALSE(exists(path)) << "as long as the piece";
  std::filesystem::create_directory(path);
  EXPECT_FALSE(make_way());
  EXPECT_FALSE(exists(path)) << "a source can send a folder of that name";
}

TEST_F(SpoolTest, AFileIsMadeForALargePieceAlone) {
  spool_.assign(owner_as(Role::minion));
  constexpr std::uint64_t kLarge = std::uint64_t{2} << 20U;
  spool_.expect(kPiece, content_.size());
  spool_.expect(kPiece, 0);
  const auto path = spool_.incoming_path(kPiece);
  EXPECT_FALSE(exists(path));
  const auto mask = umask(077);
  spool_.expect(kPiece, kLarge);
  umask(mask);
  EXPECT_EQ(test::content_of(path), "");
  EXPECT_EQ(status_of(path)->st_mode & 0777U, 0640U);
}

// rsync sets the mode that the file had when rsync opened it, and may do so after accept().
TEST_F(SpoolTest, MakeWayGivesAPartialPieceTheModeOfAServedOne) {
  spool_.assign(owner_as(Role::minion));
  const auto path = spool_.incoming_path(kPiece);
  test::write_file(path, "a part");
  std::filesystem::permissions(path, std::filesystem::perms(0600));
  EXPECT_TRUE(spool_.make_way(kPiece, content_.size() + 1));
  EXPECT_EQ(status_of(path)->st_mode & 07777U, 0640U);
  EXPECT_EQ(test::content_of(path), "a part");
}

TEST_F(SpoolTest, NoOtherUserEntersTheFolderOfUnverifiedPieces) {
  spool_.assign(owner_as(Role::minion));
  EXPECT_EQ(status_of(spool_.incoming_folder())->st_mode & 07777U, 0700U);
  std::filesystem::permissions(spool_.incoming_folder(), std::filesystem::perms(0750));
  spool_.assign(owner_as(Role::minion));
  EXPECT_EQ(status_of(spool_.incoming_folder())->st_mode & 07777U, 0700U) << "of a former version";
}

TEST_F(SpoolTest, SetsTheModeAfterVerifying) {
  spool_.assign(owner_as(Role::minion));
  const auto path = spool_.incoming_path(kPiece);
  test::write_file(path, content_);
  const auto verdict =
      spool_.accept(path, kPiece, content_.size(), [&](const Descriptor& /*file*/) {
        std::filesystem::permissions(path, std::filesystem::perms(0600));  // As a late rsync does.
        return Verdict::good;
      });
  EXPECT_EQ(verdict, Verdict::good);
  EXPECT_EQ(status_of(spool_.piece_path(kPiece))->st_mode & 07777U, 0640U);
}

TEST_F(SpoolTest, ReverifyingGivesAGoodPieceItsModeAgainAndKeepsABadOne) {
  spool_.assign(owner_as(Role::minion));
  const auto path = spool_.piece_path(kPiece);
  const auto reverify = [&](const std::string& expected) {
    return spool_.reverify(kPiece, content_.size(), digest_of(expected), {});
  };
  EXPECT_EQ(reverify(content_), Verdict::absent);
  test::write_file(path, content_);
  std::filesystem::permissions(path, std::filesystem::perms(0600));
  EXPECT_EQ(reverify("other"), Verdict::bad);
  EXPECT_EQ(status_of(path)->st_mode & 07777U, 0600U);
  EXPECT_EQ(reverify(content_), Verdict::good);
  EXPECT_EQ(status_of(path)->st_mode & 07777U, 0640U);
  EXPECT_EQ(status_of(path)->st_gid, status_of(repo_.path())->st_gid);
}

TEST_F(SpoolTest, MovesAPushedPieceOutOfThePushersReach) {
  spool_.assign(owner_as(Role::minion));
  const auto pushed = spool_.pushed_folder() / piece_name(kPiece);
  test::write_file(pushed, content_);
  test::give_to_ordinary_user(pushed);
  EXPECT_FALSE(spool_.fetch_pushed(piece_name(kPiece), content_.size() + 1));
  EXPECT_TRUE(exists(pushed)) << "it is still on the way";
  EXPECT_TRUE(spool_.fetch_pushed(piece_name(kPiece), content_.size()));
  EXPECT_FALSE(exists(pushed));
  EXPECT_EQ(accept(spool_.incoming_path(kPiece)), Verdict::good);
  struct stat status {};
  ASSERT_EQ(stat(spool_.piece_path(kPiece).c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, geteuid());
  EXPECT_EQ(status.st_mode & 07777U, 0640U);
}

// Any member of the module's group can make these names.
TEST_F(SpoolTest, APushedLinkReachesNoFileElsewhere) {
  spool_.assign(owner_as(Role::minion));
  const auto secret = repo_.path() / "secret";
  test::write_file(secret / "manifest", content_);
  std::filesystem::permissions(secret / "manifest", std::filesystem::perms(0600));
  const auto inode = status_of(secret / "manifest")->st_ino;
  const auto expect_kept = [&] {
    EXPECT_FALSE(exists(spool_.incoming_folder() / "manifest"));
    const auto status = status_of(secret / "manifest");
    ASSERT_TRUE(status);
    EXPECT_EQ(status->st_ino, inode);
    EXPECT_EQ(status->st_mode & 07777U, 0600U);
  };
  // The folder is a symlink.
  std::filesystem::create_directory_symlink(secret, spool_.pushed_folder());
  EXPECT_FALSE(spool_.fetch_pushed("manifest", std::nullopt));
  expect_kept();
  std::filesystem::remove(spool_.pushed_folder());
  std::filesystem::create_directory(spool_.pushed_folder());
  // The file is one.
  std::filesystem::create_symlink(secret / "manifest", spool_.pushed_folder() / "manifest");
  EXPECT_FALSE(spool_.fetch_pushed("manifest", std::nullopt));
  expect_kept();
  EXPECT_FALSE(std::filesystem::is_symlink(spool_.pushed_folder() / "manifest"));
  // The file is another name of ours.
  std::filesystem::create_hard_link(secret / "manifest", spool_.pushed_folder() / "manifest");
  EXPECT_FALSE(spool_.fetch_pushed("manifest", std::nullopt));
  expect_kept();
  // The end of the run deletes the symlink, and nothing behind it.
  std::filesystem::remove_all(spool_.pushed_folder());
  std::filesystem::create_directory_symlink(secret, spool_.pushed_folder());
  spool_.leave(Role::minion);
  expect_kept();
}

TEST_F(SpoolTest, ASymlinkIsNoPiece) {
  spool_.assign(owner_as(Role::minion));
  test::write_file(repo_.path() / "elsewhere", content_);
  std::filesystem::create_symlink(repo_.path() / "elsewhere", spool_.incoming_path(kPiece));
  EXPECT_EQ(accept(spool_.incoming_path(kPiece)), Verdict::absent);
  EXPECT_FALSE(exists(spool_.piece_path(kPiece)));
}

TEST_F(SpoolTest, InspectGivesTheSameVerdictAndChangesNothing) {
  const auto path = repo_.path() / "piece";
  const auto inspect = [&] {
    return Spool::inspect(path, content_.size(), digest_of(content_), {});
  };
  EXPECT_EQ(inspect(), Verdict::absent);
  test::write_file(path, content_);
  std::filesystem::permissions(path, std::filesystem::perms(0604));
  EXPECT_EQ(inspect(), Verdict::good);
  auto bad = content_;
  bad[0] = static_cast<char>(bad[0] ^ 1);
  test::write_file(path, bad);
  EXPECT_EQ(inspect(), Verdict::bad);
  EXPECT_EQ(test::content_of(path), bad);
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0604U);
}

TEST_F(SpoolTest, FindsPiecesByNameAndSize) {
  spool_.assign(owner_as(Role::minion));
  const Cut cut{25, 10};
  test::write_file(spool_.piece_path(0), std::string(10, 'x'));
  test::write_file(spool_.piece_path(1), std::string(9, 'x'));
  test::write_file(spool_.piece_path(2), std::string(5, 'x'));
  EXPECT_THAT(spool_.pieces_found(cut).members(), testing::ElementsAre(0, 2));
}

TEST_F(SpoolTest, AcceptsOnlyTheManifestThatWasAnnounced) {
  spool_.assign(owner_as(Role::minion));
  const Manifest manifest({Entry{EntryKind::file, 0644, {5, 6}, 7}});
  const auto digest = digest_of(manifest.encode());
  const auto from = spool_.incoming_folder() / "manifest";
  EXPECT_FALSE(spool_.accept_manifest(from, digest));
  test::write_file(from, manifest.encode() + "x");
  EXPECT_FALSE(Spool::read_manifest(from, digest));
  EXPECT_TRUE(exists(from));
  EXPECT_FALSE(spool_.accept_manifest(from, digest));
  EXPECT_FALSE(exists(from));
  test::write_file(from, manifest.encode());
  const auto accepted = spool_.accept_manifest(from, digest);
  ASSERT_TRUE(accepted);
  EXPECT_EQ(accepted->entries(), manifest.entries());
  EXPECT_FALSE(exists(from));
  EXPECT_EQ(test::content_of(spool_.manifest_path()), manifest.encode());
}

TEST_F(SpoolTest, AnAnnouncedManifestOfAnotherVersionIsAFailure) {
  spool_.assign(owner_as(Role::minion));
  const auto from = spool_.incoming_folder() / "manifest";
  test::write_file(from, "libsync-manifest 2\n");
  EXPECT_THROW(static_cast<void>(spool_.accept_manifest(from, digest_of("libsync-manifest 2\n"))),
               Failure);
}

TEST_F(SpoolTest, ReadsTheRunRecordAsItWasWritten) {
  for (const auto role : {Role::master, Role::minion}) {
    for (const auto standing :
         {Standing::prepared, Standing::running, Standing::ended, Standing::ended_short}) {
      auto owner = owner_as(role);
      owner.standing = standing;
      owner.expected_count = 12;
      owner.begun_ms = 1'764'000'000'000;
      owner.expected_hosts = {"10.0.0.1", "fd00::2"};
      spool_.assign(owner);
      const auto found = spool_.record(role);
      ASSERT_TRUE(found);
      EXPECT_EQ(found->role, role);
      EXPECT_EQ(found->prefix, owner.prefix);
      EXPECT_EQ(found->run, owner.run);
      EXPECT_EQ(found->task, owner.task);
      EXPECT_EQ(found->content, owner.content);
      EXPECT_EQ(found->piece_bytes, owner.piece_bytes);
      EXPECT_EQ(found->standing, standing);
      EXPECT_EQ(found->expected_count, owner.expected_count);
      EXPECT_EQ(found->begun_ms, owner.begun_ms);
      EXPECT_EQ(found->expected_hosts, owner.expected_hosts);
    }
  }
}

TEST_F(SpoolTest, ATruncatedRunRecordIsNone) {
  auto owner = owner_as(Role::master);
  owner.expected_hosts = {"10.0.0.1", "10.0.0.2"};
  spool_.assign(owner);
  const auto path = spool_.folder() / "owner-master";
  const auto whole = test::content_of(path);
  for (std::size_t bytes = 0; bytes + 1 < whole.size(); ++bytes) {
    test::write_file(path, whole.substr(0, bytes));
    EXPECT_FALSE(spool_.record(Role::master)) << whole.substr(0, bytes);
  }
  test::write_file(path, "colour blue\n" + whole);
  EXPECT_FALSE(spool_.record(Role::master));
  EXPECT_EQ(spool_.legible_record(Role::master).value().run, owner.run);
  // A cut in pieces of no bytes would divide by zero.
  test::write_file(path,
                   std::regex_replace(whole, std::regex("piece-bytes [0-9]+"), "piece-bytes 0"));
  EXPECT_FALSE(spool_.record(Role::master));
  EXPECT_FALSE(spool_.legible_record(Role::master));
  EXPECT_FALSE(spool_.record(Role::minion));
}

TEST_F(SpoolTest, TheLastRoleToLeaveDiscardsTheSpool) {
  spool_.assign(owner_as(Role::master));
  spool_.assign(owner_as(Role::minion));
  test::write_file(spool_.piece_path(0), "x");
  test::write_file(spool_.pushed_folder() / "p00001", "x");
  spool_.leave(Role::master);
  EXPECT_FALSE(spool_.record(Role::master));
  EXPECT_TRUE(spool_.record(Role::minion));
  EXPECT_TRUE(exists(spool_.piece_path(0)));
  spool_.leave(Role::minion);
  EXPECT_FALSE(exists(spool_.folder()));
  EXPECT_FALSE(exists(spool_.pushed_folder()));
  spool_.leave(Role::minion);  // The spool is deleted already.
  EXPECT_EQ(state_.discarded(Role::minion).size(), 2U) << "the spool, and what was pushed";
}

}  // namespace
}  // namespace libsync
