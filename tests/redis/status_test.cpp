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
RedisValue number(std::int64_t value) { return {value}; }

LastStatus read_last_of(const std::vector<std::string>& words, std::uint64_t now) {
  Array flat;
  for (const auto& word : words) flat.push_back(text(word));
  const RedisValue answer{flat};
  AnswerReader reader(answer);
  return read_last(AnswerFields(reader), now);
}

// Address, pieces in place, claims, uploads, finished at, error, seen at, expected, running.
Array right_host() {
  return {text("10.0.0.2"), number(5),     text("2"), number(1), text("9000"),
          text("e\x1b"),    text("11000"), number(1), number(1)};
}

HostStatus read_host_of(const Array& elements) { return read_host({elements}, 12'000, 1'000); }

TEST(ReadLast, ReadsEveryField) {
  const auto last =
      read_last_of({"path", "/data1/a", "outcome", "quorum", "reason", "why", "finished", "9",
                    "expected", "10", "bytes", "2500", "started", "1000", "ended", "4500"},
                   10'000);
  EXPECT_EQ(last.path, "/data1/a");
  EXPECT_EQ(last.outcome, "quorum");
  EXPECT_EQ(last.reason, "why");
  EXPECT_EQ(last.finished, 9U);
  EXPECT_EQ(last.expected, 10U);
  EXPECT_EQ(last.bytes, 2500U);
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

TEST(ReadHost, ReadsEveryElement) {
  const auto host = read_host_of(right_host());
  EXPECT_EQ(host.address, "10.0.0.2");
  EXPECT_EQ(host.in_place, 5U);
  EXPECT_EQ(host.claims, 2U);
  EXPECT_EQ(host.uploads, 1U);
  EXPECT_EQ(host.finished_after, 8s);
  EXPECT_EQ(host.error, "e\x1b");
  EXPECT_EQ(host.seen_ago, 1s);
  EXPECT_TRUE(host.is_expected);
  EXPECT_TRUE(host.is_running);
}

TEST(ReadHost, ReadsAnEmptyTimeAsNever) {
  auto elements = right_host();
  elements[4] = elements[6] = text("");
  elements[7] = elements[8] = number(0);
  const auto host = read_host_of(elements);
  EXPECT_FALSE(host.finished_after);
  EXPECT_FALSE(host.seen_ago);
  EXPECT_FALSE(host.is_expected);
  EXPECT_FALSE(host.is_running);
}

TEST(ReadHost, EscapesTheAddress) {
  auto elements = right_host();
  elements[0] = text("\x1b[31m\n");
  EXPECT_EQ(read_host_of(elements).address, "\\x1b[31m\\n");
}

TEST(ReadHost, RefusesWrongElements) {
  const auto right = right_host();
  for (std::size_t at = 0; at < right.size(); ++at) {
    for (const auto& wrong : {RedisValue{}, RedisValue{RedisError{"ERR"}}, RedisValue{Array{}}}) {
      auto elements = right;
      elements[at] = wrong;
      EXPECT_THROW(static_cast<void>(read_host_of(elements)), Failure) << at;
    }
  }
  for (const std::size_t at : {1U, 2U, 3U, 7U, 8U}) {
    for (const auto& wrong : {number(-1), text("-1"), text(""), text("x"), text("1 ")}) {
      auto elements = right;
      elements[at] = wrong;
      EXPECT_THROW(static_cast<void>(read_host_of(elements)), Failure) << at;
    }
  }
  auto shorter = right;
  while (!shorter.empty()) {
    shorter.pop_back();
    EXPECT_THROW(static_cast<void>(read_host_of(shorter)), Failure) << shorter.size();
  }
  EXPECT_THROW(static_cast<void>(read_host(text("10.0.0.2"), 0, 0)), Failure);
}

}  // namespace
}  // namespace libsync
