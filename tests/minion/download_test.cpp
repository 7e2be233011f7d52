// One run on one host with a fake fleet: which sources it uses, and what it publishes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "download_fixture.h"
#include "os/files.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class FileDownloadTest : public DownloadTest {
 protected:
  FileDownloadTest() : DownloadTest(PayloadKind::file) {}
};

class EmptyDownloadTest : public DownloadTest {
 protected:
  EmptyDownloadTest() : DownloadTest(PayloadKind::empty) {}
};

// --- By claims ---

TEST_F(DownloadTest, PublishesAFolder) {
  begin_staged();
  const auto published = publish();
  EXPECT_EQ(published.fed_by.at(kOrigin), 5U);
  EXPECT_EQ(published.wire_bytes, 4500 + run->manifest_bytes);
  expect_served(5);
  EXPECT_TRUE(state->receipts().has(destination(), run->manifest));
  EXPECT_GT(known(kSelf).slots, 0U) << "it serves";
}

TEST_F(FileDownloadTest, PublishesAFileInPlaceOfAnother) {
  write_file(destination(), "a former one");
  begin_staged();
  static_cast<void>(publish());
}

TEST_F(EmptyDownloadTest, PublishesAPayloadWithoutAByte) {
  begin_staged();
  static_cast<void>(publish());
  expect_served(1);
}

TEST_F(DownloadTest, PullsFromTwoSourcesAtOnce) {
  begin_staged();
  serve(kPeer);
  offer(kPeer, {0, 1, 2, 3, 4});
  const auto published = publish();
  EXPECT_GT(published.fed_by.at(kOrigin), 0U);
  EXPECT_GT(published.fed_by.at(kPeer), 0U);
  EXPECT_EQ(published.fed_by.at(kOrigin) + published.fed_by.at(kPeer), 5U);
}

TEST_F(DownloadTest, PullsEachPieceOnce) {
  begin_staged();
  static_cast<void>(publish());
  for (PieceNumber piece = 0; piece < 5; ++piece) {
    EXPECT_THAT(transfer.pulls_of(piece_name(piece)), SizeIs(1)) << piece;
  }
  EXPECT_THAT(transfer.pulls_of("manifest"), SizeIs(1));
}

// --- Sources that fail ---

TEST_F(DownloadTest, AccusesASourceOfWrongBytesAndUsesAnother) {
  begin_staged();
  serve(kPeer);
  offer(kPeer, {0, 1, 2, 3, 4});
  for (PieceNumber piece = 0; piece < 5; ++piece) spoil(kPeer, piece_name(piece));
  const auto published = publish();
  EXPECT_EQ(published.fed_by.at(kOrigin), 5U);
  EXPECT_EQ(published.fed_by.at(kPeer), 0U);
  EXPECT_TRUE(known(kPeer).strikes[PullEnd::corrupt].contains(kSelf));
  EXPECT_FALSE(known(kOrigin).is_suspect);
  expect_served(5);
}

TEST_F(DownloadTest, FetchesASecondTimeWhatASourceDoesNotBring) {
  begin_staged();
  offer(kPeer, {0, 1, 2, 3, 4});  // Its daemon accepts each pull, and sends nothing.
  const auto published = publish();
  EXPECT_EQ(published.fed_by.at(kOrigin), 5U);
  std::size_t lost = 0;
  std::size_t second = 0;
  for (const auto& [id, request] : transfer.started()) {
    const auto* const pull = std::get_if<PullRequest>(&request);
    if (pull == nullptr) continue;
    if (pull->into == spool().incoming_folder(Attempt::second)) ++second;
    if (pull->source != kPeer) continue;
    ++lost;
    EXPECT_EQ(transfer.ended_for(id), "came second");
  }
  EXPECT_GT(lost, 0U);
  EXPECT_EQ(second, lost);
  EXPECT_TRUE(known(kPeer).strikes.empty()) << "it is accused of nothing";
  expect_served(5);
}

TEST_F(DownloadTest, PullsAWrongManifestAgain) {
  begin_staged();
  spoil(kOrigin, "manifest");
  static_cast<void>(publish());
  EXPECT_GE(transfer.pulls_of("manifest").size(), 2U);
  EXPECT_EQ(content_of(spool().manifest_path()), cut->manifest().encode());
}

TEST_F(DownloadTest, RefusesAFileThatIsTooLong) {
  begin_staged();
  const auto path = module_of(kOrigin) / ".libsync" / run->fingerprint.text() / piece_name(1);
  write_file(path, random_bytes(5000, 3));
  static_cast<void>(publish());
  EXPECT_EQ(logged("the test has this transfer fail"), 1U);
}

