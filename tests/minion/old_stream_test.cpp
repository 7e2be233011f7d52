// Pieces of a new payload are found anywhere in an old one.

#include "minion/old_stream.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <string>
#include <vector>

#include "cut_payload.h"
#include "os/descriptor.h"
#include "os/files.h"
#include "temporary_folder.h"

namespace libsync::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t kPiece = 1000;

class OldStreamTest : public testing::Test {
 protected:
  OldStreamTest() { std::filesystem::create_directory(old()); }

  [[nodiscard]] std::filesystem::path old() const { return folder_.path() / "old"; }
  [[nodiscard]] OldStream stream(const std::stop_token& stop = {}) const {
    return {{locate(folder_.path(), "old")}, stop};
  }

  /// The offsets at which the pieces of `text` may lie: {piece, offset, piece, offset, …}.
  [[nodiscard]] std::vector<std::uint64_t> find(const std::string& text,
                                                const std::stop_token& stop = {}) const {
    const Cut cut{text.size(), kPiece};
    std::vector<RollingSum> sums;
    for (PieceNumber piece = 0; piece < cut.pieces(); ++piece) {
      RollingSummer summer;
      summer.add(std::string_view(text).substr(cut.offset_of(piece), cut.bytes_of(piece)));
      sums.push_back(summer.sum());
    }
    std::vector<std::uint64_t> found;
    for (const auto& block : stream().find(cut, sums, stop)) {
      found.push_back(block.number);
      found.push_back(block.offset);
    }
    return found;
  }

  TemporaryFolder folder_;
};

TEST_F(OldStreamTest, HasTheFilesInTheOrderOfTheirNames) {
  write_file(old() / "b", "second");
  write_file(old() / "a/x", "first");
  write_file(old() / "empty", "");
  std::filesystem::create_symlink("b", old() / "link");
  const auto one = stream();
  EXPECT_EQ(one.bytes(), 11U);
  const auto file = folder_.path() / "copy";
  {
    const auto to = open_file(file, O_RDWR | O_CREAT, 0600);
    EXPECT_TRUE(one.copy(3, 6, to, 2, {}));
    EXPECT_FALSE(one.copy(6, 6, to, 0, {}));
    EXPECT_FALSE(one.copy(12, 0, to, 0, {}));
  }
  EXPECT_EQ(content_of(file), std::string("\0\0stseco", 8));
}

TEST_F(OldStreamTest, FindsPiecesThatHaveMoved) {
  const auto text = random_bytes(10 * kPiece, 1);
  write_file(old() / "file", random_bytes(333, 2) + text);
  EXPECT_THAT(find(text.substr(0, 3 * kPiece)), ElementsAre(0, 333, 1, 1333, 2, 2333));
}

TEST_F(OldStreamTest, FindsPiecesAcrossFiles) {
  const auto text = random_bytes(2 * kPiece, 1);
  write_file(old() / "a", random_bytes(50, 2) + text.substr(0, 700));
  write_file(old() / "b", text.substr(700, 800));
  write_file(old() / "c", text.substr(1500));
  EXPECT_THAT(find(text), ElementsAre(0, 50, 1, 1050));
}

TEST_F(OldStreamTest, AShorterLastPieceIsNotFound) {
  const auto text = random_bytes(kPiece + 500, 1);
  write_file(old() / "a", text);
  EXPECT_THAT(find(text), ElementsAre(0, 0));
}

// Its sum is announced, too, and a hostile master announces that of a whole block.
TEST_F(OldStreamTest, NoWholeBlockIsTheShorterLastPiece) {
  const auto text = random_bytes(3 * kPiece, 1);
  write_file(old() / "a", text);
  RollingSummer summer;
  summer.add(std::string_view(text).substr(kPiece, kPiece));
  EXPECT_THAT(stream().find({kPiece + 500, kPiece}, {0, summer.sum()}, {}), IsEmpty());
  EXPECT_EQ(stream().find({2 * kPiece, kPiece}, {0, summer.sum()}, {}).size(), 1U);
}

