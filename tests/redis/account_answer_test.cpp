// The account of the last run, as Redis answers: other programs may have written anything into it.

#include "redis/account_answer.h"

#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

namespace libsync {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;

std::optional<RunAccount> read(const std::vector<std::string>& words) {
  RedisValue::Array flat;
  for (const auto& word : words) flat.push_back({word});
  const RedisValue answer{flat};
  AnswerReader reader(answer);
  return read_last_account(AnswerFields(reader));
}

HostAccount read_own(const std::string& text) {
  HostAccount host{.address = Address::parse("10.0.0.2").value()};
  read_own_account(text, host);
  return host;
}

const std::string kRun(32, 'a');

TEST(ReadLastAccount, ReadsEveryField) {
  const auto account =
      read({"run",  kRun,     "path",     "/data/a",     "outcome",  "deadline", "reason",
            "why",  "bytes",  "39",       "piece_bytes", "10",       "started",  "1700000000000",
            "took", "12345",  "finished", "1",           "expected", "3",        "trees",
            "8",    "origin", "10.0.0.1"});
  EXPECT_EQ(account, (RunAccount{.run = RunId::parse(kRun).value(),
                                 .path = "/data/a",
                                 .outcome = "deadline",
                                 .reason = "why",
                                 .cut = {39, 10},
                                 .begun_ms = 1'700'000'000'000,
                                 .took = 12345ms,
                                 .finished = 1,
                                 .expected = 3,
                                 .has_trees = true,
                                 .origin = Address::parse("10.0.0.1")}));
}

TEST(ReadLastAccount, IsNoneWithoutARunThatEnded) {
  EXPECT_FALSE(read({}));
  EXPECT_FALSE(read({"run", "x", "outcome", "complete"}));
  EXPECT_FALSE(read({"run", kRun}));
  EXPECT_FALSE(read({"run", kRun, "outcome", ""}));
  EXPECT_FALSE(read({"run", kRun, "outcome", "refused"}));
}

// A run of an earlier version has no size of a piece.
TEST(ReadLastAccount, CountsBadNumbersAsNothing) {
  for (const std::string value : {"", "-1", "x", "1e9", "99999999999999999999"}) {
    const auto account =
        read({"run",      kRun,      "outcome", "complete", "bytes",  "100",      "piece_bytes",
              value,      "started", value,     "took",     value,    "finished", value,
              "expected", value,     "trees",   value,      "origin", value})
            .value();
    EXPECT_EQ(account.cut, Cut());
    EXPECT_EQ(account.begun_ms, 0U);
    EXPECT_EQ(account.took, 0s);
    EXPECT_EQ(account.finished + account.expected, 0U);
    EXPECT_FALSE(account.has_trees);
    EXPECT_FALSE(account.origin);
  }
  for (const auto& [bytes, piece] :
       {std::pair{"40961", "10"}, std::pair{"100", "0"}, std::pair{"18446744073709551615", "1"}}) {
    const auto account =
        read({"run", kRun, "outcome", "complete", "bytes", bytes, "piece_bytes", piece});
    EXPECT_EQ(account.value().cut, Cut()) << bytes;
  }
  EXPECT_EQ(
      read({"run", kRun, "outcome", "x", "bytes", "40960", "piece_bytes", "10"})->cut.pieces(),
      4096U);
  EXPECT_EQ(read({"run", kRun, "outcome", "x", "took", "31536000000000"})->took, 0s);
}

TEST(ReadOwnAccount, ReadsWhatAccountsLuaWrites) {
  EXPECT_EQ(read_own("1000 2000 8000 9000 399 4 1 2 1000 10.0.0.1=3,fd00::1=1 why it\nfailed "),
            (HostAccount{.address = Address::parse("10.0.0.2").value(),
                         .has_come = true,
                         .has_account = true,
                         .joined = 1s,
                         .first_byte = 2s,
                         .last_byte = 8s,
                         .in_place = 9s,
                         .pulls = {399, 4, 1, 2, 1000},
                         .shares = {{Address::parse("10.0.0.1").value(), 3},
                                    {Address::parse("fd00::1").value(), 1}},
                         .reason = "why it\nfailed "}));
  EXPECT_EQ(
      read_own("3000"),
      (HostAccount{.address = Address::parse("10.0.0.2").value(), .has_come = true, .joined = 3s}));
}

TEST(ReadOwnAccount, ReadsNothingFromAnythingElse) {
  for (const std::string text :
       {"", " ", "-", "x", "            ", "-1 -1 -1 -1 -1 -1 -1 -1 -1 -1 ", "- - - - - - - - - - ",
        "99999999999999999999 31536000000000 1e3 0x1 nan 99999999999 x x x <script> "}) {
    auto host = read_own(text);
    EXPECT_TRUE(host.has_come);
    EXPECT_FALSE(host.joined || host.first_byte || host.last_byte || host.in_place) << text;
    EXPECT_EQ(host.pulls, Pulls()) << text;
    EXPECT_THAT(host.shares, IsEmpty());
  }
  EXPECT_EQ(read_own("1 1 1 1 1 4097 1 1 1 - ").pulls.pieces, 4096U);
}

TEST(ReadTotal, KnowsFiveFields) {
  RunAccount account{.run = RunId::parse(kRun).value()};
  for (const auto& [field, value] :
       {std::pair{"accounts", "1"}, std::pair{"wire", "2"}, std::pair{"pieces", "3"},
        std::pair{"failed", "4"}, std::pair{"twice", "5"}, std::pair{"x", "6"}}) {
    read_total(field, value, account);
  }
  EXPECT_EQ(account.accounts, 1U);
  EXPECT_EQ(account.total, (Pulls{2, 3, 4, 5, 0}));
  for (const auto* const field : {"accounts", "wire", "pieces", "failed", "twice"}) {
    read_total(field, "-7", account);
  }
  EXPECT_EQ(account.accounts, 0U);
  EXPECT_EQ(account.total, Pulls());
}

}  // namespace
}  // namespace libsync
