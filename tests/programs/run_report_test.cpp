// The report of a run as text and as JSON, and how an operator names the run.

#include "programs/run_report.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "account_values.h"
#include "programs/usage_error.h"

namespace libsync {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

// An element, the end of a line, a byte that is no UTF-8, a quote, an escape of a terminal.
const std::string kHostile = "<script>\n\xff\"\x1b[31m";
const std::string kEscaped = "<script>\\n\\xff\"\\x1b[31m";

std::size_t lines_in(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

std::string message_of(const std::vector<RunFile>& files, const std::optional<std::string>& run) {
  try {
    return "found " + chosen_run(files, run).run.text();
  } catch (const UsageError& error) {
    return error.what();
  }
}

class RunReport : public testing::Test {
 protected:
  RunReport() {
    setenv("TZ", "UTC", 1);
    tzset();
  }
};

TEST_F(RunReport, ShowsARunOnOneScreen) {
  const auto text = run_report_text(test::complete_run(8));
  EXPECT_THAT(text,
              StartsWith("run      3f2a9c01aaaaaaaaaaaaaaaaaaaaaaaa, begun 30-Nov-25 07:50:06\n"
                         "path     /data1/model.7\n"
                         "outcome  complete: 8 of 8 hosts in 32.1 s\n"
                         "payload  1.6 GB, 400 pieces of 4 MB, by claims from 10.0.1.1\n"
                         "bound    9.0 s for 8 hosts at 180 MB/s, the fastest link; all had it "
                         "after 32.0 s, 3.57 times that\n"
                         "slowest  10.0.1.3, after 32.0 s: slow link: 12 MB/s of 180 MB/s\n"
                         "wire     12.88 GB in 3200 pieces; 13 pulls failed, 7 were duplicates\n"
                         "pulls    10.0.1.3: rsync from 10.0.1.4 failed: timeout\n"
                         "\n"
                         "slowest hosts "));
  EXPECT_THAT(text, HasSubstr("\n10.0.1.3 "));
  EXPECT_THAT(text, HasSubstr(" 31.0 s     32.0 s  10.0.1.4 52 %        slow link\n"));
  EXPECT_EQ(lines_in(text), 18U);
}

TEST_F(RunReport, ShowsTheTenSlowestOfManyHosts) {
  auto account = test::complete_run(1000);
  account.left_out = 200;
  const auto text = run_report_text(account);
  EXPECT_THAT(text, HasSubstr("\n990 other hosts: "));
  EXPECT_THAT(text, HasSubstr("\n200 hosts, the fastest ones, are left out of the account\n"));
  EXPECT_EQ(lines_in(text), 22U);
}

TEST_F(RunReport, FoldsTheReasonsOfARunThatEndedShort) {
  const auto text = run_report_text(test::short_run(20, 14, "no space left"));
  EXPECT_THAT(text, HasSubstr("outcome  deadline: 14 of 20 hosts in 32.1 s\n"));
  EXPECT_THAT(text,
              HasSubstr("bound    9.0 s for 20 hosts at 180 MB/s, the fastest link; not every "
                        "host had it\n"));
  EXPECT_THAT(
      text,
      HasSubstr("slowest  10.0.1.15, one of 6 that did not finish: it has 120 of 400 pieces\n"));
  EXPECT_THAT(text, HasSubstr("failed   10.0.1.[17,20]: no space left\n"));
  EXPECT_THAT(text, HasSubstr("missing  10.0.1.[15,18]: gave no reason\n"));
  EXPECT_THAT(text, HasSubstr("missing  10.0.1.[16,19]: never came\n"));
  EXPECT_THAT(text,
              HasSubstr("\n10.0.1.16               -           -          -          -  -      "
                        "              never came\n"));
}

TEST_F(RunReport, StaysOneScreenIfEveryHostHasAReasonOfItsOwn) {
  auto account = test::complete_run(300);
  account.outcome = "cancelled";
  for (std::size_t n = 0; n < 300; ++n) {
    auto& host = account.hosts[n];
    host.published.reset();
    host.error = "failure " + std::to_string(n);
    host.reason = "pull " + std::to_string(n);
  }
  account.hosts[7].error = account.hosts[8].error;
  const auto text = run_report_text(account);
  EXPECT_LE(lines_in(text), 40U);
  EXPECT_THAT(text, HasSubstr("wire "));
  EXPECT_THAT(text, HasSubstr("\nfailed   10.0.1.[8-9]: failure 8\n"));
  EXPECT_THAT(text,
              HasSubstr("\nfailed   291 more hosts, for 291 more reasons: --json has them\n"));
}

std::vector<std::string> first_of(const RunAccount& account, std::size_t most, std::size_t count) {
  std::vector<std::string> names;
  for (const auto* const host : notable_first(account, most)) {
    if (names.size() < count) names.push_back(host->address.text());
  }
  return names;
}

TEST_F(RunReport, NamesHostsThatDidNotFinishAndSlowOnes) {
  const auto account = test::short_run(20, 14, "no space left");
  EXPECT_THAT(first_of(account, 4, 6), ElementsAre("10.0.1.15", "10.0.1.16", "10.0.1.3",
                                                   "10.0.1.14", "10.0.1.17", "10.0.1.18"));
  EXPECT_THAT(first_of(account, 16, 8),
              ElementsAre("10.0.1.15", "10.0.1.16", "10.0.1.17", "10.0.1.18", "10.0.1.19",
                          "10.0.1.20", "10.0.1.3", "10.0.1.14"));
  EXPECT_THAT(first_of(account, 50, 50), SizeIs(20));
  EXPECT_THAT(first_of(test::short_run(8, 1, "no space left"), 4, 4),
              ElementsAre("10.0.1.2", "10.0.1.3", "10.0.1.4", "10.0.1.1"));
  EXPECT_THAT(first_of(test::complete_run(0), 4, 4), IsEmpty());
}

TEST_F(RunReport, SaysWhatItDoesNotKnow) {
  auto account = test::complete_run(2);
  for (auto& host : account.hosts) {
    host = {
        .address = host.address, .is_expected = true, .has_come = true, .published = Duration(5)};
  }
  account.accounts = 0;
  account.origin.reset();
  auto text = run_report_text(account);
  EXPECT_THAT(text, HasSubstr("bound    not known: no host pulled enough to measure its link\n"));
  EXPECT_THAT(text, HasSubstr("; 2 of 2 hosts gave no account\n"));
  EXPECT_THAT(text, HasSubstr(", by claims\n"));
  account.hosts.clear();
  text = run_report_text(account);
  EXPECT_THAT(text, Not(HasSubstr("slowest")));
  EXPECT_EQ(nlohmann::json::parse(run_report_json(account))["slowest"], nullptr);
}

TEST_F(RunReport, EscapesAllTextFromOutside) {
  auto account = test::short_run(6, 3, kHostile);
  account.path = kHostile;
  account.outcome = kHostile;
  account.reason = kHostile;
  for (auto& host : account.hosts) host.reason = kHostile + "2";
  const auto text = run_report_text(account);
  EXPECT_THAT(text, HasSubstr("path     " + kEscaped + "\n"));
  EXPECT_THAT(text, HasSubstr("outcome  " + kEscaped + ": 3 of 6 hosts in 32.1 s: " + kEscaped));
  EXPECT_THAT(text, HasSubstr(": " + kEscaped + "\n"));
  EXPECT_THAT(text, HasSubstr("pulls    10.0.1.[1-6]: " + kEscaped + "2\n"));
  EXPECT_TRUE(std::all_of(text.begin(), text.end(),
                          [](char byte) { return byte == '\n' || (byte >= ' ' && byte < 0x7f); }));
  const auto line = run_report_json(account);
  EXPECT_EQ(lines_in(line), 1U);
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["run"]["path"], kEscaped);
  EXPECT_EQ(json["run"]["outcome"], kEscaped);
  EXPECT_EQ(json["run"]["reason"], kEscaped);
  EXPECT_EQ(json["hosts"][4]["error"], kEscaped);
  EXPECT_EQ(json["hosts"][4]["pull_error"], kEscaped + "2");
  EXPECT_EQ(json["hosts"][4]["why"], "failed: " + kEscaped);
}

TEST_F(RunReport, GivesProgramsAllThatIsKnown) {
  const auto json = nlohmann::json::parse(run_report_json(test::complete_run(1000)));
  EXPECT_EQ(json["version"], 1);
  EXPECT_EQ(json["run"]["id"], "3f2a9c01aaaaaaaaaaaaaaaaaaaaaaaa");
  EXPECT_EQ(json["run"]["begun_unix_seconds"], 1'764'489'006.25);
  EXPECT_EQ(json["run"]["seconds"], 32.15);
  EXPECT_EQ(json["run"]["origin"], "10.0.1.1");
  EXPECT_EQ(json["run"]["trees"], true);
  EXPECT_EQ(json["run"]["pieces"], 400);
  EXPECT_EQ(json["bound"]["hosts"], 1000);
  EXPECT_EQ(json["bound"]["reached_seconds"], 32.0);
  EXPECT_NEAR(json["bound"]["factor"], 32.0 / 9.089, 0.01);
  EXPECT_EQ(json["slowest"]["address"], "10.0.1.3");
  EXPECT_EQ(json["slowest"]["delay"], "slow_link");
  EXPECT_EQ(json["totals"]["pulls_failed"], 2000);
  ASSERT_THAT(json["hosts"], SizeIs(1000));
  const auto& host = json["hosts"][2];
  EXPECT_EQ(host["published_seconds"], 32.0);
  EXPECT_EQ(host["all_bytes_seconds"], 31.0);
  EXPECT_EQ(host["in_place_seconds"], 31.4);
  EXPECT_EQ(host["bytes_per_second"], 12'000'000);
  EXPECT_EQ(host["wire_bytes"], 1'610'000'000);
  EXPECT_EQ(host["sources"][1], (nlohmann::json{{"address", "10.0.1.5"}, {"pieces", 192}}));
  EXPECT_FALSE(host.contains("error"));
}

TEST_F(RunReport, NeverShowsMoreThanAWholeShare) {
  auto account = test::complete_run(3);
  account.hosts[2].shares = {{test::nth_host(8), kMaxPieces}};
  EXPECT_THAT(run_report_text(account), HasSubstr("10.0.1.9 100 %"));
  account.hosts[2].shares = {{test::nth_host(8), 0}};
  account.hosts[2].pulls.pieces = 0;
  EXPECT_THAT(run_report_text(account), HasSubstr("10.0.1.9  "));
}

TEST_F(RunReport, ShowsAMomentOfEachClock) {
  EXPECT_EQ(shown_moment(0), "01-Jan-70 00:00:00");
  EXPECT_EQ(shown_moment(test::kBegunMs), "30-Nov-25 07:50:06");
  EXPECT_EQ(shown_moment(UINT64_MAX), "at no time of a calendar");
}

TEST_F(RunReport, FindsTheRunThatTheOperatorNames) {
  const auto id = [](const std::string& start) {
    return RunId::parse(start + std::string(32 - start.size(), '0')).value();
  };
  const std::vector<RunFile> files = {
      {test::kBegunMs, id("ab12")}, {7000, id("ab34")}, {5, id("c")}};
  EXPECT_EQ(chosen_run(files, std::nullopt), files[0]) << "the latest one";
  EXPECT_EQ(chosen_run(files, "ab3"), files[1]);
  EXPECT_EQ(chosen_run(files, id("c").text()), files[2]);
  EXPECT_EQ(message_of(files, "ab"),
            "several runs have ids that begin with 'ab': ab1200000000 (30-Nov-25 07:50:06), "
            "ab3400000000 (01-Jan-70 00:00:07)");
  EXPECT_THAT(message_of(files, "d\n"),
              StartsWith("no run here has an id that begins with 'd\\n': "
                         "there are ab1200000000 (30-Nov-25 07:50:06), "));
  EXPECT_THAT(message_of(files, "d\n"), EndsWith(", c00000000000 (01-Jan-70 00:00:00)"));
  EXPECT_EQ(message_of(files, ""), "RUN is empty: leave it out for the latest run");
  EXPECT_THAT(message_of({}, std::nullopt), HasSubstr("no run has ended here: "));
}

}  // namespace
}  // namespace libsync
