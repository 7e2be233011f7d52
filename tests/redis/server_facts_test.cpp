// The policy of eviction in what INFO answers.

#include "redis/server_facts.h"

#include <gtest/gtest.h>

namespace libsync::test {
namespace {

TEST(ReadEviction, FindsThePolicyAndTheLimit) {
  const auto read = read_eviction(
      "# Memory\r\nused_memory:871328\r\nmaxmemory:104857600\r\nmaxmemory_human:100.00M\r\n"
      "maxmemory_policy:allkeys-lru\r\nmem_fragmentation_ratio:13.46\r\n");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->policy, "allkeys-lru");
  EXPECT_EQ(read->memory_limit, 104857600U);
}

TEST(ReadEviction, FindsNothingInAnotherText) {
  EXPECT_FALSE(read_eviction(""));
  EXPECT_FALSE(read_eviction("maxmemory_policy"));
  EXPECT_FALSE(read_eviction("maxmemory:7\r\nxmaxmemory_policy:noeviction\r\n"));
}

TEST(ReadEviction, EscapesThePolicyAndReadsAWrongLimitAsNone) {
  const auto read = read_eviction("maxmemory:<script>\nmaxmemory_policy:a\x1b[31m\"\xff");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->policy.find('\x1b'), std::string::npos);
  EXPECT_EQ(read->policy.find('\xff'), std::string::npos);
  EXPECT_EQ(read->memory_limit, 0U);
}

}  // namespace
}  // namespace libsync::test
