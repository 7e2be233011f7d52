// The search for pieces in an old payload, apart from the run that needs them.

#include "minion/old_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "failing_disk.h"
#include "libsync/core/run_record.h"
#include "os/random.h"
#include "os/system_clock.h"
#include "store/state_folder.h"
#include "task_path.h"
#include "temporary_folder.h"

namespace libsync::test {
namespace {

using testing::IsEmpty;

OldSearch search() {
  return {Spool("/nonexistent", random_name<Fingerprint>(), 0), Cut{4000, 1000}};
}

TEST(OldSearch, EightUnequalRangesAndNoEqualOneAreEnough) {
  auto one = search();
  for (int range = 0; range < 7; ++range) EXPECT_FALSE(one.compared(0, false));
  EXPECT_TRUE(one.compared(0, false));
  EXPECT_EQ(one.likeness(), Likeness::unknown);
  auto other = search();
  EXPECT_FALSE(other.compared(0, true));
  EXPECT_EQ(other.likeness(), Likeness::shown);
  for (int range = 0; range < 100; ++range) EXPECT_FALSE(other.compared(0, false));
}

TEST(OldSearch, TheKinshipOfTheFormerReleaseTellsHowLongToWait) {
  const auto waits = [](Kinship kinship) {
    auto one = search();
    one.open({}, kinship);
    int calls = 1;
    while (one.is_worth_waiting()) ++calls;
    return calls;
  };
  EXPECT_EQ(waits(Kinship::unlike), 1);
  EXPECT_EQ(waits(Kinship::unknown), 7);
  EXPECT_EQ(waits(Kinship::alike), 10);
}

TEST(OldSearch, ALikelyBasisIsNoProofOfEqualRanges) {
  auto one = search();
  one.open({}, Kinship::alike);
  EXPECT_EQ(one.expected(), Likeness::shown);
  EXPECT_EQ(one.likeness(), Likeness::unknown);
  auto other = search();
  other.open({}, Kinship::unlike);
  EXPECT_EQ(other.expected(), Likeness::unknown);
  EXPECT_FALSE(other.compared(0, true));
  EXPECT_EQ(other.expected(), Likeness::shown);
}

TEST(OldSearch, HoldsPiecesUntilItIsClosed) {
  auto one = search();
  one.hold(1);
  one.hold(3);
  EXPECT_TRUE(one.holds(1));
  EXPECT_FALSE(one.holds(2));
  EXPECT_EQ(one.close(), (std::vector<PieceNumber>{1, 3}));
  EXPECT_EQ(one.held(), 0U);
}

// --- On a disk ---

constexpr std::uint64_t kPiece = 1000;
constexpr PieceNumber kPieces = 60;
constexpr std::uint64_t kStream = kPieces * kPiece;

class SearchTest : public testing::Test {
 protected:
  SearchTest() { std::filesystem::create_directory(old()); }

  [[nodiscard]] std::filesystem::path repo() const { return folder_.path(); }
  [[nodiscard]] std::filesystem::path old() const { return repo() / "old"; }
  [[nodiscard]] Spool spool() const { return *spool_; }

  static std::vector<StagedPiece> pieces_of(const std::string& stream) {
    std::vector<StagedPiece> all;
    for (PieceNumber piece = 0; piece < kPieces; ++piece) {
      RollingSummer summer;
      summer.add(std::string_view(stream).substr(piece * kPiece, kPiece));
      all.push_back({piece, digest_of(stream.substr(piece * kPiece, kPiece)), summer.sum()});
    }
    return all;
  }

  // The same sums, and digests that no bytes have.
  static std::vector<StagedPiece> hostile(std::vector<StagedPiece> pieces) {
    for (auto& staged : pieces) staged.digest = digest_of("?" + std::to_string(staged.piece));
    return pieces;
  }

  // A search of its own in a fresh spool. These pieces were compared at their own offsets before.
  OldSearch::Found find(const std::string& old_bytes, const std::vector<StagedPiece>& wanted,
                        const std::vector<PieceNumber>& compared = {}) {
    write_file(old() / "file", old_bytes);
    return find(wanted, compared);
  }
  OldSearch::Found find(const std::vector<StagedPiece>& wanted,
                        const std::vector<PieceNumber>& compared = {}) {
    spool_.emplace(StateFolder(repo()).spool(random_name<Fingerprint>()));
    spool_->assign(RunRecord{Role::minion, "sync", random_name<RunId>(), task_path("/srv/name"),
                             spool_->fingerprint()});
    location_ = locate(repo(), "old");
    return find_again(wanted, compared);
  }
  OldSearch::Found find_again(const std::vector<StagedPiece>& wanted,
                              const std::vector<PieceNumber>& compared = {}) const {
    OldSearch search(*spool_, Cut{kStream, kPiece});
    search.open({location_}, Kinship::unknown);
    for (const auto piece : compared) static_cast<void>(search.compared(piece, false));
    std::optional<OldSearch::Found> found;
    search.begin(wanted, [&](OldSearch::Found result) { found = std::move(result); });
    SystemClock clock;
    const auto until = clock.now() + std::chrono::seconds(50);
    while (!found && clock.now() < until) {
      std::vector<int> descriptors;
      search.append_descriptors(descriptors);
      clock.wait(until, descriptors);
      search.collect();
    }
    EXPECT_TRUE(found) << "the search does not end";
    return found.value_or(OldSearch::Found());
  }

