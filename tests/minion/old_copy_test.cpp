// The old bytes with which the pull of a piece begins.

#include "minion/old_copy.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "cut_payload.h"
#include "os/descriptor.h"
#include "temporary_folder.h"

namespace libsync::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t kPiece = 1000;
constexpr std::uint64_t kMargin = kPiece / 2;

TEST(Filling, APieceInsideAFileHasAMarginOnBothSides) {
  const auto plan = plan_filling({{0, 5000, kPiece}}, {20'000});
  EXPECT_THAT(plan.ranges, ElementsAre(OldRange{0, 5000 - kMargin, 0, 2 * kPiece}));
  EXPECT_EQ(plan.file_bytes, 2 * kPiece);
}

TEST(Filling, TheFirstPieceOfAFileHasAHoleInFront) {
  const auto plan = plan_filling({{0, 0, kPiece}}, {20'000});
  EXPECT_THAT(plan.ranges, ElementsAre(OldRange{0, 0, kMargin, kPiece + kMargin}));
  EXPECT_EQ(plan.file_bytes, 2 * kPiece);
}

TEST(Filling, AFileIsLongerThanThePieceHoweverFewOldBytesThereAre) {
  const auto plan = plan_filling({{0, 0, kPiece}}, {10});
  EXPECT_THAT(plan.ranges, ElementsAre(OldRange{0, 0, kMargin, 10}));
  EXPECT_EQ(plan.file_bytes, kPiece + 1);
}

TEST(Filling, OldBytesBeforeThePieceAloneAreUsed) {
  const auto plan = plan_filling({{0, 5000, kPiece}}, {4800});
  EXPECT_THAT(plan.ranges, ElementsAre(OldRange{0, 4500, 0, 300}));
  EXPECT_THAT(plan_filling({{0, 5000, kPiece}}, {4500}).ranges, IsEmpty());
}

TEST(Filling, EachFileOfAPieceLiesWhereItsNewBytesWillBe) {
  const auto plan = plan_filling({{0, 700, 300}, {1, 0, 500}, {2, 0, 200}}, {1000, 500, 900});
  EXPECT_THAT(plan.ranges, ElementsAre(OldRange{0, 200, 0, 800}, OldRange{1, 0, 800, 500},
                                       OldRange{2, 0, 1300, 700}));
  EXPECT_EQ(plan.file_bytes, 2 * kPiece);
}

TEST(Filling, AFileThatGrewLeavesRoomAndOneThatShrankMovesTheNext) {
  const auto plan = plan_filling({{0, 0, 400}, {1, 0, 300}, {2, 0, 300}}, {100, 700, 300});
  EXPECT_THAT(plan.ranges, ElementsAre(OldRange{0, 0, 500, 100}, OldRange{1, 0, 900, 700},
                                       OldRange{2, 0, 1600, 300}));
}

TEST(Filling, NoMoreThanTwicePieceIsWritten) {
  const auto plan = plan_filling({{0, 0, 400}, {1, 0, 300}, {2, 0, 300}}, {5000, 5000, 5000});
  EXPECT_THAT(plan.ranges, ElementsAre(OldRange{0, 0, 500, 900}, OldRange{1, 0, 1400, 600}));
  EXPECT_EQ(plan.file_bytes, 2 * kPiece);
}

TEST(Filling, BytesAroundAHoleLieNextToEachOther) {
  const auto plan = plan_filling({{0, 5000, 400}, {0, 9000, 600}}, {20'000});
  EXPECT_THAT(plan.ranges, ElementsAre(OldRange{0, 4500, 0, 900}, OldRange{0, 9000, 900, 1100}));
  EXPECT_EQ(plan.file_bytes, 2 * kPiece);
}

TEST(Filling, WithoutOldBytesThereIsNone) {
  EXPECT_EQ(plan_filling({{0, 0, kPiece}, {1, 0, 10}}, {0, 0}), Filling{});
  EXPECT_EQ(plan_filling({}, {}), Filling{});
}

class OldCopyTest : public testing::Test {
 protected:
  OldCopyTest() {
    std::filesystem::create_directories(old() / "in");
    std::filesystem::create_directories(original() / "in");
    content_ = random_bytes(3000, 1);
    write_file(old() / "in/a", content_);
    write_file(original() / "in/a", content_);
  }

  [[nodiscard]] std::filesystem::path old() const { return folder_.path() / "repo/old"; }
  [[nodiscard]] std::filesystem::path original() const { return folder_.path() / "original"; }
  [[nodiscard]] std::filesystem::path file() const { return folder_.path() / "p00001"; }
  [[nodiscard]] OldCopy copy() const {
    return {locate(folder_.path() / "repo", "old"),
            CutPayload(original(), kPiece).manifest(),
            kPiece,
            {}};
  }

  TemporaryFolder folder_;
  std::string content_;
};

TEST_F(OldCopyTest, FillsAFileWithTheBytesAroundThePiece) {
  EXPECT_TRUE(copy().fill(1, file(), {}));
  EXPECT_TRUE(content_of(file()) == content_.substr(500, 2000));
  EXPECT_EQ(std::filesystem::status(file()).permissions(), std::filesystem::perms(0640));
}

TEST_F(OldCopyTest, AFileThatMovedIsTheOneOfTheNearestSize) {
  std::filesystem::remove(old() / "in/a");
  EXPECT_EQ(copy().candidates().size(), 0U);
  EXPECT_FALSE(copy().fill(1, file(), {}));
  write_file(old() / "far/a", random_bytes(1600, 2));
  write_file(old() / "near/a", random_bytes(3200, 3));
  write_file(old() / "other/b", content_);
  EXPECT_EQ(copy().candidates().size(), 3U);
  EXPECT_TRUE(copy().fill(1, file(), {}));
  EXPECT_TRUE(content_of(file()) == random_bytes(3200, 3).substr(500, 2000));
}

TEST_F(OldCopyTest, AFileOfAnotherSizeThatHasTheNameIsAnother) {
  std::filesystem::remove(old() / "in/a");
  for (const std::size_t bytes : {1499U, 6001U, 0U}) {
    write_file(old() / "there/a", random_bytes(bytes, 2));
    EXPECT_FALSE(copy().fill(1, file(), {})) << bytes;
  }
  for (const std::size_t bytes : {1500U, 6000U}) {
    write_file(old() / "there/a", random_bytes(bytes, 2));
    EXPECT_TRUE(copy().fill(1, file(), {})) << bytes;
    std::filesystem::remove(file());
  }
}

TEST_F(OldCopyTest, CandidatesAreThePiecesThatTheOldFilesAreLongEnoughFor) {
  std::filesystem::resize_file(old() / "in/a", 2000);
  EXPECT_EQ(copy().candidates().members(), (std::vector<PieceNumber>{0, 1}));
  std::filesystem::resize_file(old() / "in/a", 1999);
  EXPECT_EQ(copy().candidates().members(), (std::vector<PieceNumber>{0}));
}

TEST_F(OldCopyTest, HasAPieceOfThisDigestAlone) {
  const CutPayload cut(original(), kPiece);
  EXPECT_TRUE(copy().has(1, cut.digest(1), {}));
  EXPECT_FALSE(copy().has(1, cut.digest(0), {}));
  std::filesystem::resize_file(old() / "in/a", 1999);
  EXPECT_FALSE(copy().has(1, cut.digest(1), {}));
}

TEST_F(OldCopyTest, LeavesNoFileIfTheOldBytesHaveChanged) {
  const auto surveyed = copy();
  std::filesystem::resize_file(old() / "in/a", 1800);
  EXPECT_FALSE(surveyed.fill(1, file(), {}));
  EXPECT_FALSE(exists(file()));
  std::filesystem::remove(old() / "in/a");
  EXPECT_FALSE(surveyed.fill(1, file(), {}));
  EXPECT_FALSE(exists(file()));
}

TEST_F(OldCopyTest, ReadsNothingThroughASymlinkAndNoFifo) {
  std::filesystem::rename(old() / "in", folder_.path() / "in");
  std::filesystem::create_directory_symlink(folder_.path() / "in", old() / "in");
  EXPECT_FALSE(copy().fill(1, file(), {}));
  std::filesystem::remove(old() / "in");
  std::filesystem::create_directory(old() / "in");
  std::filesystem::create_symlink(folder_.path() / "in/a", old() / "in/a");
  EXPECT_FALSE(copy().fill(1, file(), {}));
  std::filesystem::remove(old() / "in/a");
  ASSERT_EQ(mkfifo((old() / "in/a").c_str(), 0600), 0);
  EXPECT_FALSE(copy().fill(1, file(), {}));
  EXPECT_FALSE(exists(file()));
}

TEST_F(OldCopyTest, ASymlinkThatReplacesAFileAfterTheSurveyIsNotOpened) {
  const auto surveyed = copy();
  std::filesystem::rename(old() / "in/a", folder_.path() / "secret");
  std::filesystem::create_symlink(folder_.path() / "secret", old() / "in/a");
  EXPECT_FALSE(surveyed.fill(1, file(), {}));
  EXPECT_FALSE(exists(file()));
}

TEST_F(OldCopyTest, AStopEndsIt) {
  std::stop_source stop;
  const auto surveyed = copy();
  stop.request_stop();
  EXPECT_FALSE(surveyed.fill(1, file(), stop.get_token()));
  EXPECT_FALSE(exists(file()));
}

}  // namespace
}  // namespace libsync::test
