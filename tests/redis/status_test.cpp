#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "libsync/core/failure.h"
#include "redis/answer.h"

namespace libsync {
namespace {

using namespace std::chrono_literals;
using Array = RedisValue::Array;

RedisValue text(std::string value) { return {std::move(value)}; }

LastStatus read_last_of(const std::vector<std::string>& words, std::uint64_t now) {
  Array flat;
  for (const auto& word : words) flat.push_back(text(word));
  const RedisValue answer{flat};
  AnswerReader reader(answer);
  return read_last(AnswerFields(reader), now);
}

TEST(ReadLast, ReadsEveryField) {
  const auto last = read_last_of(
      {"path",  "/data1/a", "outcome", "quorum",        "reason", "why",     "finished",
       "9",     "expected", "10",      "bytes",         "2500",   "started", "1000",
       "ended", "4500",     "silent",  "10.0.0.8 \x1b", "rule",   "named"},
      10'000);
  EXPECT_EQ(last.path, "/data1/a");
  EXPECT_EQ(last.outcome, "quorum");
  EXPECT_EQ(last.reason, "why");
  EXPECT_EQ(last.finished, 9U);
  EXPECT_EQ(last.expected, 10U);
  EXPECT_EQ(last.bytes, 2500U);
  EXPECT_EQ(last.silent, (std::vector<std::string>{"10.0.0.8", "\\x1b"}));
  EXPECT_EQ(last.rule, "named");
  EXPECT_EQ(last.took, 3500ms);
  EXPECT_EQ(last.ended_ago, 5500ms);
}

// Status only shows it. A record of an older version must not hide the run in progress.
TEST(ReadLast, CountsMissingFieldsAndBadNumbersAsNothing) {
  const auto none = read_last_of({}, 10'000);
  EXPECT_EQ(none.path, "");
  EXPECT_EQ(none.finished, 0U);
  EXPECT_EQ(none.took, 0ms);
  const auto odd = read_last_of({"finished", "-1", "expected", "x", "bytes", "1e9", "started",
                                 "18446744073709551615", "ended", "20000"},
                                10'000);
  const auto absurd = read_last_of({"finished", "1e300", "expected", std::string(309, '9'), "bytes",
                                    "nan", "started", "0", "ended", "18446744073709551615"},
                                   10'000);
  EXPECT_EQ(absurd.finished + absurd.expected + absurd.bytes, 0U);
  EXPECT_EQ(absurd.took, std::chrono::milliseconds::max());
  EXPECT_EQ(absurd.ended_ago, 0ms);
  EXPECT_EQ(odd.finished, 0U);
  EXPECT_EQ(odd.expected, 0U);
  EXPECT_EQ(odd.bytes, 0U);
  EXPECT_EQ(odd.took, 0ms);
  EXPECT_EQ(odd.ended_ago, 0ms);
}

TEST(ReadLast, RefusesAFieldWithoutItsValue) {
  EXPECT_THROW(static_cast<void>(read_last_of({"path"}, 0)), Failure);
  EXPECT_THROW(static_cast<void>(read_last_of({"path", "/a", "outcome"}, 0)), Failure);
}

}  // namespace
}  // namespace libsync
