// The account of a run as text: complete and in its own form, or nothing.

#include "libsync/core/run_account.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <string>

namespace libsync {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::IsEmpty;
using namespace std::chrono_literals;

Address address(const std::string& text) { return Address::parse(text).value(); }

RunAccount some_account() {
  RunAccount account{.run = RunId::parse(std::string(32, 'a')).value(),
                     .path = "/data/model 7",
                     .outcome = "deadline",
                     .reason = "why",
                     .cut = {39, 10},
                     .begun_ms = 1'700'000'000'000,
                     .took = 12345ms,
                     .finished = 1,
                     .expected = 3,
                     .has_trees = true,
                     .origin = address("10.0.0.1"),
                     .accounts = 2,
                     .total = {399, 4, 1, 2, 0}};
  account.hosts = {{.address = address("10.0.0.2"),
                    .is_expected = true,
                    .has_come = true,
                    .has_account = true,
                    .placed = 4,
                    .joined = 1s,
                    .first_byte = 2s,
                    .last_byte = 8s,
                    .in_place = 9s,
                    .published = 10s,
                    .pulls = {399, 4, 1, 2, 1000},
                    .shares = {{address("10.0.0.1"), 3}, {address("fd00::1"), 1}}},
                   {.address = address("10.0.0.10"),
                    .is_expected = true,
                    .has_come = true,
                    .placed = 1,
                    .error = "no space left: free some",
                    .reason = "-"},
                   {.address = address("fd00::2"), .is_expected = true}};
  return account;
}

// An account of `count` hosts, of which the later ones finished later.
RunAccount large_account(unsigned count, const std::string& reason) {
  auto account = some_account();
  account.hosts.clear();
  for (unsigned i = 0; i < count; ++i) {
    account.hosts.push_back({.address = address(fmt::format("10.0.{}.{}", i / 250, i % 250)),
                             .published = Duration(i),
                             .reason = reason});
  }
  return account;
}

TEST(RunAccount, SurvivesItsText) {
  const auto account = some_account();
  const auto text = encode(account);
  EXPECT_EQ(decode_run_account(text), account);
  EXPECT_EQ(text,
            "sync-fanout account 1\n"
            "run aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
            "ended /data/model%207 deadline why\n"
            "payload 39 10\n"
            "times 1700000000000 12345\n"
            "hosts 1 3 0\n"
            "spread 1 10.0.0.1\n"
            "total 2 399 4 1 2 0\n"
            "host 10.0.0.2 1 1 1 4 1000 2000 8000 9000 10000 399 4 1 2 1000 "
            "10.0.0.1=3,fd00::1=1 - -\n"
            "host 10.0.0.10 1 1 0 1 - - - - - 0 0 0 0 0 - no%20space%20left:%20free%20some %2d\n"
            "host fd00::2 1 0 0 0 - - - - - 0 0 0 0 0 - - -\n"
            "end\n");
}

TEST(RunAccount, KeepsAnyTextAndOneLineAHost) {
  auto account = some_account();
  account.origin.reset();
  const std::string all_bytes = [] {
    std::string bytes;
    for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
    return bytes;
  }();
  for (const std::string& text :
       {std::string(), std::string("-"), std::string("--"), std::string("%"), std::string("%41"),
        std::string("<script>\"'&"), std::string("end\nhost 10.0.0.9"), all_bytes,
        std::string(4096, '\n')}) {
    account.path = account.outcome = account.reason = text;
    account.hosts[0].error = account.hosts[1].reason = text;
    const auto encoded = encode(account);
    EXPECT_EQ(decode_run_account(encoded), account) << text;
    EXPECT_EQ(std::count(encoded.begin(), encoded.end(), '\n'), 12);
    for (const char byte : encoded) {
      ASSERT_TRUE(byte == '\n' || (byte >= ' ' && byte <= '~')) << static_cast<int>(byte);
    }
  }
  account.reason = std::string(5000, 'x');
  EXPECT_EQ(decode_run_account(encode(account)).value().reason, std::string(4096, 'x'));
}

TEST(RunAccount, IsNotReadFromPartOfItsText) {
  const auto text = encode(some_account());
  for (std::size_t size = 0; size < text.size(); ++size) {
    ASSERT_FALSE(decode_run_account(std::string_view(text).substr(0, size))) << size;
  }
  EXPECT_FALSE(decode_run_account(text + "\n"));
  EXPECT_FALSE(decode_run_account(text + text));
}

TEST(RunAccount, IsNotReadFromAnotherForm) {
  const auto text = encode(some_account());
  const auto with = [&](const std::string& part, const std::string& other) {
    auto changed = text;
    const auto at = changed.find(part);
    EXPECT_NE(at, std::string::npos) << part;
    return changed.replace(at, part.size(), other);
  };
  for (const auto& [part, other] : std::initializer_list<std::pair<std::string, std::string>>{
           {"account 1", "account 2"},
           {"run aaaa", "run AAAA"},
           {"run ", "ran "},
           {"ended ", "ended  "},
           {" why", ""},
           {" why", " why why"},
           {"why\n", "why \n"},
           {"%20", "%2"},
           {"%20", "%zz"},
           {"%20", "%41"},
           {"%2d", "%2D"},
           {"deadline", "dead\x01line"},
           {"payload 39 10", "payload 39 0"},
           {"payload 39 10", "payload 40970 10"},
           {"payload 39 10", "payload 40961 10"},
           {"payload 39 10", "payload 18446744073709551615 1"},
           {"payload 39 10", "payload -1 10"},
           {"times 1700000000000 12345", "times 1700000000000 -"},
           {"times 1700000000000 12345", "times 1700000000000 -5"},
           {"times 1700000000000 12345", "times 1700000000000 31536000000000"},
           {"hosts 1 3 0", "hosts 1 3"},
           {"spread 1 10.0.0.1", "spread 2 10.0.0.1"},
           {"spread 1 10.0.0.1", "spread 1 10.0.0.999"},
           {"host 10.0.0.2", "host 010.0.0.2"},
           {"host 10.0.0.2", "host 10.0.0.10"},
           {"host 10.0.0.2", "host fd00::3"},
           {"host 10.0.0.2 1 1 1 4", "host 10.0.0.2 1 1 2 4"},
           {"host 10.0.0.2 1 1 1 4", "host 10.0.0.2 1 1 1 4097"},
           {" 1000 2000", " x 2000"},
           {"end\n", "the end\n"}}) {
    EXPECT_FALSE(decode_run_account(with(part, other))) << part << " -> " << other;
  }
  EXPECT_TRUE(decode_run_account(with("payload 39 10", "payload 40960 10"))) << "4096 pieces";
}

TEST(RunAccount, KeepsTheSlowestHostsOfTooMany) {
  auto account = large_account(6000, std::string(1000, 'x'));
  account.hosts[5].published.reset();
  account.left_out = 7;
  const auto text = encode(account);
  EXPECT_LE(text.size(), kRunAccountBytes);
  EXPECT_THAT(text, EndsWith("\nend\n"));
  const auto kept = decode_run_account(text).value();
  ASSERT_EQ(kept.hosts.size(), kSlowestKept);
  EXPECT_EQ(kept.left_out, 7 + 6000 - kSlowestKept);
  EXPECT_EQ(kept.hosts.front(), account.hosts[5]) << "it has not finished";
  EXPECT_EQ(kept.hosts[1], account.hosts[5001]);
  EXPECT_EQ(kept.hosts.back(), account.hosts[5999]);
  EXPECT_EQ(kept.total, account.total) << "the sums stay";
}

TEST(RunAccount, StaysShortWithTheLongestHosts) {
  auto account = large_account(1500, std::string(4096, '\n'));
  const auto text = encode(account);
  EXPECT_LE(text.size(), kRunAccountBytes);
  const auto kept = decode_run_account(text).value();
  EXPECT_LT(kept.hosts.size(), kSlowestKept);
  EXPECT_EQ(kept.left_out, account.hosts.size() - kept.hosts.size());
}

TEST(RunAccount, OfManyHostsIsWhole) {
  const auto account = large_account(20'000, "");
  EXPECT_EQ(decode_run_account(encode(account)), account);
}

TEST(RunAccount, NamesTheSlowestFirst) {
  auto account = large_account(4, "");
  account.hosts[1].published.reset();
  account.hosts[2].published = 9s;
  account.hosts[3].published = 9s;
  EXPECT_THAT(slowest_first(account), ElementsAre(&account.hosts[1], &account.hosts[2],
                                                  &account.hosts[3], &account.hosts[0]));
}

TEST(Shares, SurviveTheirText) {
  const std::vector<Share> shares{{address("10.0.0.1"), 52}, {address("fd00::1"), 4096}};
  EXPECT_EQ(encode(shares), "10.0.0.1=52,fd00::1=4096");
  EXPECT_EQ(decode_shares(encode(shares)), shares);
  EXPECT_THAT(decode_shares(""), IsEmpty());
  EXPECT_EQ(encode(std::vector<Share>()), "");
}

TEST(Shares, AreReadFromWhatIsRight) {
  for (const std::string text :
       {"-", "=", "=1", "10.0.0.1", "10.0.0.1=", "10.0.0.1=x", "10.0.0.1=-1", "10.0.0.1=4097",
        "10.0.0.1=1=1", "<script>=1", "10.0.0.01=1", ",,,", "10.0.0.1 =1"}) {
    EXPECT_THAT(decode_shares(text), IsEmpty()) << text;
    EXPECT_THAT(decode_shares(text + ",10.0.0.2=7," + text),
                ElementsAre(Share{address("10.0.0.2"), 7}))
        << text;
  }
}

}  // namespace
}  // namespace libsync
