// One run on one host with a fake fleet: runs that end, Redis out of reach, the disk, suspicion.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "download_fixture.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using namespace std::chrono_literals;

// --- The run ---

TEST_F(DownloadTest, PublishesNothingBeforeTheRunIsStaged) {
  begin();
  serve(kOrigin);
  announce_unstaged();
  start();
  step_until([this] { return coordinator->faults.calls_of("state_of") >= 3; });
  EXPECT_FALSE(std::filesystem::exists(destination()));
  EXPECT_EQ(coordinator->faults.calls_of("finish"), 0U);
  announce(0, 5);
  const auto end = finish();
  ASSERT_TRUE(end);
  EXPECT_TRUE(std::holds_alternative<Published>(*end));
  expect_published();
}

TEST_F(DownloadTest, EndsWithARunThatEndsAtAnyCall) {
  for (const bool is_replaced : {false, true}) {
    for (std::size_t nth = 1;; ++nth) {
      SCOPED_TRACE(testing::Message() << is_replaced << " " << nth);
      DownloadWorld world;
      write_file(world.destination() / "a", "a former one");
      world.begin_staged();
      world.start();
      std::size_t left = nth;
      world.coordinator->faults.at_call = [&](std::string_view verb) {
        if (verb == "listen" || left == 0 || --left > 0) return;
        static_cast<void>(world.shared.end(world.run->id, "cancelled", "", TaskAfter::goes));
        if (is_replaced) world.begin_staged();
      };
      const auto end = world.finish();
      ASSERT_TRUE(end);
      const bool is_published = std::filesystem::exists(world.destination() / "sub");
      if (is_published) {
        world.expect_published();
        EXPECT_TRUE(world.state->receipts().has(world.destination(),
                                                digest_of(world.cut->manifest().encode())));
      } else {
        EXPECT_EQ(content_of(world.destination() / "a"), "a former one");
      }
      EXPECT_THAT(world.transfer.running(), IsEmpty());
      if (left > 0) {
        EXPECT_TRUE(std::holds_alternative<Published>(*end));
        EXPECT_GE(nth, 7U) << "of a run that did not end";
        break;
      }
      if (HasFailure()) return;
    }
  }
}

TEST_F(DownloadTest, GoesOnPullingWhileRedisIsOutOfReach) {
  begin_staged();
  serve(kPeer);
  offer(kPeer, {0, 1, 2, 3, 4});
  start();
  step_until([this] { return transfer.pulls_of(piece_name(0)).size() == 1; });
  coordinator->faults.break_off();
  int outages = 0;
  for (int i = 0; i < 50; ++i) {
    try {
      EXPECT_FALSE(download->step());
    } catch (const Failure& caught) {
      EXPECT_EQ(caught.status(), ExitStatus::redis);
      ++outages;
    }
    wait();
  }
  EXPECT_GT(outages, 0);
  EXPECT_FALSE(download->is_pulling() && transfer.running().empty());
  coordinator->faults.recover();
  const auto end = finish();
  ASSERT_TRUE(end);
  EXPECT_TRUE(std::holds_alternative<Published>(*end));
  expect_published();
  for (PieceNumber piece = 0; piece < 5; ++piece) {
    EXPECT_THAT(transfer.pulls_of(piece_name(piece)), SizeIs(1)) << piece;
  }
}

TEST_F(DownloadTest, UsesAPieceWhoseLeaseLapsedMeanwhile) {
  begin();
  announce(0, 5);  // The origin delivers by hand.
  start();
  step_until([this] { return !transfer.pulls_of(piece_name(0)).empty(); });
  EXPECT_GT(shared.run()->claims_of(kSelf), 0U);
  clock.advance(LeaseTerms::lifetime);
  shared.run()->reap(shared.now_ms());
  EXPECT_EQ(shared.run()->claims_of(kSelf), 0U) << "its slot is free for others";
  for (const auto& [id, request] : transfer.started()) {
    const auto* const pull = std::get_if<PullRequest>(&request);
    if (pull == nullptr || pull->source != kOrigin) continue;
    for (const auto& name : pull->names) {
      if (name == "manifest") write_file(pull->into / name, cut->manifest().encode());
      for (PieceNumber piece = 0; piece < 5; ++piece) {
        if (name == piece_name(piece)) write_file(pull->into / name, cut->piece(piece));
      }
      transfer.arrive(id, name);
    }
    transfer.finish(id, PullEnd::good);
  }
  serve(kOrigin);
  const auto end = finish();
  ASSERT_TRUE(end);
  EXPECT_TRUE(std::holds_alternative<Published>(*end));
  expect_published();
  expect_finished();
  EXPECT_THAT(transfer.pulls_of(piece_name(0)), SizeIs(1));
}

TEST_F(DownloadTest, GivesBackItsClaimsWithTheReason) {
  begin();
  announce(0, 5);
  start();
  step_until([this] { return !transfer.pulls_of(piece_name(0)).empty(); });
  EXPECT_TRUE(download->is_pulling());
  download->give_up("the operator said so");
  EXPECT_THAT(transfer.running(), IsEmpty());
  EXPECT_EQ(shared.run()->claims_of(kSelf), 0U);
  EXPECT_EQ(known(kSelf).error, "the operator said so");
}

// --- The disk ---

TEST_F(DownloadTest, PullsNoPieceOntoADiskThatIsTooSmall) {
  begin_staged();
  shared.run()->info.cut = {std::uint64_t{1} << 60U, std::uint64_t{1} << 58U};
  start();
  const auto failed = finish_failing();
  EXPECT_EQ(failed.status(), ExitStatus::local);
  EXPECT_EQ(failed.remedy(), Remedy::try_again);
  EXPECT_THAT(failed.what(), HasSubstr("free some space there"));
  EXPECT_THAT(transfer.pulls_of(piece_name(0)), IsEmpty());
}

// --- Suspicion ---

class SuspectTest : public DownloadTest {
 protected:
  /// All pieces are in place, and the run is not staged: it waits.
  void wait_in_place() {
    begin();
    serve(kOrigin);
    announce_unstaged();
    start();
    step_until([this] { return coordinator->faults.calls_of("state_of") >= 2; });
    known(kSelf).is_suspect = true;
    shared.wake(kSelf);
  }
};

TEST_F(SuspectTest, IsClearedOnceItsSpoolIsVerifiedAgain) {
  wait_in_place();
  step_until([this] { return !known(kSelf).is_suspect; });
  EXPECT_EQ(logged("other hosts got wrong bytes from here"), 1U);
  announce(0, 5);
  finish();
  expect_published();
  expect_served(5);
}

TEST_F(SuspectTest, StartsOverIfAPieceIsBadNow) {
  wait_in_place();
  write_file(spool().piece_path(2), random_bytes(1000, 6));
  const auto failed = finish_failing();
  EXPECT_EQ(failed.remedy(), Remedy::try_again);
  EXPECT_THAT(failed.what(), HasSubstr("piece 2 of the spool was good and is not any more"));
  EXPECT_FALSE(std::filesystem::exists(destination()));
}

}  // namespace
}  // namespace libsync::test
