// Lines of a text, and the blanks around a text.

#include "libsync/core/lines.h"

#include <gmock/gmock.h>

namespace libsync {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Lines, EndAtNewlines) {
  EXPECT_THAT(lines_of("a\n\nb\r\n"), ElementsAre("a", "", "b\r"));
  EXPECT_THAT(lines_of("a\nb"), ElementsAre("a", "b"));
  EXPECT_THAT(lines_of("\n"), ElementsAre(""));
  EXPECT_THAT(lines_of(""), IsEmpty());
}

TEST(Lines, AreTrimmedAtBothEnds) {
  EXPECT_EQ(trimmed(" \t a b\r"), "a b");
  EXPECT_EQ(trimmed("a"), "a");
  EXPECT_EQ(trimmed(" \r\t"), "");
  EXPECT_EQ(trimmed(""), "");
}

}  // namespace
}  // namespace libsync