TEST_F(DownloadTest, GoesOnAfterAnyEndOfATransfer) {
  // The first one is the probe. A disk that fails ends the download.
  for (const auto end : {PullEnd::unreachable, PullEnd::missing, PullEnd::busy, PullEnd::corrupt,
                         PullEnd::refused}) {
    for (std::size_t nth = 1; nth <= 4; ++nth) {
      for (const std::size_t files : {0U, 1U}) {
        SCOPED_TRACE(testing::Message() << static_cast<int>(end) << " " << nth << " " << files);
        DownloadWorld world;
        world.begin_staged();
        world.transfer.end_as(nth, end, files);
        static_cast<void>(world.publish());
        EXPECT_GE(world.transfer.started().size(), nth);
      }
    }
  }
}

TEST_F(DownloadTest, GivesUpAfterFailuresInARow) {
  begin_staged();
  transfer.silence(kOrigin);
  start();
  const auto failed = finish_failing();
  EXPECT_EQ(failed.status(), ExitStatus::no_source);
  EXPECT_EQ(failed.remedy(), Remedy::try_again);
  EXPECT_THAT(known(kSelf).error, HasSubstr("the test has this transfer fail"));
}

TEST_F(DownloadTest, EndsIfItsOwnDiskFailsATransfer) {
  begin_staged();
  transfer.end_as(2, PullEnd::local);
  start();
  const auto failed = finish_failing();
  EXPECT_EQ(failed.status(), ExitStatus::local);
}

TEST_F(DownloadTest, OffersNothingIfItsOwnDaemonDoesNotServe) {
  begin_staged();
  transfer.silence(kSelf);
  static_cast<void>(publish());
  EXPECT_EQ(known(kSelf).slots, 0U);
  EXPECT_EQ(logged("its own rsync daemon does not serve it"), 1U);
}

// --- Along trees ---

TEST_F(DownloadTest, PullsAlongTreesWithoutAClaim) {
  begin(Spread::trees);
  serve(kOrigin);
  serve(kPeer);
  offer(kPeer, {0, 1, 2, 3, 4});
  shared.run()->parents[kSelf] = {kOrigin, kPeer};
  announce(0, 5);
  const auto published = publish();
  EXPECT_GT(published.fed_by.at(kOrigin), 0U);
  EXPECT_GT(published.fed_by.at(kPeer), 0U);
  EXPECT_EQ(coordinator->faults.calls_of("claim"), 0U);
  expect_served(5);
}

TEST_F(DownloadTest, AccusesAParentThatFailsAndPublishesWithoutIt) {
  for (const auto end : {PullEnd::unreachable, PullEnd::corrupt}) {
    SCOPED_TRACE(static_cast<int>(end));
    DownloadWorld world;
    world.begin(Spread::trees);
    world.serve(kOrigin);
    world.serve(kPeer);
    for (PieceNumber piece = 0; piece < 5; ++piece) world.spoil(kPeer, piece_name(piece));
    if (end == PullEnd::unreachable) world.transfer.silence(kPeer);
    world.shared.run()->parents[kSelf] = {kOrigin, kPeer};
    world.announce_unstaged();
    world.start();
    world.step_until([&] { return world.known(kPeer).strikes[end].contains(kSelf); });
    world.announce(0, 5);
    const auto over = world.finish();
    ASSERT_TRUE(over && std::holds_alternative<Published>(*over));
    const auto& published = std::get<Published>(*over);
    EXPECT_EQ(published.fed_by.at(kOrigin), 5U);
    world.expect_published();
    world.expect_served(5);
  }
}

// --- A host with pieces ---

TEST_F(DownloadTest, PullsOfAFormerPayloadOnlyWhatDiffers) {
  publish_copy();
  write_file(destination() / "sub" / "b", random_bytes(1500, 9));
  begin_staged();
  const auto published = publish();
  EXPECT_EQ(published.fed_by.at(kOrigin), 3U) << "pieces 2, 3 and 4 hold bytes of `sub/b`";
  EXPECT_THAT(transfer.pulls_of(piece_name(0)), IsEmpty());
  EXPECT_THAT(transfer.pulls_of(piece_name(1)), IsEmpty());
}

