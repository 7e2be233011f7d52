#include "libsync/core/name_list.h"

#include <gtest/gtest.h>

namespace libsync {
namespace {

TEST(NameList, NamesTheFirstOnesAndCountsTheOthers) {
  EXPECT_EQ(name_list({}, 2), "");
  EXPECT_EQ(name_list({"a"}, 2), "a");
  EXPECT_EQ(name_list({"a", "b"}, 2), "a b");
  EXPECT_EQ(name_list({"a", "b", "c", "d"}, 2), "a b and 2 more");
}

}  // namespace
}  // namespace libsync
