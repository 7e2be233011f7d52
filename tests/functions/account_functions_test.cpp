// The accounts that hosts give of their parts in a run: what Redis keeps of them, and how much.

#include <gmock/gmock.h>

#include <numeric>
#include <regex>

#include "function_caller.h"
#include "redis/coordinator.h"

namespace libsync::test {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using namespace std::chrono_literals;

constexpr auto kYes = FunctionCaller::Last::yes;
// The limits of the issue.
constexpr std::int64_t kBytesOfAHost = 500;
constexpr std::int64_t kBytesOfAll = 5'000'000;

// The arguments of one account, in their order.
struct Given {
  std::string joined = "20000";
  std::string first_byte = "15000";
  std::string last_byte = "5000";
  std::string in_place = "4000";
  std::string wire = "41";
  std::string pieces = "4";
  std::string failed = "1";
  std::string twice = "2";
  std::string rate = "3000";
  std::string shares = "10.0.0.1=3,10.0.0.2=1";
  std::string reason = "why it failed";
};

std::vector<std::string> fields_of(const Given& given) {
  return {given.joined, given.first_byte, given.last_byte, given.in_place,
          given.wire,   given.pieces,     given.failed,    given.twice,
          given.rate,   given.shares,     given.reason};
}

// The longest account that a host can give.
Given longest() {
  Given given{"1", "1", "1", "1", "9999999999999", "4096", "999999", "999999", "999999999999"};
  given.shares.clear();
  for (int i = 10; i < 40; ++i) {
    given.shares +=
        (i == 10 ? "" : ",") + ("fd00:1111:2222:3333:4444:5555:6666:77" + std::to_string(i)) + "=9";
  }
  given.reason = std::string(1000, 'r');
  return given;
}

class AccountFunctions : public testing::Test {
 protected:
  AccountFunctions() {
    f.begin(run, 4, "10.0.0.1", 2, {"10.0.0.5", "10.0.0.6"});
    f.stage(run, {0, 1, 2, 3}, kYes);
  }

  Texts give(const std::string& host, const std::vector<std::string>& fields,
             const std::string& of = run_id(1)) {
    std::vector<std::string> arguments{of, host};
    arguments.insert(arguments.end(), fields.begin(), fields.end());
    return f("account", arguments);
  }
  Texts give(const std::string& host, const Given& given = {}) {
    return give(host, fields_of(given));
  }
  void end(const std::string& outcome = "deadline") { f("end", {run, outcome, "why", "0"}); }
  std::string kept(const std::string& host, const std::string& key = "sync:accounts") {
    return f.one({"HGET", key, host});
  }
  Texts totals(const std::string& key = "sync:totals") {
    return f.ask({"HMGET", key, "accounts", "wire", "pieces", "failed", "twice"});
  }
  [[nodiscard]] std::int64_t bytes_of(const std::string& key) {
    const auto bytes = f.one({"MEMORY", "USAGE", key, "SAMPLES", "0"});
    return bytes == "(nil)" ? 0 : std::stoll(bytes);
  }
  [[nodiscard]] HostAccount account_of(const std::string& host) {
    const auto account = coordinator.last_account();
    for (const auto& one : account.value().hosts) {
      if (one.address.text() == host) return one;
    }
    ADD_FAILURE() << host << " is in no account";
    return HostAccount{.address = Address::parse(host).value()};
  }