  // The spool has each piece that was found, and nothing else.
  void expect_spool(const OldSearch::Found& found, const std::string& stream) const {
    for (PieceNumber piece = 0; piece < kPieces; ++piece) {
      const auto path = spool().piece_path(piece);
      ASSERT_EQ(std::filesystem::exists(path), found.pieces.contains(piece)) << piece;
      if (!found.pieces.contains(piece)) continue;
      EXPECT_TRUE(content_of(path) == stream.substr(piece * kPiece, kPiece)) << piece;
    }
    EXPECT_THAT(unproven(), IsEmpty());
  }
  [[nodiscard]] std::vector<std::string> unproven() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(spool().incoming_folder())) {
      if (entry.is_regular_file()) names.push_back(entry.path().filename());
    }
    return names;
  }

  WithoutSync without_sync_;
  TemporaryFolder folder_;
  std::optional<Spool> spool_;
  Location location_;
};

std::string repeated(const std::string& period, std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += period;
  text.resize(bytes);
  return text;
}

// Zeros, and streams with periods shorter than a piece, of its length, and longer.
std::vector<std::string> periodic_streams() {
  std::vector<std::string> streams;
  for (const auto& period : {std::string(1, '\0'), std::string("ab"), random_bytes(1000, 3),
                             random_bytes(1500, 4), random_bytes(7000, 5)}) {
    streams.push_back(repeated(period, kStream));
  }
  return streams;
}

TEST_F(SearchTest, MovedPiecesBecomePieceFilesAndAreCheckedOnce) {
  const auto stream = random_bytes(kStream, 1);
  const auto found = find("moved" + stream, pieces_of(stream));
  EXPECT_EQ(found.pieces.size(), kPieces);
  EXPECT_EQ(found.checks, kPieces);
  EXPECT_EQ(found.checked_bytes, kStream);
  expect_spool(found, stream);
}

TEST_F(SearchTest, ZerosAndPeriodsAreFoundByOneCheckAPiece) {
  for (const auto& stream : periodic_streams()) {
    SCOPED_TRACE(digest_of(stream).hex());
    const auto found = find(stream.substr(1) + stream, pieces_of(stream));
    EXPECT_EQ(found.pieces.size(), kPieces);
    EXPECT_EQ(found.checks, kPieces);
    EXPECT_EQ(found.checked_bytes, kStream);
    expect_spool(found, stream);
  }
}

TEST_F(SearchTest, ZerosWithWrongDigestsAreCheckedTwiceAtMost) {
  for (const auto& stream : periodic_streams()) {
    SCOPED_TRACE(digest_of(stream).hex());
    const auto found = find(stream + stream, hostile(pieces_of(stream)));
    EXPECT_THAT(found.pieces, IsEmpty());
    EXPECT_EQ(found.checks, 2 * kPieces);
    EXPECT_EQ(found.checked_bytes, 2 * kStream);
    expect_spool(found, stream);
  }
}

// Every piece has the sum of a block that the old payload has in five places.
TEST_F(SearchTest, EqualSumsOfAllPiecesCostTwoChecksAPiece) {
  const auto block = random_bytes(kPiece, 1);
  std::string text;
  for (unsigned place = 0; place < 5; ++place) text += block + random_bytes(777, 10 + place);
  const auto stream = random_bytes(kStream, 2);
  auto pieces = pieces_of(stream);
  RollingSummer summer;
  summer.add(block);
  for (auto& staged : pieces) staged.sum = summer.sum();
  const auto found = find(text, pieces);
  EXPECT_THAT(found.pieces, IsEmpty());
  EXPECT_EQ(found.checks, 2 * kPieces);
  EXPECT_EQ(found.checked_bytes, 2 * kStream);
  expect_spool(found, stream);
}

TEST_F(SearchTest, AComparisonAtItsOwnOffsetIsOneOfTheTwoChecks) {
  const auto stream = repeated(random_bytes(kPiece, 1), kStream);
  const auto found = find(stream, hostile(pieces_of(stream)), {0, 7, 8});
  EXPECT_EQ(found.checks, 2 * kPieces - 3);
  EXPECT_EQ(found.checked_bytes + 3 * kPiece, 2 * kStream);
}

// --- A disk that fails ---

TEST_F(SearchTest, AnOldPayloadThatCannotBeListedHasNothing) {
  const auto stream = random_bytes(kStream, 1);
  write_file(old() / "file", "moved" + stream);
  const Unreadable unreadable(old());
  const auto found = find(pieces_of(stream));
  EXPECT_TRUE(Unreadable::has_failed());
  EXPECT_THAT(found.pieces, IsEmpty());
  expect_spool(found, stream);
}

// Another program may free the disk again, so the pulls of the other pieces find room.
TEST_F(SearchTest, AFullDiskAtAnyCallLeavesWhatIsProven) {
  const auto stream = random_bytes(kStream, 1);
  write_file(old() / "file", "moved" + stream);
  std::size_t failed = 0;
  for (std::size_t nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    find({});  // Makes a spool.
    std::optional<FailingDisk> full(std::in_place, nth, ENOSPC);
    const auto found = find_again(pieces_of(stream));
    if (!full->has_failed()) break;
    full.reset();
    ++failed;
    EXPECT_LT(found.pieces.size(), kPieces);
    // A piece has its name once it is proven, even if its mode could not be set.
    for (PieceNumber piece = 0; piece < kPieces; ++piece) {
      const auto path = spool().piece_path(piece);
      if (std::filesystem::exists(path)) {
        EXPECT_TRUE(content_of(path) == stream.substr(piece * kPiece, kPiece)) << piece;
      } else {
        EXPECT_FALSE(found.pieces.contains(piece)) << piece;
      }
    }
    EXPECT_THAT(unproven(), IsEmpty());
    if (HasFailure()) break;
  }
  EXPECT_GE(failed, 4 * kPieces);
}

}  // namespace
}  // namespace libsync::test
