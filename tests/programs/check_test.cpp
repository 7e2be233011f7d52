// The judgements of `check`: the mark, the cause and the way out for each fact.

#include "programs/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace libsync::test {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;
using namespace std::chrono_literals;

const Failure kOutage(ExitStatus::redis, Remedy::try_again, "Redis is out of reach: start it");
const Failure kRefusal(ExitStatus::redis, Remedy::operator_acts, "Redis refuses: correct it");

// The one line of this name.
std::string line_of_name(const Checks& checks, const std::string& name) {
  std::string lines;
  for (const auto& check : checks) {
    if (check.name == name) lines += line_of(check);
  }
  return lines;
}

ServerFacts healthy_server() {
  ServerFacts facts;
  facts.rights = RightsAnswer{.digest = "abc", .version = "7.0.15", .missing = {}};
  facts.eviction = Eviction{.policy = "noeviction", .memory_limit = 0};
  return facts;
}

const RedisFrame kRedis{.server = "redis://minion@10.0.0.1:6379/0",
                        .user = "minion",
                        .prefix = "",
                        .role = Role::minion,
                        .digest = "abc"};

RepoFacts healthy_repo() {
  RepoFacts facts;
  facts.path = "/data1/repo";
  facts.mode = 0755;
  facts.group = 117;
  facts.group_name = "sync-fanout";
  facts.is_one_file_system = true;
  facts.can_exchange = true;
  facts.can_share_blocks = true;
  facts.can_write = true;
  facts.free_bytes = 50'000'000'000;
  return facts;
}

const FeedFrame kFeed{.address = "10.0.0.2", .port = 873, .module = "repo", .has_user = true};

TEST(CheckLine, HasMarkNameCauseAndWayOut) {
  EXPECT_EQ(line_of(passed("redis", "fine")), "ok    redis      fine\n");
  EXPECT_EQ(line_of(warned("cron", "none", "install one")), "warn  cron       none: install one\n");
  EXPECT_EQ(line_of(failed("rsyncd", "off", "start it", ExitStatus::no_source)),
            "FAIL  rsyncd     off: start it\n");
  EXPECT_EQ(line_of(failed("redis", kOutage)),
            "FAIL  redis      Redis is out of reach: start it\n");
  EXPECT_EQ(wrong_configuration("x").status, ExitStatus::usage);
}

TEST(CheckStatus, IsThatOfTheFirstFailure) {
  EXPECT_EQ(exit_status_of({}), ExitStatus::done);
  EXPECT_EQ(exit_status_of({passed("a", ""), warned("b", "")}), ExitStatus::done);
  EXPECT_EQ(exit_status_of({warned("a", ""), failed("b", "", "", ExitStatus::local),
                            failed("c", "", "", ExitStatus::no_source)}),
            ExitStatus::local);
}

TEST(CheckRedis, AllIsWell) {
  const auto checks = judge_redis(healthy_server(), kRedis);
  EXPECT_THAT(checks, SizeIs(5));
  for (const auto& check : checks) EXPECT_EQ(check.mark, Mark::ok) << line_of(check);
  EXPECT_THAT(line_of_name(checks, "redis"), HasSubstr("version 7.0.15"));
}

TEST(CheckRedis, TellsReachFromLogin) {
  ServerFacts facts;
  facts.connect_fault = kOutage;
  auto checks = judge_redis(facts, kRedis);
  ASSERT_THAT(checks, SizeIs(1));
  EXPECT_THAT(line_of(checks[0]), StartsWith("FAIL  redis "));
  EXPECT_EQ(exit_status_of(checks), ExitStatus::redis);
  facts.connect_fault = kRefusal;
  checks = judge_redis(facts, kRedis);
  ASSERT_THAT(checks, SizeIs(2));
  EXPECT_THAT(line_of(checks[0]), StartsWith("ok    redis "));
  EXPECT_THAT(line_of(checks[1]), StartsWith("FAIL  login "));
}

