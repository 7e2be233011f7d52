// A host adopts bytes that it has: from an earlier attempt, published, pushed, or in the spool that
// it shares with a master.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <set>

#include "libsync/core/failure.h"
#include "libsync/core/pieces.h"
#include "libsync/core/verdict.h"
#include "os/removal.h"
#include "placement_fixture.h"
#include "test_process.h"

namespace libsync {
namespace {

using std::filesystem::exists;
using Step = DiskState::Step;
using test::kPieceBytes;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class AdoptionTest : public test::PlacementFixture {};

TEST_F(AdoptionTest, PiecesOfAnEarlierAttemptCountOnceTheyAreHashed) {
  test::write_file(spool_->manifest_path(), cut_->manifest().encode());
  test::write_file(spool_->piece_path(0), cut_->piece(0));
  test::write_file(spool_->incoming_path(1), cut_->piece(1));
  test::write_file(spool_->piece_path(2), std::string(kPieceBytes, '#'));
  test::write_file(spool_->piece_path(3), "torn");
  auto& placement = start(Delivery::pulled);
  EXPECT_TRUE(placement.has_manifest());
  EXPECT_THAT(pieces_->without_digest(), ElementsAre(0, 1, 2));
  EXPECT_THAT(claimable(), ElementsAre(3, 4));
  decide({announced(0), announced(2)});
  EXPECT_THAT(pieces_->without_digest(), ElementsAre(1));
  decide({announced(1)});
  EXPECT_TRUE(pump([&] {
    return pieces_->servable().members() == std::vector<PieceNumber>{0, 1} &&
           claimable() == std::vector<PieceNumber>{2, 3, 4};
  }));
  for (const PieceNumber piece : {2U, 3U, 4U}) EXPECT_EQ(pull(piece), Verdict::good);
  complete_and_publish();
}

TEST_F(AdoptionTest, AManifestThatAKilledTickPulledIsUsed) {
  test::write_file(spool_->incoming_folder() / "manifest", cut_->manifest().encode());
  EXPECT_TRUE(start(Delivery::pulled).has_manifest());
  EXPECT_TRUE(exists(spool_->manifest_path()));
}

TEST_F(AdoptionTest, AManifestThatAKilledTickHalfPulledIsPulledAnew) {
  test::write_file(spool_->incoming_folder() / "manifest", cut_->manifest().encode().substr(1));
  EXPECT_FALSE(start(Delivery::pulled).has_manifest());
  EXPECT_FALSE(exists(spool_->incoming_folder() / "manifest"));
}

TEST_F(AdoptionTest, NoPieceIsClaimedBeforeThePublishedCopyIsSurveyed) {
  publish_copy();
  start(Delivery::pulled);
  EXPECT_THAT(claimable(), IsEmpty());
}

TEST_F(AdoptionTest, EqualPayloadIsPublishedWithoutWriting) {
  publish_copy();
  const auto before = status_of(destination() / "a");
  start(Delivery::pulled);
  EXPECT_EQ(pull_manifest(), Verdict::good);
  ASSERT_TRUE(pump([&] { return pieces_->without_digest().size() == 5; }));
  EXPECT_FALSE(is_at(Step::published));
  decide(all_announced());
  EXPECT_TRUE(pump([&] { return is_at(Step::published); }));
  EXPECT_TRUE(pieces_->in_place().is_complete());
  EXPECT_FALSE(is_at(Step::gathered));
  EXPECT_FALSE(exists(spool_->tree_folder()));
  const auto after = status_of(destination() / "a");
  EXPECT_EQ(after->st_ino, before->st_ino);
  EXPECT_EQ(after->st_ctim.tv_nsec, before->st_ctim.tv_nsec);
}

// On XFS a death between the swap and the receipt leaves another time.
TEST_F(AdoptionTest, OnlyTheTimeOfTheTopFolderIsRestored) {
  publish_copy();
  const timespec times[] = {{0, UTIME_OMIT}, {1'000'000'000, 5}};
  ASSERT_EQ(utimensat(AT_FDCWD, destination().c_str(), times, 0), 0);
  const auto before = status_of(destination());
  start(Delivery::pulled);
  decide(all_announced());
  EXPECT_EQ(pull_manifest(), Verdict::good);
  ASSERT_TRUE(pump([&] { return is_at(Step::published); }));
  EXPECT_FALSE(exists(spool_->tree_folder()));
  EXPECT_EQ(status_of(destination())->st_ino, before->st_ino);
  expect_published();
}

TEST_F(AdoptionTest, TheTimeOfTheTopFolderStaysWhileItsFilesDiffer) {
  publish_copy({3});
  const timespec times[] = {{0, UTIME_OMIT}, {1'000'000'000, 5}};
  ASSERT_EQ(utimensat(AT_FDCWD, destination().c_str(), times, 0), 0);
  start(Delivery::pulled);
  decide(all_announced());
  EXPECT_EQ(pull_manifest(), Verdict::good);
  ASSERT_TRUE(pump([&] { return claimable() == std::vector<PieceNumber>{3}; }));
  EXPECT_EQ(mtime_of(*status_of(destination())), (FileTime{1'000'000'000, 5}));
  EXPECT_EQ(pull(3), Verdict::good);
  complete_and_publish();
}

// The state of a piece's file in the spool, and of the published copy.
enum class Found { nothing, good, bad };
enum class Old { nothing, same_entries, other_entries };

TEST_F(AdoptionTest, AfterAnyMixtureOnlyTheMissingPiecesAreClaimed) {
  std::mt19937 random(20);
  const auto up_to = [&](int most) { return std::uniform_int_distribution<int>(0, most)(random); };
  for (int round = 0; round < 40; ++round) {
    SCOPED_TRACE(round);
    remove_tree(destination());
    remove_tree(spool_->folder());
    remove_tree(state_->path() /
                "replaced");  // The versions of former rounds are old payloads, too.
    assign_spool();
    const auto old = static_cast<Old>(up_to(2));
    std::set<PieceNumber> changed;
    std::vector<PieceNumber> missing;
    std::vector<PieceNumber> files;
    for (PieceNumber piece = 0; piece < 5; ++piece) {
      const auto found = static_cast<Found>(up_to(2));
      if (up_to(2) == 0) changed.insert(piece);
      if (found != Found::nothing) {
        test::write_file(spool_->piece_path(piece),
                         found == Found::good ? cut_->piece(piece) : std::string(kPieceBytes, '#'));
      }
      const bool is_published = old != Old::nothing && !changed.contains(piece);
      if (found == Found::good) files.push_back(piece);
      if (found != Found::good && !is_published) missing.push_back(piece);
    }
    if (old != Old::nothing) publish_copy(changed);
    if (old == Old::other_entries) {
      std::filesystem::permissions(destination() / "b", std::filesystem::perms(0600));
    }
    start(Delivery::pulled);
    decide(all_announced());  // The manifest arrives only after this.
    EXPECT_EQ(pull_manifest(), Verdict::good);
    ASSERT_TRUE(pump([&] {
      decide(all_announced());
      return claimable() == missing && pieces_->in_place().size() + missing.size() == 5;
    })) << pieces_->in_place().size();
    EXPECT_EQ(pieces_->servable().members(), files);
    for (const auto piece : missing) EXPECT_EQ(pull(piece), Verdict::good);
    if (old == Old::same_entries && changed.empty()) {
      EXPECT_TRUE(pump([&] { return is_at(Step::published); }));
      EXPECT_FALSE(exists(spool_->tree_folder()));
      expect_published();
    } else {
      complete_and_publish();
    }
    placement_.reset();
  }
}

// --- An old payload under another name ---

class OldNameTest : public test::PlacementFixture {
 protected:
  // The old payload is a folder with the file `a`.
  void publish_old(const std::string& a) const {
    test::write_file(old() / "a", a);
    state_->receipts().write(old(), digest_of("its manifest"));
  }
  [[nodiscard]] std::filesystem::path old() const { return repo() / "name.1"; }
  [[nodiscard]] std::string stream() const {
    std::string all;
    for (PieceNumber piece = 0; piece < 5; ++piece) all += cut_->piece(piece);
    return all;
  }
  void survey() {
    start(Delivery::pulled);
    EXPECT_THAT(claimable(), IsEmpty());
    EXPECT_EQ(pull_manifest(), Verdict::good);
  }
};

TEST_F(OldNameTest, PiecesThatHaveMovedAreServedAndPlaced) {
  publish_old(test::random_bytes(700, 7) + stream().substr(0, 3200));
  survey();
  decide(all_announced());
  ASSERT_TRUE(pump([&] { return claimable() == std::vector<PieceNumber>{3, 4}; }));
  EXPECT_THAT(pieces_->servable().members(), ElementsAre(0, 1, 2));
  for (const PieceNumber piece : {3U, 4U}) EXPECT_EQ(pull(piece), Verdict::good);
  complete_and_publish();
  EXPECT_TRUE(exists(old()));
}

TEST_F(OldNameTest, TheSearchSaysHowFarItIs) {
  publish_old(test::random_bytes(700, 7) + stream().substr(0, 3200));
  survey();
  decide(all_announced());
  const auto searches = [&] { return placement_->work().starts_with("searching an older"); };
  ASSERT_TRUE(pump(searches));
  EXPECT_TRUE(
      test::eventually([&] { return placement_->work().ends_with(" pieces, 3.9 kB read so far"); },
                       std::chrono::seconds(20)))
      << placement_->work();
}

TEST_F(OldNameTest, NoPieceIsPulledBeforeAllAreAnnounced) {
  publish_old("x" + stream());
  survey();
  ASSERT_TRUE(pump([&] { return pieces_->without_digest().size() == 5; }));
  decide({announced(0), announced(1), announced(2)});
  for (int call = 0; call < 3; ++call) decide({});
  EXPECT_TRUE(pump([&] { return pieces_->in(PieceState::adopting).empty(); }));
  EXPECT_THAT(claimable(), IsEmpty());
  decide(all_announced());
  EXPECT_TRUE(pump([&] { return pieces_->in_place().size() == 4; }));
  EXPECT_THAT(claimable(), ElementsAre(4)) << "it is shorter, so the search does not find it";
}

TEST_F(OldNameTest, ARunThatAnnouncesNothingMoreIsNotWaitedFor) {
  publish_old("x" + stream());
  survey();
  ASSERT_TRUE(pump([&] { return pieces_->without_digest().size() == 5; }));
  decide({announced(0)});
  for (int call = 0; call < 10; ++call) decide({});
  EXPECT_TRUE(pump([&] { return claimable().size() == 1; })) << "the announced one";
}

TEST_F(OldNameTest, NothingInCommonIsPulled) {
  publish_old(test::random_bytes(8000, 9));
  survey();
  decide(all_announced());
  EXPECT_TRUE(pump([&] { return claimable().size() == 5; }));
}

TEST_F(OldNameTest, AWrongDigestLeavesNoFile) {
  publish_old("x" + stream());
  survey();
  auto pieces = all_announced();
  pieces[1].digest = digest_of("other bytes of the same sum");
  decide(pieces);
  ASSERT_TRUE(pump([&] { return claimable() == std::vector<PieceNumber>{1, 4}; }));
  EXPECT_FALSE(exists(spool_->incoming_path(1)));
  EXPECT_FALSE(exists(spool_->piece_path(1)));
}

TEST_F(OldNameTest, AnUnfinishedRunLeavesItsPieces) {
  std::filesystem::create_directory(spool_->former_folder());
  for (const PieceNumber piece : {1U, 2U}) {
    test::write_file(spool_->former_folder() / piece_name(piece), cut_->piece(piece));
  }
  survey();
  decide(all_announced());
  ASSERT_TRUE(pump([&] { return claimable() == std::vector<PieceNumber>{0, 3, 4}; }));
  EXPECT_THAT(pieces_->servable().members(), ElementsAre(1, 2));
  for (const PieceNumber piece : {0U, 3U, 4U}) EXPECT_EQ(pull(piece), Verdict::good);
  complete_and_publish();
}

TEST_F(OldNameTest, AnUnfinishedRunAndAnOldPayloadAreSearchedTogether) {
  publish_old(test::random_bytes(700, 7) + stream().substr(0, 1200));
  std::filesystem::create_directory(spool_->former_folder());
  test::write_file(spool_->former_folder() / "p00000", "x" + cut_->piece(3));
  survey();
  decide(all_announced());
  ASSERT_TRUE(pump([&] { return claimable() == std::vector<PieceNumber>{1, 2, 4}; }));
  EXPECT_THAT(pieces_->servable().members(), ElementsAre(0, 3));
}

TEST_F(OldNameTest, ThePiecesOfAnUnfinishedRunAreWaitedForInAnyFamily) {
  publish_old(test::random_bytes(3000, 7));
  state_->receipts().write(old(), digest_of("its manifest"), Kinship::unlike);
  std::filesystem::create_directory(spool_->former_folder());
  test::write_file(spool_->former_folder() / "p00000", cut_->piece(0));
  survey();
  ASSERT_TRUE(pump([&] { return pieces_->without_digest().size() == 5; }));
  decide({announced(0)});
  EXPECT_TRUE(pump([&] { return pieces_->in(PieceState::adopting).empty(); }));
  EXPECT_THAT(claimable(), IsEmpty());
}

// Its pieces would come later by the time of staging, and no old byte would save any.
TEST_F(OldNameTest, AFamilyWithNothingInCommonWaitsForNoAnnouncement) {
  publish_old(test::random_bytes(3000, 7));
  state_->receipts().write(old(), digest_of("its manifest"), Kinship::unlike);
  survey();
  decide({announced(0)});
  EXPECT_TRUE(pump([&] { return claimable() == std::vector<PieceNumber>{0}; }));
}

TEST_F(OldNameTest, PullsOfAFamilyThatIsAlikeBeginWithOldBytes) {
  publish_old(test::random_bytes(3000, 7));
  survey();
  ASSERT_TRUE(pump([&] { return placement_->basis().old != nullptr; }));
  EXPECT_EQ(placement_->basis().likeness, Likeness::unknown);
  EXPECT_EQ(placement_->kinship(0), Kinship::alike);
  EXPECT_EQ(placement_->kinship(4500), Kinship::unlike);
  state_->receipts().write(old(), digest_of("its manifest"), Kinship::alike);
  start(Delivery::pulled);
  ASSERT_TRUE(pump([&] { return placement_->basis().old != nullptr; }));
  EXPECT_EQ(placement_->basis().likeness, Likeness::shown);
}

TEST_F(AdoptionTest, PushedPiecesCountAsTheyAreAnnounced) {
  auto& placement = start(Delivery::pushed);
  EXPECT_THAT(claimable(), IsEmpty());
  EXPECT_THAT(pieces_->without_digest(), ElementsAre(0, 1, 2, 3, 4));
  test::write_file(spool_->pushed_folder() / "p00000", cut_->piece(0));
  test::write_file(spool_->pushed_folder() / "p00001", std::string(kPieceBytes, '#'));
  EXPECT_EQ(placement.undelivered(), "");
  decide({announced(0), announced(1), announced(2)});
  EXPECT_TRUE(pump([&] { return pieces_->servable().contains(0); }));
  EXPECT_TRUE(pump([&] { return placement.undelivered().starts_with("2 pieces"); }));
  EXPECT_THAT(placement.undelivered(), HasSubstr("piece 1 first"));
  for (PieceNumber piece = 1; piece < 5; ++piece) {
    test::write_file(spool_->pushed_folder() / piece_name(piece), cut_->piece(piece));
  }
  test::write_file(spool_->pushed_folder() / "manifest", cut_->manifest().encode());
  decide({announced(3), announced(4)});
  EXPECT_TRUE(pump([&] { return pieces_->servable().is_complete(); }));
  EXPECT_EQ(placement.undelivered(), "");
  complete_and_publish();
}

// Members of the module's group can write to push/.
TEST_F(AdoptionTest, WithoutAPushNobodyReadsPushedFiles) {
  for (PieceNumber piece = 0; piece < 5; ++piece) {
    test::write_file(spool_->pushed_folder() / piece_name(piece), cut_->piece(piece));
  }
  test::write_file(spool_->pushed_folder() / "manifest", cut_->manifest().encode());
  start(Delivery::pulled);
  decide(all_announced());
  EXPECT_FALSE(placement_->has_manifest());
  EXPECT_THAT(claimable(), ElementsAre(0, 1, 2, 3, 4));
}

TEST_F(AdoptionTest, APushMustDeliverEvenPublishedPieces) {
  publish_copy();
  start(Delivery::pushed);
  test::write_file(spool_->pushed_folder() / "manifest", cut_->manifest().encode());
  decide(all_announced());
  EXPECT_TRUE(pump([&] { return placement_->undelivered().starts_with("5 pieces"); }));
  decide({});
  EXPECT_THAT(claimable(), IsEmpty());
  EXPECT_EQ(pieces_->in_place().size(), 0U) << "other hosts pull the pushed files from here";
  for (PieceNumber piece = 0; piece < 5; ++piece) {
    test::write_file(spool_->pushed_folder() / piece_name(piece), cut_->piece(piece));
  }
  EXPECT_TRUE(pump([&] {
    decide({});
    return is_at(Step::published);
  }));
  EXPECT_TRUE(pieces_->servable().is_complete());
  EXPECT_EQ(placement_->undelivered(), "");
  EXPECT_FALSE(exists(spool_->tree_folder())) << "the published copy was equal";
}

TEST_F(AdoptionTest, APushMustDeliverALostPieceAgain) {
  for (PieceNumber piece = 0; piece < 5; ++piece) {
    test::write_file(spool_->pushed_folder() / piece_name(piece), cut_->piece(piece));
  }
  test::write_file(spool_->pushed_folder() / "manifest", cut_->manifest().encode());
  auto& placement = start(Delivery::pushed);
  decide(all_announced());
  ASSERT_TRUE(pump([&] { return is_at(Step::gathered); }));
  std::filesystem::remove(spool_->piece_path(1));
  placement.reverify();
  EXPECT_THROW(static_cast<void>(pump([&] { return !placement.is_reverifying(); })), Failure);
  start(Delivery::pushed);
  decide(all_announced());
  EXPECT_TRUE(pump([&] { return placement_->undelivered().starts_with("1 pieces"); }));
}

TEST_F(AdoptionTest, SharedSpoolIsOnlyRead) {
  test::write_file(spool_->manifest_path(), cut_->manifest().encode());
  for (PieceNumber piece = 0; piece < 5; ++piece) {
    test::write_file(spool_->piece_path(piece), cut_->piece(piece));
    std::filesystem::permissions(spool_->piece_path(piece), std::filesystem::perms(0604));
  }
  const std::string wrong(kPieceBytes, '#');
  test::write_file(spool_->piece_path(2), wrong);
  auto& placement = start(Delivery::shared);
  decide(all_announced());
  EXPECT_TRUE(pump([&] { return !placement.undelivered().empty(); }));
  EXPECT_THAT(placement.undelivered(), HasSubstr("1 pieces are missing or damaged, piece 2"));
  EXPECT_EQ(test::content_of(spool_->piece_path(2)), wrong);
  test::write_file(spool_->piece_path(2), cut_->piece(2));  // The master repairs its piece.
  decide({});
  complete_and_publish();
  EXPECT_EQ(placement.undelivered(), "");
  for (PieceNumber piece = 0; piece < 5; ++piece) {
    EXPECT_EQ(status_of(spool_->piece_path(piece))->st_mode & 07777U, 0604U);
  }
}

}  // namespace
}  // namespace libsync
