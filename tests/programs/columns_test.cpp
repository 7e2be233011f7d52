#include "programs/columns.h"

#include <gtest/gtest.h>

namespace libsync {
namespace {

TEST(CutToColumns, CountsColumnsAndNotBytes) {
  EXPECT_EQ(cut_to_columns("", 3), "");
  EXPECT_EQ(cut_to_columns("model", 3), "mod");
  EXPECT_EQ(cut_to_columns("model", 5), "model");
  EXPECT_EQ(cut_to_columns("model", 0), "");
  EXPECT_EQ(cut_to_columns("\xc3\xa4\xc3\xb6\xc3\xbc", 2), "\xc3\xa4\xc3\xb6");
}

TEST(CutToColumns, AWideCharacterFillsTwo) {
  const std::string wide = "\xe6\xbc\xa2\xe5\xad\x97";  // Two of three bytes.
  EXPECT_EQ(cut_to_columns(wide, 4), wide);
  EXPECT_EQ(cut_to_columns(wide, 3), wide.substr(0, 3));
  EXPECT_EQ(cut_to_columns(wide, 1), "");
}

TEST(CutToColumns, ACombiningCharacterFillsNone) {
  const std::string accents =
      "e\xcc\x81"
      "e\xcc\x81";
  EXPECT_EQ(cut_to_columns(accents, 2), accents);
  EXPECT_EQ(cut_to_columns(accents, 1), accents.substr(0, 3)) << "it stays with its letter";
}

}  // namespace
}  // namespace libsync
