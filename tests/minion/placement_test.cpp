// A host judges, serves, assembles and publishes the files that it pulls.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "libsync/core/failure.h"
#include "libsync/core/verdict.h"
#include "os/files.h"
#include "placement_fixture.h"
#include "test_process.h"

namespace libsync {
namespace {

using std::filesystem::exists;
using Step = DiskState::Step;
using test::kPieceBytes;
using testing::ElementsAre;
using testing::IsEmpty;

class PlacementTest : public test::PlacementFixture {};

TEST_F(PlacementTest, PulledPiecesAreServedAssembledAndPublished) {
  const auto& placement = start(Delivery::pulled);
  EXPECT_THAT(claimable(), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(pull_manifest(), Verdict::good);
  EXPECT_FALSE(judgements_.front().piece);
  EXPECT_TRUE(placement.has_manifest());
  for (const PieceNumber piece : {4U, 0U, 2U, 1U, 3U}) {
    EXPECT_FALSE(is_at(Step::gathered));
    EXPECT_EQ(pull(piece), Verdict::good);
    EXPECT_EQ(judgements_.front().piece, piece);
    EXPECT_TRUE(pieces_->servable().contains(piece));
    EXPECT_TRUE(pump([&] { return pieces_->in_place().contains(piece); }));
  }
  EXPECT_THAT(claimable(), IsEmpty());
  EXPECT_FALSE(exists(destination()));
  complete_and_publish();
  EXPECT_TRUE(pieces_->servable().is_complete()) << "the host goes on serving them";
}

TEST_F(PlacementTest, PiecesBeforeTheManifestAreServedAtOnceAndPlacedLater) {
  start(Delivery::pulled);
  for (PieceNumber piece = 0; piece < 5; ++piece) EXPECT_EQ(pull(piece), Verdict::good);
  EXPECT_TRUE(pieces_->servable().is_complete());
  EXPECT_EQ(pieces_->in_place().size(), 0U);
  EXPECT_EQ(pull_manifest(), Verdict::good);
  complete_and_publish();
}

TEST_F(PlacementTest, CorruptPieceIsDeletedAndStillWanted) {
  start(Delivery::pulled);
  EXPECT_EQ(pull(2, std::string(kPieceBytes, '#')), Verdict::bad);
  EXPECT_FALSE(exists(spool_->incoming_path(2)));
  EXPECT_FALSE(pieces_->servable().contains(2));
  EXPECT_EQ(pull(3, "cut short"), Verdict::absent);
  EXPECT_THAT(claimable(), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(pull(2), Verdict::good);
  EXPECT_THAT(claimable(), ElementsAre(0, 1, 3, 4));
}

// A piece of many GB is hashed for minutes.
TEST_F(PlacementTest, SaysHowManyBytesAreHashed) {
  start(Delivery::pulled);
  const auto says = [this](const std::string& text) {
    return test::eventually([&] { return placement_->work() == text; }, std::chrono::seconds(20));
  };
  EXPECT_EQ(placement_->work(), "");
  deliver(0, cut_->piece(0));
  deliver(4, cut_->piece(4));
  EXPECT_TRUE(says("hashing 2 pieces that are here, 1.5 kB of 1.5 kB")) << placement_->work();
  ASSERT_TRUE(pump([this] { return judgements_.size() == 2; }));
  EXPECT_EQ(placement_->work(), "");
  placement_->reverify();
  EXPECT_TRUE(says("hashing 2 pieces that are here, 1.5 kB of 1.5 kB")) << placement_->work();
  ASSERT_TRUE(pump([this] { return !placement_->is_reverifying(); }));
  test::write_file(spool_->piece_path(1), cut_->piece(1));
  start(Delivery::pulled);
  decide({announced(1)});
  EXPECT_TRUE(says("hashing 1 pieces that are here, 1 kB of 1 kB")) << placement_->work();
}

TEST_F(PlacementTest, WrongManifestIsBadAndNotUsed) {
  const auto& placement = start(Delivery::pulled);
  EXPECT_EQ(pull_manifest("libsync-manifest 1\n"), Verdict::bad);
  EXPECT_FALSE(placement.has_manifest());
  EXPECT_EQ(pull_manifest(), Verdict::good);
  EXPECT_TRUE(placement.has_manifest());
}

TEST_F(PlacementTest, ManifestThatContradictsTheRunIsAFailure) {
  stream_bytes_ = cut_->cut().stream_bytes + 1;
  start(Delivery::pulled);
  EXPECT_THROW(static_cast<void>(pull_manifest()), Failure);
}

TEST_F(PlacementTest, ReverifyingFindsSpoiltPieces) {
  auto& placement = start(Delivery::pulled);
  for (PieceNumber piece = 0; piece < 3; ++piece) EXPECT_EQ(pull(piece), Verdict::good);
  test::write_file(spool_->piece_path(1), std::string(kPieceBytes, '#'));
  placement.reverify();
  EXPECT_TRUE(placement.is_reverifying());
  EXPECT_TRUE(pump([&] { return !placement.is_reverifying(); }));
  EXPECT_THAT(pieces_->servable().members(), ElementsAre(0, 2));
  EXPECT_FALSE(exists(spool_->piece_path(1)));
  EXPECT_THAT(claimable(), ElementsAre(1, 3, 4));
}

TEST_F(PlacementTest, ReverifyingMakesAGoodPieceReadableForTheModuleAgain) {
  auto& placement = start(Delivery::pulled);
  EXPECT_EQ(pull(0), Verdict::good);
  std::filesystem::permissions(spool_->piece_path(0), std::filesystem::perms(0600));
  placement.reverify();
  EXPECT_TRUE(pump([&] { return !placement.is_reverifying(); }));
  EXPECT_EQ(status_of(spool_->piece_path(0))->st_mode & 07777U, 0640U);
}

// A piece that arrives before the manifest is verified long before it is copied.
TEST_F(PlacementTest, PieceThatRotsBetweenItsCheckAndItsCopyIsPulledAgain) {
  start(Delivery::pulled);
  for (PieceNumber piece = 0; piece < 5; ++piece) EXPECT_EQ(pull(piece), Verdict::good);
  auto rotten = cut_->piece(3);
  rotten[500] = static_cast<char>(rotten[500] ^ 1);
  test::write_file(spool_->piece_path(3), rotten);
  EXPECT_EQ(pull_manifest(), Verdict::good);
  ASSERT_TRUE(pump([&] { return pieces_->in_place().size() == 4 && claimable().size() == 1; }));
  EXPECT_FALSE(is_at(Step::gathered));
  EXPECT_FALSE(pieces_->servable().contains(3));
  EXPECT_FALSE(exists(spool_->piece_path(3)));
  EXPECT_THAT(claimable(), ElementsAre(3));
  EXPECT_EQ(pull(3), Verdict::good);
  complete_and_publish();
}

TEST_F(PlacementTest, PieceThatVanishesBeforeItIsCopiedIsPulledAgain) {
  start(Delivery::pulled);
  EXPECT_EQ(pull(3), Verdict::good);
  std::filesystem::remove(spool_->piece_path(3));
  EXPECT_EQ(pull_manifest(), Verdict::good);
  ASSERT_TRUE(pump([&] { return !pieces_->servable().contains(3); }));
  EXPECT_THAT(claimable(), ElementsAre(0, 1, 2, 3, 4));
}

// With the manifest, the host copies a piece while it hashes it.
TEST_F(PlacementTest, CorruptPieceIsNotInPlaceAfterAManifestEither) {
  const auto& placement = start(Delivery::pulled);
  EXPECT_EQ(pull_manifest(), Verdict::good);
  ASSERT_TRUE(pump([&] { return placement.has_manifest(); }));
  for (const PieceNumber piece : {2U, 4U}) {
    EXPECT_EQ(pull(piece, std::string(kPieceBytes, '#')),
              piece == 2 ? Verdict::bad : Verdict::absent);
    EXPECT_FALSE(pieces_->servable().contains(piece));
    EXPECT_FALSE(pieces_->in_place().contains(piece));
  }
  for (PieceNumber piece = 0; piece < 5; ++piece) EXPECT_EQ(pull(piece), Verdict::good);
  complete_and_publish();
}

TEST_F(PlacementTest, ATreeFromAPieceThatWentBadIsNotPublished) {
  auto& placement = start(Delivery::pulled);
  EXPECT_EQ(pull_manifest(), Verdict::good);
  for (PieceNumber piece = 0; piece < 5; ++piece) EXPECT_EQ(pull(piece), Verdict::good);
  ASSERT_TRUE(pump([&] { return is_at(Step::gathered); }));
  test::write_file(spool_->piece_path(1), std::string(kPieceBytes, '#'));
  placement.reverify();
  EXPECT_THROW(static_cast<void>(pump([&] { return !placement.is_reverifying(); })), Failure);
}

TEST_F(PlacementTest, APieceWhoseFileIsLostIsNotServedAndStaysInPlace) {
  auto& placement = start(Delivery::pulled);
  EXPECT_EQ(pull_manifest(), Verdict::good);
  for (PieceNumber piece = 0; piece < 5; ++piece) EXPECT_EQ(pull(piece), Verdict::good);
  ASSERT_TRUE(pump([&] { return is_at(Step::gathered); }));
  std::filesystem::remove(spool_->piece_path(1));
  placement.reverify();
  ASSERT_TRUE(pump([&] { return !placement.is_reverifying(); }));
  EXPECT_EQ(pieces_->state(1), PieceState::adopted);
  complete_and_publish();
}

TEST_F(PlacementTest, AnInterruptedPlacementIsResumed) {
  start(Delivery::pulled);
  test::write_file(spool_->incoming_folder() / "manifest", cut_->manifest().encode());
  placement_->judge_manifest();
  for (PieceNumber piece = 0; piece < 5; ++piece) {
    deliver(piece, cut_->piece(piece));
  }
  placement_.reset();  // At any point of the work.
  auto& placement = start(Delivery::pulled);
  decide(all_announced());
  ASSERT_TRUE(pump([&] { return pieces_->servable().is_complete(); }));
  if (!placement.has_manifest()) {
    EXPECT_EQ(pull_manifest(), Verdict::good);
  }
  complete_and_publish();
}

TEST_F(PlacementTest, DestinationThatBecameASymlinkIsNotReplaced) {
  auto& placement = start(Delivery::pulled);
  EXPECT_EQ(pull_manifest(), Verdict::good);
  for (PieceNumber piece = 0; piece < 5; ++piece) EXPECT_EQ(pull(piece), Verdict::good);
  ASSERT_TRUE(pump([&] { return is_at(Step::gathered); }));
  placement.complete();
  ASSERT_TRUE(pump([&] { return is_at(Step::completed); }));
  std::filesystem::create_directory_symlink(original(), destination());
  EXPECT_THROW(placement.publish([](const OnlyHere&) {}), Failure);
  EXPECT_TRUE(std::filesystem::is_symlink(destination()));
}

class LostPiece : public PlacementTest, public testing::WithParamInterface<PieceState> {};

// The verifier has every piece in its queue when the assembler finds one rotten.
TEST_P(LostPiece, IsPassedOverByReverifying) {
  auto& placement = start(Delivery::pulled);
  for (PieceNumber piece = 0; piece < 5; ++piece) ASSERT_EQ(pull(piece), Verdict::good);
  test::write_file(spool_->piece_path(4), std::string(cut_->piece(4).size(), '#'));
  ASSERT_EQ(pull_manifest(), Verdict::good);
  const auto busy = spool_->incoming_folder() / "manifest";
  test::write_file(busy, "");
  std::filesystem::resize_file(busy, 1'000'000'000);  // The verifier hashes it first.
  placement.judge_manifest();
  placement.reverify();
  ASSERT_TRUE(pump([&] { return pieces_->state(4) == PieceState::wanted; }));
  if (GetParam() != PieceState::wanted) pieces_->move(4, GetParam());
  EXPECT_NO_THROW(EXPECT_TRUE(pump([&] { return !placement.is_reverifying(); })));
  EXPECT_EQ(pieces_->state(4), GetParam());
}

INSTANTIATE_TEST_SUITE_P(States, LostPiece,
                         testing::Values(PieceState::wanted, PieceState::in_flight));

}  // namespace
}  // namespace libsync