TEST(CheckRedis, JudgesEachFact) {
  const struct {
    std::function<void(ServerFacts&)> change;
    std::string name;
    std::string begin;
    std::string part;
    ExitStatus status;
  } rows[] = {
      {[](auto& facts) {
         facts.rights->missing = {"+sscan", "~sync:have"};
       },
       "rights", "FAIL",
       "user 'minion' lacks +sscan ~sync:have: give the users the rules of this version",
       ExitStatus::redis},
      {[](auto& facts) { facts.rights->missing.assign(45, "+x"); }, "rights", "FAIL",
       "+x and 5 more: ", ExitStatus::redis},
      {[](auto& facts) { facts.rights->digest = "old"; }, "functions", "warn",
       "another version: let a tick of the sync-master of this version run", ExitStatus::done},
      {[](auto& facts) { facts.rights.reset(); }, "functions", "warn", "none of this version",
       ExitStatus::done},
      {[](auto& facts) { facts.rights.reset(); }, "rights", "warn", "not asked: see functions",
       ExitStatus::done},
      {[](auto& facts) {
         facts.rights.reset();
         facts.rights_fault = kRefusal;
       },
       "rights", "FAIL", "Redis refuses: correct it", ExitStatus::redis},
      {[](auto& facts) {
         facts.eviction = Eviction{"allkeys-lru", 1'000'000'000};
       },
       "eviction", "FAIL", "noeviction", ExitStatus::redis},
      {[](auto& facts) {
         facts.eviction = Eviction{"volatile-lru", 1'000'000'000};
       },
       "eviction", "warn", "noeviction", ExitStatus::done},
      {[](auto& facts) {
         facts.eviction = Eviction{"allkeys-lru", 0};
       },
       "eviction", "warn", "under a maxmemory", ExitStatus::done},
      {[](auto& facts) {
         facts.eviction.reset();
         facts.eviction_fault = kRefusal;
       },
       "eviction", "warn", "Redis refuses: correct it", ExitStatus::done},
  };
  for (const auto& row : rows) {
    auto facts = healthy_server();
    row.change(facts);
    const auto checks = judge_redis(facts, kRedis);
    EXPECT_THAT(line_of_name(checks, row.name), AllOf(StartsWith(row.begin), HasSubstr(row.part)));
    EXPECT_EQ(exit_status_of(checks), row.status) << row.part;
  }
}

TEST(CheckRedis, EscapesNamesAndSaysThatRulesNeedThePrefix) {
  auto facts = healthy_server();
  facts.rights->missing = {"+x"};
  auto frame = kRedis;
  frame.user = "a\n\x1b[31m<script>\xff";
  frame.prefix = "P:";
  const auto checks = judge_redis(facts, frame);
  EXPECT_THAT(line_of_name(checks, "rights"), HasSubstr("--prefix is put in front of each key"));
  for (const auto& check : checks) {
    const auto line = line_of(check);
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    EXPECT_THAT(line, Not(HasSubstr("\x1b")));
    EXPECT_THAT(line, Not(HasSubstr("\xff")));
  }
  frame.user.clear();
  EXPECT_THAT(line_of_name(judge_redis(facts, frame), "login"), HasSubstr("the default user"));
}

TEST(CheckRepo, JudgesEachFact) {
  const struct {
    std::function<void(RepoFacts&)> change;
    std::string name;
    std::string begin;
    std::string part;
    ExitStatus status;
  } rows[] = {
      {[](auto&) {}, "space", "ok", "50 GB free", ExitStatus::done},
      {[](auto& facts) { facts.weakness = "'/data1/repo' is open: chmod it"; }, "owner", "FAIL",
       "chmod it", ExitStatus::local},
      {[](auto& facts) { facts.group = 0; }, "group", "warn", "root's group", ExitStatus::done},
      {[](auto& facts) { facts.group = 65534; }, "group", "warn", "by chgrp", ExitStatus::done},
      {[](auto& facts) {
         facts.group_members = {"ann", "bob"};
       },
       "group", "warn", "ann, bob", ExitStatus::done},
      {[](auto& facts) { facts.group_members = {"sync-fanout"}; }, "group", "ok", "sync-fanout",
       ExitStatus::done},
      {[](auto& facts) { facts.is_one_file_system = false; }, "exchange", "FAIL", "mount point",
       ExitStatus::local},
      {[](auto& facts) { facts.can_exchange = false; }, "exchange", "FAIL", "RENAME_EXCHANGE",
       ExitStatus::local},
      {[](auto& facts) { facts.can_share_blocks = false; }, "blocks", "ok", "twice",
       ExitStatus::done},
      {[](auto& facts) { facts.can_write = false; }, "space", "FAIL", "free space",
       ExitStatus::local},
      {[](auto& facts) { facts.free_bytes = 900'000'000; }, "space", "warn", "900 MB free",
       ExitStatus::done},
      {[](auto& facts) { facts.free_bytes = 9'000'000'000; }, "space", "warn", "needs 10 GB",
       ExitStatus::done},
  };
  for (const auto& row : rows) {
    auto facts = healthy_repo();
    row.change(facts);
    const auto checks = judge_repo(facts, {.role = Role::minion, .run_bytes = 10'000'000'000});
    EXPECT_THAT(line_of_name(checks, row.name), AllOf(StartsWith(row.begin), HasSubstr(row.part)));
    EXPECT_EQ(exit_status_of(checks), row.status) << row.part;
  }
}

TEST(CheckRepo, AMinionThatSharesNoBlocksNeedsTheSpaceTwice) {
  auto facts = healthy_repo();
  facts.can_share_blocks = false;
  facts.free_bytes = 15'000'000'000;
  const auto space = [&](Role role) {
    return line_of_name(judge_repo(facts, {.role = role, .run_bytes = 10'000'000'000}), "space");
  };
  EXPECT_THAT(space(Role::minion), StartsWith("warn"));
  EXPECT_THAT(space(Role::master), StartsWith("ok"));
  EXPECT_EQ(line_of_name(judge_repo(facts, {.role = Role::master, .run_bytes = 0}), "exchange"), "")
      << "a master publishes nothing";
}

TEST(CheckFeed, JudgesEachFact) {
  auto checks = judge_feed({}, kFeed);
  ASSERT_THAT(checks, SizeIs(2));
  EXPECT_EQ(exit_status_of(checks), ExitStatus::done);
  EXPECT_THAT(line_of(checks[0]), StartsWith("ok    rsyncd     10.0.0.2 port 873"));
  EXPECT_THAT(line_of(checks[1]), StartsWith("ok    serves "));
  FeedFacts facts;
  facts.asks_no_password = facts.is_writable = facts.reads_private_files = true;
  checks = judge_feed(facts, kFeed);
  EXPECT_THAT(line_of_name(checks, "serves"),
              AllOf(HasSubstr("auth users"), HasSubstr("read only = yes"), HasSubstr("'uid'"),
                    Not(HasSubstr("ok "))));
  EXPECT_EQ(exit_status_of(checks), ExitStatus::done);
  facts.fault = "off: start it";
  checks = judge_feed(facts, kFeed);
  ASSERT_THAT(checks, SizeIs(1));
  EXPECT_EQ(line_of(checks[0]), "FAIL  rsyncd     off: start it\n");
  EXPECT_EQ(exit_status_of(checks), ExitStatus::no_source);
}

TEST(CheckFeed, JudgesTcpNoDelay) {
  EXPECT_EQ(judge_no_delay(std::nullopt).mark, Mark::warn);
  EXPECT_EQ(judge_no_delay(DaemonConfig{"/etc/rsyncd.conf", true}).mark, Mark::ok);
  const auto line = line_of(judge_no_delay(DaemonConfig{"/etc/x\n.conf", false}));
  EXPECT_THAT(line, AllOf(StartsWith("warn"), HasSubstr("add 'socket options = TCP_NODELAY'")));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

TEST(CheckFeed, JudgesTheLimitOfConnections) {
  EXPECT_EQ(judge_connections(std::nullopt).mark, Mark::warn);
  EXPECT_EQ(judge_connections(DaemonConfig{"/a", true, std::nullopt}).mark, Mark::ok);
  EXPECT_EQ(judge_connections(DaemonConfig{"/a", true, 20}).mark, Mark::ok);
  EXPECT_EQ(line_of(judge_connections(DaemonConfig{"/a", true, 19})),
            "warn  limit      /a allows 19 connections, and the pulls beyond them wait: set 'max "
            "connections = 20' or more\n");
}

TEST(CheckCron, IsThereOrMayBeWhereThisUserMayNotRead) {
  EXPECT_EQ(line_of(judge_cron({{"/etc/cron.d/a", "/etc/crontab"}, {}}, "sync-minion")),
            "ok    cron       /etc/cron.d/a, /etc/crontab\n");
  EXPECT_THAT(line_of(judge_cron({}, "sync-master")),
              AllOf(StartsWith("warn"), EndsWith("install /etc/cron.d/sync-fanout-master\n")));
  EXPECT_THAT(line_of(judge_cron({{}, {"/var/spool/cron"}}, "sync-minion")),
              HasSubstr("which /var/spool/cron is not"));
}

TEST(CheckTick, JudgesTheAgeOfTheLastOne) {
  EXPECT_EQ(judge_tick({}).mark, Mark::warn);
  EXPECT_EQ(judge_tick({.begun_ago = 90s, .is_running = false}).mark, Mark::ok);
  EXPECT_EQ(judge_tick({.begun_ago = 601s, .is_running = false}).mark, Mark::warn);
  EXPECT_THAT(line_of(judge_tick({.begun_ago = 9h, .is_running = false})), HasSubstr("9 h ago"));
  EXPECT_EQ(judge_tick({.begun_ago = 9h, .is_running = true}).mark, Mark::ok)
      << "a large payload takes hours";
}

TEST(CheckHosts, FoldsHostsWithTheSameFault) {
  HostProbes probes;
  EXPECT_THAT(line_of_name(judge_hosts(probes), "hosts"), StartsWith("warn  hosts      Redis has"));
  probes.served = 5;
  EXPECT_EQ(line_of_name(judge_hosts(probes), "hosts"), "ok    hosts      5 of 5 daemons serve\n");
  for (const auto* const host : {"10.0.0.7", "10.0.0.8", "10.0.0.9"}) {
    probes.faults.push_back({Address::parse(host).value(),
                             "rsync with " + std::string(host) + ": Connection refused: start it"});
  }
  probes.faults.push_back({Address::parse("fd00::1").value(),
                           "rsync with fd00::1 has not answered within 3 s: check the host"});
  probes.not_tried = 12;
  const auto checks = judge_hosts(probes);
  EXPECT_EQ(
      line_of_name(checks, "hosts"),
      "FAIL  hosts      10.0.0.[7-9]: Connection refused: start it\n"
      "FAIL  hosts      fd00::1: rsync has not answered within 3 s: check the host\n"
      "ok    hosts      5 of 9 daemons serve\n"
      "warn  hosts      12 not tried: the time of a minute is over: correct the others first\n");
  EXPECT_EQ(exit_status_of(checks), ExitStatus::no_source);
}

}  // namespace
}  // namespace libsync::test