// A piece may lie where the read parts meet.
TEST_F(OldStreamTest, FindsEveryPieceOfALongStream) {
  const auto text = random_bytes(900 * kPiece, 1);
  write_file(old() / "a", random_bytes(1'000'003, 2) + text);
  const auto found = find(text);
  ASSERT_EQ(found.size(), 2 * 900U);
  for (std::size_t i = 0; i < found.size(); i += 2) {
    EXPECT_EQ(found[i + 1], 1'000'003 + found[i] * kPiece);
  }
}

TEST_F(OldStreamTest, ASampleWithoutAPieceEndsTheSearch) {
  write_file(old() / "a", random_bytes(900 * kPiece, 1));
  EXPECT_THAT(find(random_bytes(900 * kPiece, 2)), IsEmpty());
}

// The pass over the whole stream would find it, and costs more than one piece saves.
TEST_F(OldStreamTest, APieceOutsideTheSampleBeginsNoSearch) {
  const auto bytes = random_bytes(900 * kPiece, 1);
  write_file(old() / "a", bytes);
  EXPECT_THAT(find(bytes.substr(100'000, kPiece)), IsEmpty());
  EXPECT_THAT(find(bytes.substr(181'000, kPiece)), ElementsAre(0, 181'000)) << "in the sample";
}

TEST_F(OldStreamTest, TheSampleSeesEachPartOfTheStream) {
  const auto text = random_bytes(200 * kPiece, 1);
  for (const std::size_t before : {0U, 200U, 400U, 600U, 800U}) {
    write_file(old() / "a", random_bytes(before * kPiece + 10, 2) + text +
                                random_bytes((800 - before) * kPiece, 3));
    EXPECT_EQ(find(text).size(), 400U) << before;
  }
}

TEST_F(OldStreamTest, AStopEndsIt) {
  const auto text = random_bytes(20 * kPiece, 1);
  write_file(old() / "a", text);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THAT(find(text, stop.get_token()), IsEmpty());
}

TEST_F(OldStreamTest, AnOldPayloadThatIsMissingOrShortHasNothing) {
  EXPECT_THAT(find(random_bytes(5 * kPiece, 1)), IsEmpty());
  std::filesystem::remove(old());
  EXPECT_EQ(stream().bytes(), 0U);
  EXPECT_THAT(find(random_bytes(5 * kPiece, 1)), IsEmpty());
}

// --- Between found pieces ---

constexpr Cut kCut{10 * kPiece, kPiece};
constexpr std::uint64_t kOldBytes = 20 * kPiece;

std::vector<StreamRange> between(PieceNumber piece, const FoundPieces& found) {
  return plan_between(piece, kCut, found, kOldBytes);
}

TEST(Between, OfTheSameShiftThereIsOneRangeWithMargins) {
  EXPECT_THAT(between(3, {{2, 5000}, {4, 7000}}), ElementsAre(StreamRange{5500, 0, 2000}));
  EXPECT_THAT(between(5, {{2, 5000}}), ElementsAre(StreamRange{7500, 0, 2000}));
  EXPECT_THAT(between(1, {{2, 5000}}), ElementsAre(StreamRange{3500, 0, 2000}));
}

TEST(Between, AnInsertionHasTheBytesBehindAndThoseInFront) {
  EXPECT_THAT(between(3, {{2, 2000}, {4, 3700}}),
              ElementsAre(StreamRange{2500, 0, 1500}, StreamRange{2700, 1500, 1500}));
}

TEST(Between, RangesEndWhereTheStreamDoes) {
  EXPECT_THAT(between(9, {{8, 18'500}}), ElementsAre(StreamRange{19'000, 0, 1000}));
  EXPECT_THAT(between(9, {{2, 18'500}}), IsEmpty());
  EXPECT_THAT(between(0, {{1, 1200}}), ElementsAre(StreamRange{0, 300, 1700}))
      << "a hole in front, so that the rest lies as far in";
  EXPECT_THAT(between(0, {{9, 0}}), IsEmpty());
}

TEST(Between, WithoutFoundPiecesThereIsNothing) { EXPECT_THAT(between(3, {}), IsEmpty()); }

}  // namespace
}  // namespace libsync::test
