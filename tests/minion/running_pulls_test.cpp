// Pulls from their assignment on: some begin once their files have old bytes.

#include "minion/running_pulls.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cut_payload.h"
#include "fake_transfer.h"
#include "libsync/core/run_record.h"
#include "os/random.h"
#include "os/system_clock.h"
#include "store/state_folder.h"
#include "task_path.h"
#include "temporary_folder.h"

namespace libsync::test {
namespace {

using std::filesystem::exists;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint64_t kPiece = 1000;

class RunningPullsTest : public testing::Test {
 protected:
  RunningPullsTest() {
    write_file(original(), random_bytes(20 * kPiece, 1));
    std::filesystem::create_directory(repo());
    cut_.emplace(original(), kPiece);
    spool_.emplace(StateFolder(repo()).spool(random_name<Fingerprint>()));
    spool_->assign(RunRecord{Role::minion, "sync", random_name<RunId>(), task_path("/srv/name"),
                             spool_->fingerprint()});
    const RunInfo run{.id = random_name<RunId>(),
                      .task = task_path("/srv/name"),
                      .fingerprint = spool_->fingerprint(),
                      .cut = cut_->cut(),
                      .manifest = digest_of("manifest"),
                      .manifest_bytes = 77,
                      .origin = source_,
                      .master = random_name<MasterId>()};
    pulls_.emplace(transfer_, *spool_, run);
  }

  [[nodiscard]] std::filesystem::path original() const { return folder_.path() / "original"; }
  [[nodiscard]] std::filesystem::path repo() const { return folder_.path() / "repo"; }
  [[nodiscard]] std::filesystem::path old() const { return repo() / "old"; }
  [[nodiscard]] std::filesystem::path incoming(PieceNumber piece) const {
    return spool_->incoming_path(piece);
  }

  [[nodiscard]] Assignment by_claim(const std::vector<PieceNumber>& pieces) const {
    Assignment assignment{.source = source_, .pieces = {}, .token = random_name<Token>()};
    for (const auto piece : pieces) assignment.pieces.push_back(cut_->staged(piece));
    return assignment;
  }

  // The old payload, which has these bytes.
  [[nodiscard]] Basis basis(const std::string& bytes, Likeness likeness = Likeness::shown,
                            PieceNumber spare = 100) const {
    write_file(old(), bytes);
    return {std::make_shared<const OldCopy>(locate(repo(), "old"), cut_->manifest(), kPiece,
                                            std::stop_token()),
            likeness, spare};
  }

  // Delivers events until so many pulls have started.
  void wait_for_started(std::size_t count) {
    SystemClock clock;
    const auto until = clock.now() + std::chrono::seconds(50);
    while (transfer_.started().size() < count && clock.now() < until) {
      std::vector<int> descriptors;
      pulls_->append_descriptors(descriptors);
      clock.wait(until, descriptors);
      EXPECT_THAT(pulls_->collect(), IsEmpty());
    }
    ASSERT_THAT(transfer_.started(), SizeIs(count));
  }

  // A pull that begins with old bytes brings its piece, and ends.
  void arrive(TransferId id, PieceNumber piece, std::uint64_t wire_bytes) {
    std::filesystem::remove(incoming(piece));
    transfer_.arrive(id, piece_name(piece), wire_bytes);
    EXPECT_THAT(pulls_->collect(), IsEmpty());
    transfer_.finish(id, PullEnd::good);
    EXPECT_THAT(pulls_->collect(), SizeIs(2)) << "the piece, and the end";
  }

  [[nodiscard]] const PullRequest& request(std::size_t index) const {
    return std::get<PullRequest>(transfer_.started().at(index).request);
  }