  TestRedis redis;
  FunctionCaller f{redis};
  RedisCoordinator coordinator{
      {.server = redis.server(), .time = [this] { return std::to_string(f.now); }}};
  const std::string run = run_id(1);
};

TEST_F(AccountFunctions, KeepsTimesSinceTheBeginOfTheRun) {
  f.now += 30'000;
  EXPECT_EQ(give("10.0.0.5"), Texts{"VIEW"});
  EXPECT_EQ(kept("10.0.0.5"),
            "10000 15000 25000 26000 41 4 1 2 3000 10.0.0.1=3,10.0.0.2=1 why it failed");
  EXPECT_EQ(give("10.0.0.6", {.first_byte = "", .last_byte = "", .in_place = "", .reason = ""}),
            Texts{"VIEW"});
  EXPECT_EQ(kept("10.0.0.6"), "10000 - - - 41 4 1 2 3000 10.0.0.1=3,10.0.0.2=1 ");
  EXPECT_THAT(totals(), ElementsAre("2", "82", "8", "2", "4"));
}

TEST_F(AccountFunctions, ALaterOneReplacesAllButTheFirstTimes) {
  f.now += 30'000;
  give("10.0.0.5");
  f.now += 30'000;
  const Given later{"10000", "9000", "2000", "1000", "100", "2", "0", "0", "7", "", ""};
  for (int times = 0; times < 2; ++times) {
    give("10.0.0.5", later);
    EXPECT_EQ(kept("10.0.0.5"), "10000 15000 58000 59000 100 2 0 0 7 - ");
    EXPECT_THAT(totals(), ElementsAre("1", "100", "2", "0", "0")) << "a repeated call";
  }
}

TEST_F(AccountFunctions, AHostThatJoinsIsKnownBeforeItsAccount) {
  f.now += 3000;
  f("join", {"10.0.0.5", "1", "0", "0"});
  EXPECT_EQ(kept("10.0.0.5"), "3000");
  f.now += 27'000;
  f("join", {"10.0.0.5", "1", "0", "0"});
  EXPECT_EQ(kept("10.0.0.5"), "3000");
  EXPECT_EQ(totals(), (Texts{"(nil)", "(nil)", "(nil)", "(nil)", "(nil)"}));
  give("10.0.0.5");
  EXPECT_THAT(kept("10.0.0.5"), StartsWith("3000 15000 25000 26000 "));
  f.finish(run, "10.0.0.6", digest(0));
  f("join", {"10.0.0.6", "1", "0", "0"});
  EXPECT_EQ(kept("10.0.0.6"), "(nil)") << "it has no part in the run any more";
}

// A fleet may have the rules of an older version for some time.
TEST_F(AccountFunctions, JoinNeedsNoRightToThem) {
  f.ask({"ACL", "SETUSER", "former", "on", ">secret", "+@all", "~task", "~sync:run", "~sync:course",
         "~sync:expected", "~sync:joined", "~sync:others", "~sync:ticking", "~sync:minions",
         "~sync:ids", "~sync:done", "~sync:blame", "~sync:quarantine"});
  auto server = redis.server();
  server.user = "former";
  server.password = "secret";
  RedisConnection connection(server);
  for (const auto* const rule : {"~sync:done", "%R~sync:accounts"}) {
    f.ask({"ACL", "SETUSER", "former", rule});
    const auto answer = texts_of(
        connection.ask({"FCALL", "libsync1_join", "0", "", "", "10.0.0.5", "0", "0", "0"}));
    EXPECT_EQ(answer.at(0), "RUN") << rule;
    EXPECT_EQ(kept("10.0.0.5"), "(nil)");
  }
}

TEST_F(AccountFunctions, OutliveTheirRunUntilTheNextOneEnds) {
  for (const std::string outcome : {"complete", "cancelled", "superseded", "deadline"}) {
    give("10.0.0.5");
    end(outcome);
    EXPECT_EQ(f.one({"EXISTS", "sync:accounts", "sync:totals"}), "0");
    f.begin(run_id(2), 4);
    give("10.0.0.6", fields_of({}), run_id(2));
    EXPECT_NE(kept("10.0.0.5", "sync:last_accounts"), "(nil)") << outcome;
    EXPECT_EQ(totals("sync:last_totals").at(0), "1");
    const auto account = coordinator.last_account();
    ASSERT_TRUE(account);
    EXPECT_EQ(account->run.text(), run);
    EXPECT_EQ(account->outcome, outcome);
    EXPECT_EQ(account->accounts, 1U);
    f("end", {run_id(2), outcome, "", "0"});
    EXPECT_EQ(kept("10.0.0.5", "sync:last_accounts"), "(nil)");
    EXPECT_NE(kept("10.0.0.6", "sync:last_accounts"), "(nil)");
    f.begin(run, 4, "10.0.0.1", 2, {"10.0.0.5", "10.0.0.6"});
  }
}

TEST_F(AccountFunctions, AHostThatLearnsOfTheEndLateStillGivesItsOwn) {
  f.now += 30'000;
  give("10.0.0.5");
  end();
  f.now += 10'000;
  EXPECT_EQ(give("10.0.0.6"), Texts{"VIEW"});
  EXPECT_THAT(kept("10.0.0.6", "sync:last_accounts"), StartsWith("20000 25000 35000 36000 41 "));
  EXPECT_THAT(totals("sync:last_totals"), ElementsAre("2", "82", "8", "2", "4"));
  // Also while the next run is under way.
  f.begin(run_id(2), 4);
  EXPECT_EQ(give("10.0.0.6", {.wire = "50"}), Texts{"VIEW"});
  EXPECT_THAT(totals("sync:last_totals"), ElementsAre("2", "91", "8", "2", "4"));
  EXPECT_EQ(f.one({"EXISTS", "sync:accounts", "sync:totals"}), "0");
}

TEST_F(AccountFunctions, TheAccountOfAnotherRunIsStale) {
  EXPECT_EQ(give("10.0.0.5", fields_of({}), run_id(7)), Texts{"STALE"});
  end();
  f.begin(run_id(2), 4);
  f("end", {run_id(2), "complete", "", "0"});
  EXPECT_EQ(give("10.0.0.5"), Texts{"STALE"}) << "two runs ago";
  EXPECT_EQ(f.one({"EXISTS", "sync:accounts", "sync:totals", "sync:last_accounts"}), "0");
}

// Its last report, its error and when it joined are all that is known of it.
TEST_F(AccountFunctions, AHostThatDiesGivesNoneAndIsInTheReport) {
  f.now += 2000;
  f("join", {"10.0.0.5", "1", "0", "0"});
  f("hold", {run, "10.0.0.5", bits(4, {0, 1}), "2", "2", "0"});
  f("leave", {run, "10.0.0.5", "claims", "no space left\n<script>"});
  f.now += 60'000;
  end();
  const auto known = account_of("10.0.0.5");
  EXPECT_EQ(known, (HostAccount{.address = Address::parse("10.0.0.5").value(),
                                .is_expected = true,
                                .has_come = true,
                                .placed = 2,
                                .joined = 2s,
                                .error = "no space left\n<script>"}));
  EXPECT_EQ(account_of("10.0.0.6"),
            (HostAccount{.address = Address::parse("10.0.0.6").value(), .is_expected = true}));
  EXPECT_EQ(coordinator.last_account().value().accounts, 0U);
}

TEST_F(AccountFunctions, AnyTextInAnyFieldKeepsTheForm) {
  f.now += 30'000;
  const std::regex form(
      "(\\d{1,11}|-) (\\d{1,11}|-) (\\d{1,11}|-) (\\d{1,11}|-) \\d{1,14} \\d{1,4} \\d{1,7} "
      "\\d{1,7} "
      "\\d{1,13} [-0-9a-f.:=,]{1,140} [^]{0,100}");
  for (const auto& value :
       {std::string(), std::string("-1"), std::string("1e300"), std::string("nan"),
        std::string("-inf"), std::string("0x10"), std::string("5000000000000000"),
        std::string("-5000000000000000"), std::string("x y"), std::string("1 2 3"),
        std::string("10.0.0.1=4,,=,"), std::string("<script>\"'&\n"), std::string("\xff\xfe\0", 3),
        std::string(100'000, '9'), std::string(1000, ','), std::string(1000, '\n')}) {
    for (std::size_t field = 0; field < fields_of({}).size(); ++field) {
      auto fields = fields_of({});
      fields[field] = value;
      ASSERT_EQ(give("10.0.0.5", fields), Texts{"VIEW"}) << field << " " << value.substr(0, 20);
      const auto text = kept("10.0.0.5");
      EXPECT_TRUE(std::regex_match(text, form)) << field << " " << text;
    }
    for (const auto& total : totals()) EXPECT_THAT(total, Not(HasSubstr("-")));
  }
  give("10.0.0.5", {.reason = "<script>\xff\n"});
  EXPECT_EQ(give("10.0.0.5", std::vector<std::string>()), Texts{"VIEW"}) << "no fields at all";
  give("10.0.0.5", {.reason = "<script>\xff\n"});
  end();
  EXPECT_EQ(account_of("10.0.0.5").reason, "<script>\xff\n") << "the caller escapes it";
}

TEST_F(AccountFunctions, AnAddressThatIsNoneIsNotKept) {
  for (const auto& host : {std::string(46, '1'), std::string(100'000, 'x')}) {
    EXPECT_THAT(give(host).at(0), StartsWith("(error) ERR no address")) << host.size();
    f("join", {host, "1", "0", "0"});
  }
  EXPECT_EQ(f.one({"EXISTS", "sync:accounts", "sync:totals"}), "0");
  give("<script>");
  end();
  const auto account = coordinator.last_account();
  for (const auto& host : account.value().hosts) {
    EXPECT_NE(host.address.text(), "<script>");
  }
}

TEST_F(AccountFunctions, SharesThatDoNotFitEndWithAWholeOne) {
  give("10.0.0.5", longest());
  end();
  const auto shares = account_of("10.0.0.5").shares;
  ASSERT_EQ(shares.size(), 3U);
  EXPECT_EQ(shares.back().source.text(), "fd00:1111:2222:3333:4444:5555:6666:7712");
  EXPECT_EQ(shares.back().pieces, 9U);
}

// --- How much of them Redis keeps ---

enum class Order { fastest_first, slowest_first };

class ManyAccounts : public AccountFunctions {
 protected:
  /// The longest address.
  static std::string host(unsigned number) {
    const auto digits = std::to_string(10'000 + number % 10'000);
    return "fd00:1111:2222:3333:4444:555" + std::to_string(number / 10'000) +
           ":6666:" + digits.substr(1);
  }
  /// The host with this number finishes at the time with the same number.
  void finish(const std::string& address, unsigned number, const Given& given) {
    if (number % 2 == 0) f("join", {address, "0", "0", "0"});
    give(address, given);
    f.ask({"HSET", "sync:done", address, std::to_string(f.now + number)});
    f.ask({"HSET", "sync:progress", address, "4096"});
  }
  [[nodiscard]] std::int64_t all_bytes() {
    return bytes_of("sync:accounts") + bytes_of("sync:totals") + bytes_of("sync:progress");
  }
};

class ManyAccountsIn : public ManyAccounts, public testing::WithParamInterface<Order> {};

INSTANTIATE_TEST_SUITE_P(Order, ManyAccountsIn,
                         testing::Values(Order::fastest_first, Order::slowest_first),
                         [](const auto& order) {
                           return std::string(order.param == Order::fastest_first ? "FastestFirst"
                                                                                  : "SlowestFirst");
                         });

TEST_P(ManyAccountsIn, OccupyFewBytesAndTheSlowestAreAmongThem) {
  constexpr unsigned kHosts = 20'000;
  constexpr unsigned kSlowest = 1000;
  f.now += 9'000'000'000;  // The longest times.
  give("10.0.0.5", Given{.in_place = "", .reason = "it fails"});
  std::vector<unsigned> numbers(kHosts);
  std::iota(numbers.begin(), numbers.end(), 0);
  if (GetParam() == Order::slowest_first) std::reverse(numbers.begin(), numbers.end());
  for (unsigned i = 0; i < kHosts; ++i) {
    finish(host(numbers[i]), numbers[i], longest());
    if (i + 1 == 1000 || i + 1 == 4000) {
      EXPECT_LE(bytes_of("sync:accounts"), kBytesOfAHost * (i + 2)) << i;
    }
  }
  EXPECT_EQ(totals().at(0), std::to_string(kHosts + 1));
  EXPECT_EQ(totals().at(1), std::to_string(kHosts * 9'999'999'999'999U + 41));
  EXPECT_LE(all_bytes(), kBytesOfAll);
  EXPECT_GE(all_bytes(), kBytesOfAll * 3 / 4) << "it keeps less than it could";
  EXPECT_EQ(f.one({"HEXISTS", "sync:accounts", "10.0.0.5"}), "1") << "it has failed";
  unsigned lacking = 0;
  for (unsigned number = kHosts - kSlowest; number < kHosts; ++number) {
    if (f.one({"HEXISTS", "sync:accounts", host(number)}) == "0") ++lacking;
  }
  EXPECT_EQ(lacking, 0U);
  // A late account makes room for itself, too.
  end();
  const auto before = std::stoi(f.one({"HLEN", "sync:last_accounts"}));
  EXPECT_EQ(give("10.0.0.6", longest()), Texts{"VIEW"});
  EXPECT_EQ(f.one({"HEXISTS", "sync:last_accounts", "10.0.0.6"}), "1");
  EXPECT_LE(std::stoi(f.one({"HLEN", "sync:last_accounts"})), before);
}

TEST_F(ManyAccounts, OfTenThousandOrdinaryHostsAreAllKept) {
  constexpr unsigned kHosts = 10'000;
  f.now += 100'000;
  Given given{"90000", "80000", "5000", "4000", "1747000000", "417", "0", "1", "118000000"};
  given.shares = "10.0.0.1=217,10.0.131.12=100,10.0.13.7=100";
  given.reason.clear();
  for (unsigned i = 0; i < kHosts; ++i) {
    finish("10.0." + std::to_string(100 + i / 100) + "." + std::to_string(100 + i % 100), i, given);
  }
  EXPECT_EQ(f.one({"HLEN", "sync:accounts"}), std::to_string(kHosts));
  EXPECT_LE(all_bytes(), kBytesOfAll);
}

TEST_F(ManyAccounts, OfHostsThatOnlyJoinAreFew) {
  for (unsigned i = 0; i < 7000; ++i) f("join", {host(i), "0", "0", "0"});
  EXPECT_EQ(f.one({"HLEN", "sync:accounts"}), "6000");
  EXPECT_LE(bytes_of("sync:accounts"), 1'000'000);
}

}  // namespace
}  // namespace libsync::test
