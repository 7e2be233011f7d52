#include "libsync/core/run_record.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "task_path.h"

namespace libsync {
namespace {

RunRecord record() {
  return {.role = Role::master,
          .prefix = "prod:",
          .run = RunId::parse("0123456789abcdef0123456789abcdef").value(),
          .task = test::task_path("/data1/a b"),
          .content = Fingerprint::parse("fedcba9876543210fedcba9876543210").value(),
          .piece_bytes = 262'144,
          .begun_ms = 7,
          .standing = Standing::ended_short,
          .expected_count = 2,
          .expected_hosts = {"10.0.0.2", "fd00::7"}};
}

TEST(RunRecord, SurvivesItsText) {
  const auto text = encode(record());
  const auto again = decode_run_record(Role::master, text);
  ASSERT_TRUE(again);
  EXPECT_EQ(encode(*again), text);
  EXPECT_EQ(again->expected_hosts, record().expected_hosts);
  EXPECT_EQ(again->standing, Standing::ended_short);
  EXPECT_EQ(again->piece_bytes, 262'144U);
}

TEST(RunRecord, IsNotReadFromATruncatedText) {
  const auto text = encode(record());
  for (std::size_t size = 0; size + 1 < text.size(); ++size) {
    EXPECT_FALSE(decode_run_record(Role::master, text.substr(0, size))) << size;
  }
}

TEST(RunRecord, IsNotReadWithAWrongValue) {
  for (const auto& [right, wrong] :
       {std::pair("piece-bytes 262144", "piece-bytes 0"),
        std::pair("piece-bytes 262144", "piece-bytes -1"), std::pair("host 10.0.0.2", "host 10.2"),
        std::pair("host 10.0.0.2", "host "), std::pair("ended-short", "over"),
        std::pair("/data1/a b", "/data1/../b"), std::pair("run 0", "run x"),
        std::pair("begun 7", "begun 18446744073709551616")}) {
    auto text = encode(record());
    text.replace(text.find(right), std::string(right).size(), wrong);
    EXPECT_FALSE(decode_run_record(Role::master, text)) << wrong;
  }
}

}  // namespace
}  // namespace libsync
