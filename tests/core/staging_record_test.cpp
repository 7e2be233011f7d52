// The record of a staging survives a crash, and says nothing else after it.

#include "libsync/core/staging_record.h"

#include <gmock/gmock.h>

#include <string>

namespace libsync::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

StagedPiece piece(PieceNumber number, RollingSum sum = 0xabc) {
  return {number, digest_of(std::to_string(number)), sum};
}

TEST(StagingRecord, HasALineForEachPieceAndOneForItsEnd) {
  EXPECT_EQ(staging_line(piece(17)), "17 " + digest_of("17").hex() + " abc\n");
  const auto record =
      decode_staging_record(staging_line(piece(3)) + staging_line(piece(0)) + staging_end_line());
  EXPECT_THAT(record.digests, ElementsAre(Pair(0, piece(0)), Pair(3, piece(3))));
  EXPECT_TRUE(record.is_complete);
  EXPECT_FALSE(record.is_torn);
}

TEST(StagingRecord, AnEmptyFileHasNothing) {
  const auto record = decode_staging_record("");
  EXPECT_THAT(record.digests, IsEmpty());
  EXPECT_FALSE(record.is_complete || record.is_torn);
}

TEST(StagingRecord, ACutAtAnyByteLosesTheLastLineAlone) {
  const auto first = staging_line(piece(0));
  const auto whole = first + staging_line(piece(1)) + staging_end_line();
  for (std::size_t bytes = first.size() + 1; bytes < whole.size(); ++bytes) {
    const auto record = decode_staging_record(whole.substr(0, bytes));
    const bool has_second = bytes >= whole.size() - staging_end_line().size();
    EXPECT_EQ(record.digests.size(), has_second ? 2U : 1U) << bytes;
    EXPECT_EQ(record.digests.at(0), piece(0)) << bytes;
    EXPECT_FALSE(record.is_complete) << bytes;
    EXPECT_EQ(record.is_torn, whole[bytes - 1] != '\n') << bytes;
  }
}

TEST(StagingRecord, TheLastLineOfAPieceCounts) {
  auto newer = piece(5);
  newer.sum = 7;
  const auto record = decode_staging_record(staging_line(piece(5)) + staging_line(newer));
  EXPECT_THAT(record.digests, ElementsAre(Pair(5, newer)));
}

TEST(StagingRecord, ALineOfAFormerVersionHasNoSum) {
  const auto record = decode_staging_record("2 " + digest_of("2").hex() + "\n");
  EXPECT_THAT(record.digests, ElementsAre(Pair(2, piece(2, 0))));
}

TEST(StagingRecord, MalformedLinesAreSkipped) {
  const auto digest = digest_of("1").hex();
  for (const auto& line :
       {"4096 " + digest + " 1", "-1 " + digest + " 1", "-4294967295 " + digest + " 1",
        "+1 " + digest + " 1", "1 " + digest.substr(1) + " 1", std::string("1"), std::string(" "),
        "x " + digest + " 1", " 1 " + digest + " 1"}) {
    const auto record = decode_staging_record(line + "\n" + staging_line(piece(9)));
    EXPECT_THAT(record.digests, ElementsAre(Pair(9, piece(9)))) << line;
  }
  EXPECT_EQ(decode_staging_record("1 " + digest + " -1\n").digests.at(1).sum, 0U);
  EXPECT_FALSE(decode_staging_record("stage\nstaged \n").is_complete);
}

}  // namespace
}  // namespace libsync::test