TEST_F(DownloadTest, LeavesAnEqualPayloadWhereItIs) {
  publish_copy();
  const auto before = status_of(destination()).value().st_ino;
  begin_staged();
  const auto published = publish();
  EXPECT_THAT(published.fed_by, Not(testing::Contains(testing::Pair(kOrigin, testing::Gt(0U)))));
  EXPECT_EQ(status_of(destination()).value().st_ino, before);
  EXPECT_TRUE(state->receipts().has(destination(), run->manifest));
}

TEST_F(DownloadTest, UsesThePiecesOfAnEarlierAttempt) {
  begin_staged();
  write_pieces(spool().folder());
  write_file(spool().piece_path(3), random_bytes(1000, 5));
  const auto published = publish();
  EXPECT_EQ(published.fed_by.at(kOrigin), 1U) << "the one that has gone bad";
  expect_served(5);
}

// --- An old payload ---

TEST_F(DownloadTest, FindsThePiecesOfAPayloadOfAnotherName) {
  publish_moved();
  begin_staged();
  const auto published = publish();
  EXPECT_EQ(published.fed_by.at(kOrigin), 1U) << "the last piece is shorter";
  expect_served(5);
}

// The host can do without old bytes. Its disk fails when the search lists them.
TEST_F(DownloadTest, PullsIfAnOldPayloadCannotBeListed) {
  publish_moved();
  write_file(moved() / "sub" / "b", "so that each file of the new payload has an old one");
  const Unreadable unreadable(moved());
  begin_staged();
  const auto published = publish();
  EXPECT_TRUE(Unreadable::has_failed());
  EXPECT_EQ(published.fed_by.at(kOrigin), 5U);
  expect_served(5);
}

// The survey lists it to find files by their base names.
TEST_F(DownloadTest, PullsIfTheSurveyCannotListIt) {
  publish_moved();
  const Unreadable unreadable(moved());
  begin_staged();
  const auto published = publish();
  EXPECT_TRUE(Unreadable::has_failed());
  EXPECT_EQ(published.fed_by.at(kOrigin), 5U);
}

// The survey lists it to see whether it has the same entries.
TEST_F(DownloadTest, PullsIfThePublishedPayloadCannotBeListed) {
  publish_copy();
  const Unreadable unreadable(destination());
  begin_staged();
  start();
  const auto end = finish();
  EXPECT_TRUE(Unreadable::has_failed());
  ASSERT_TRUE(end && std::holds_alternative<Published>(*end));
  EXPECT_EQ(std::get<Published>(*end).fed_by.at(kOrigin), 5U);
  expect_published();
}

// The host compares its old bytes, or copies them at once if the first ones were right.
TEST_F(DownloadTest, PullsWhatAnOldFileCannotBeReadFor) {
  publish_copy();
  write_file(destination() / "another", "so that the entries differ");
  const Unreadable unreadable(destination() / "sub" / "b");
  begin_staged();
  const auto published = publish();
  EXPECT_TRUE(Unreadable::has_failed());
  EXPECT_EQ(published.fed_by.at(kOrigin), 3U) << "pieces 2, 3 and 4 hold bytes of `sub/b`";
}

TEST_F(DownloadTest, PullsWhatThePublishedPayloadCannotBeReadFor) {
  publish_copy();
  const Unreadable unreadable(destination() / "sub" / "b");
  begin_staged();
  const auto published = publish();
  EXPECT_TRUE(Unreadable::has_failed());
  EXPECT_EQ(published.fed_by.at(kOrigin), 3U) << "pieces 2, 3 and 4 hold bytes of `sub/b`";
}

// --- Pushed by a master ---

TEST_F(DownloadTest, AsksTheMasterForWhatItDidNotDeliver) {
  begin(Spread::claims, kSelf, OriginKind::minion);
  write_pieces(spool().pushed_folder());
  std::filesystem::remove(spool().pushed_folder() / piece_name(2));
  announce(0, 5);
  coordinator->faults.at_call = [this](std::string_view) {
    if (!shared.run()->is_undelivered) return;
    EXPECT_THAT(known(kSelf).error, HasSubstr("1 pieces are missing or damaged, piece 2 first"));
    write_file(spool().pushed_folder() / piece_name(2), cut->piece(2));
    static_cast<void>(shared.vouch(run->id));
  };
  static_cast<void>(publish());
  EXPECT_EQ(coordinator->faults.calls_of("doubt"), 1U);
  EXPECT_EQ(coordinator->faults.calls_of("claim"), 0U);
  expect_served(5);
}

}  // namespace
}  // namespace libsync::test