  const Address source_ = Address::parse("10.0.0.1").value();
  TemporaryFolder folder_;
  std::optional<CutPayload> cut_;
  std::optional<Spool> spool_;
  FakeTransfer transfer_;
  std::optional<RunningPulls> pulls_;
};

TEST_F(RunningPullsTest, WithoutOldBytesAPullStartsAtOnce) {
  const auto id = pulls_->start(by_claim({3, 7}), {});
  ASSERT_THAT(transfer_.started(), SizeIs(1));
  EXPECT_EQ(transfer_.started().front().id, id);
  EXPECT_EQ(request(0).source, source_);
  EXPECT_EQ(request(0).folder, ".libsync/" + spool_->fingerprint().text());
  EXPECT_THAT(request(0).names, ElementsAre("p00003", "p00007"));
  EXPECT_EQ(request(0).into, spool_->incoming_folder());
  EXPECT_EQ(request(0).largest, kPiece);
  EXPECT_EQ(request(0).absent, Absent::is_fault);
  EXPECT_FALSE(exists(incoming(3)));
}

TEST_F(RunningPullsTest, AParentMayLackPiecesAndTheManifestComesFirst) {
  auto assignment = by_claim({3});
  assignment.token.reset();
  assignment.manifests = Manifests::one;
  assignment.attempt = Attempt::second;
  static_cast<void>(pulls_->start(assignment, {}));
  EXPECT_EQ(request(0).absent, Absent::is_ignored);
  EXPECT_THAT(request(0).names, ElementsAre("manifest", "p00003"));
  EXPECT_EQ(request(0).into, spool_->incoming_folder(Attempt::second));
  assignment.pieces.clear();
  static_cast<void>(pulls_->start(assignment, {}));
  EXPECT_EQ(request(1).largest, 77U) << "the manifest";
}

TEST_F(RunningPullsTest, APullStartsOnceItsFilesHaveOldBytes) {
  const auto bytes = random_bytes(20 * kPiece, 2);
  const auto old = basis(bytes);
  const auto id = pulls_->start(by_claim({3, 7}), old);
  EXPECT_THAT(transfer_.started(), IsEmpty());
  wait_for_started(1);
  EXPECT_EQ(transfer_.started().front().id, id);
  for (const PieceNumber piece : {3U, 7U}) {
    EXPECT_TRUE(content_of(incoming(piece)) == bytes.substr(piece * kPiece - 500, 2 * kPiece));
  }
}

TEST_F(RunningPullsTest, APullThatEndsBeforeItsStartNeverStarts) {
  const auto id = pulls_->start(by_claim({3}), basis(random_bytes(20 * kPiece, 2)));
  pulls_->end(id, "is of no use");
  const auto events = pulls_->collect();
  ASSERT_THAT(events, SizeIs(1));
  const auto& ended = std::get<TransferEnded>(events.front());
  EXPECT_EQ(ended.id, id);
  EXPECT_EQ(ended.end, PullEnd::unreachable);
  EXPECT_THAT(ended.detail, HasSubstr("the pull from 10.0.0.1 is of no use"));
  const auto other = pulls_->start(by_claim({4}), {});
  wait_for_started(1);
  EXPECT_EQ(transfer_.started().front().id, other);
  // The filler's thread is done by then: another pull waits behind it.
  static_cast<void>(pulls_->start(by_claim({5}), basis(random_bytes(20 * kPiece, 2))));
  wait_for_started(2);
  EXPECT_THAT(request(1).names, ElementsAre("p00005"));
}

TEST_F(RunningPullsTest, APullThatHasStartedEndsByTheTransfer) {
  const auto id = pulls_->start(by_claim({3}), {});
  pulls_->end(id, "is of no use");
  EXPECT_EQ(transfer_.ended_for(id), "is of no use");
}

TEST_F(RunningPullsTest, PullsBeginWholeWhileOneOldPieceIsTried) {
  const auto old = basis(random_bytes(20 * kPiece, 2), Likeness::unknown);
  const auto tried = pulls_->start(by_claim({3}), old);
  static_cast<void>(pulls_->start(by_claim({4, 5}), old));
  ASSERT_THAT(transfer_.started(), SizeIs(1)) << "the second one, at once";
  EXPECT_FALSE(exists(incoming(4)));
  wait_for_started(2);
  arrive(tried, 3, kPiece / 2);
  static_cast<void>(pulls_->start(by_claim({6}), old));
  wait_for_started(3);
  EXPECT_TRUE(exists(incoming(6))) << "the try has saved half a piece";
}

TEST_F(RunningPullsTest, ATryThatSavesNothingIsTheLastOneForAWhile) {
  const auto old = basis(random_bytes(20 * kPiece, 2), Likeness::unknown);
  const auto tried = pulls_->start(by_claim({3}), old);
  wait_for_started(1);
  arrive(tried, 3, kPiece + 40);
  static_cast<void>(pulls_->start(by_claim({6}), old));
  EXPECT_THAT(transfer_.started(), SizeIs(2));
  EXPECT_FALSE(exists(incoming(6)));
}

TEST_F(RunningPullsTest, NoMoreFilesAreFilledThanThereIsRoomFor) {
  const auto old = basis(random_bytes(20 * kPiece, 2), Likeness::shown, 2);
  const auto first = pulls_->start(by_claim({3, 4, 5}), old);
  wait_for_started(1);
  EXPECT_TRUE(exists(incoming(3)) && exists(incoming(4)));
  EXPECT_FALSE(exists(incoming(5)));
  arrive(first, 3, 0);
  static_cast<void>(pulls_->start(by_claim({6, 7}), old));
  wait_for_started(2);
  EXPECT_TRUE(exists(incoming(6))) << "one has arrived";
  EXPECT_FALSE(exists(incoming(7)));
}

TEST_F(RunningPullsTest, OldBytesThatHaveChangedCostNoPull) {
  const auto old = basis(random_bytes(20 * kPiece, 2), Likeness::unknown);
  std::filesystem::resize_file(this->old(), 10);
  static_cast<void>(pulls_->start(by_claim({3}), old));
  wait_for_started(1);
  EXPECT_FALSE(exists(incoming(3)));
  // It was no try, so the next piece is one.
  write_file(this->old(), random_bytes(20 * kPiece, 2));
  static_cast<void>(pulls_->start(by_claim({4}), old));
  wait_for_started(2);
  EXPECT_TRUE(exists(incoming(4)));
}

TEST_F(RunningPullsTest, APartialFileIsContinuedAndNotFilled) {
  write_file(incoming(3), "partial");
  static_cast<void>(pulls_->start(by_claim({3}), basis(random_bytes(20 * kPiece, 2))));
  EXPECT_THAT(transfer_.started(), SizeIs(1));
  EXPECT_EQ(content_of(incoming(3)), "partial");
}

// rsync may write a file once more that it has named, and names it again.
TEST_F(RunningPullsTest, AFileThatBeganWithBytesArrivesWhenItsPullHasEndedWell) {
  for (const auto end : {PullEnd::good, PullEnd::unreachable, PullEnd::corrupt}) {
    write_file(incoming(3), "partial");
    const auto id = pulls_->start(by_claim({3, 4}), {});
    transfer_.arrive(id, piece_name(3), 10);
    EXPECT_THAT(pulls_->collect(), IsEmpty());
    transfer_.arrive(id, piece_name(4), 20);
    EXPECT_THAT(pulls_->collect(), SizeIs(1)) << "a file that was empty is complete";
    transfer_.arrive(id, piece_name(3), 900);
    EXPECT_THAT(pulls_->collect(), IsEmpty());
    transfer_.finish(id, end);
    const auto events = pulls_->collect();
    if (end == PullEnd::good) {
      ASSERT_THAT(events, SizeIs(2));
      const auto& file = std::get<FileArrived>(events.front());
      EXPECT_EQ(file.id, id);
      EXPECT_EQ(file.name, piece_name(3));
      EXPECT_EQ(file.wire_bytes, 910U);
    } else {
      ASSERT_THAT(events, SizeIs(1));
    }
    EXPECT_TRUE(std::holds_alternative<TransferEnded>(events.back()));
  }
}

}  // namespace
}  // namespace libsync::test
