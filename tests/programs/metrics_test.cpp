// `sync-master status --prometheus`: judged by promtool, and compared with the manual page.

#include <gmock/gmock.h>

#include <chrono>
#include <filesystem>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "programs/report.h"
#include "status_values.h"
#include "task_path.h"
#include "temporary_folder.h"
#include "test_process.h"

namespace libsync {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// Text that ends a label, a line or an element if nothing escapes it; the last byte is no UTF-8.
const std::string kHostile = "a\"} 1\n<script>\\\xff";

Status running() {
  Status status;
  status.task = "/data1/model.7";
  status.run = test::staged_run(10s, 10, 3);
  status.hosts = {test::joined_host("10.0.0.2"), test::joined_host("10.0.0.3")};
  status.hosts[0].in_place = 10;
  status.hosts[0].finished_after = 8s;
  status.hosts[0].hook_fault = kHostile;
  status.hosts[1].in_place = 5;
  status.hosts[1].is_running = true;
  status.hosts[1].feed_fault = kHostile;
  status.silent = {"10.0.0.4"};
  return status;
}

LastStatus last() {
  LastStatus last{"/data1/model.6", "quorum", "", 9, 10, {}, 2'500'000'000, 12'340ms, 90s};
  last.hosts.push_back({.address = "10.0.0.2", .has_finished = true, .hook_fault = "x"});
  return last;
}

// Fails unless promtool finds neither an error nor bad style.
void expect_right(const std::string& metrics) {
  const auto ran = test::run({"promtool", "check", "metrics"}, metrics);
  EXPECT_EQ(ran.status, 0) << metrics;
  EXPECT_THAT(ran.output + ran.errors, IsEmpty()) << metrics;
}

TEST(Metrics, ShowTheFleetWithoutARun) {
  const auto metrics = report_metrics({});
  expect_right(metrics);
  EXPECT_THAT(metrics, HasSubstr("# HELP sync_fanout_run_active 1 if a run is in progress\n"
                                 "# TYPE sync_fanout_run_active gauge\n"
                                 "sync_fanout_run_active 0\n"));
  EXPECT_THAT(metrics, HasSubstr("\nsync_fanout_run_stuck_seconds 0\n"));
  EXPECT_THAT(metrics, Not(HasSubstr("last_run")));
}

TEST(Metrics, ShowARunAndTheLastOne) {
  auto status = running();
  status.last = last();
  const auto metrics = report_metrics(status);
  expect_right(metrics);
  const std::vector<std::string> lines = {
      "fleet_hosts{state=\"seen\"} 2",
      "fleet_hosts{state=\"silent\"} 1",
      "no_feed_hosts 1",
      "hook_failed_hosts 1",
      "task_set 1",
      "run_active 1",
      "run_stuck_seconds 0",
      "run_info{run=\"" + std::string(32, 'a') + "\",path=\"/data1/model.7\"} 1",
      "run_age_seconds 10",
      "run_payload_bytes 1000",
      "run_expected_hosts 3",
      "run_hosts{group=\"finished\"} 1",
      "run_hosts{group=\"never came\"} 1",
      "run_hosts{group=\"pulling\"} 1",
      "run_done_ratio 0.5",
      "run_placed_bytes 1500",
      "run_other_version 0",
      "last_run_info{path=\"/data1/model.6\",outcome=\"quorum\"} 1",
      "last_run_complete 0",
      "last_run_end_age_seconds 90",
      "last_run_expected_hosts 10",
      "last_run_finished_hosts 9",
      "last_run_payload_bytes 2500000000",
      "last_run_duration_seconds 12.34",
      "last_run_hook_failed_hosts 1"};
  for (const auto& line : lines) {
    EXPECT_THAT(metrics, HasSubstr("\nsync_fanout_" + line + "\n"));
  }
  status.run->moves.moved_ago = 40s;
  EXPECT_THAT(report_metrics(status), HasSubstr("\nsync_fanout_run_stuck_seconds 40\n"));
  status.last->outcome = "complete";
  EXPECT_THAT(report_metrics(status), HasSubstr("\nsync_fanout_last_run_complete 1\n"));
}

TEST(Metrics, ShowARefusalWithoutTheNumbersOfARun) {
  Status status;
  status.last = LastStatus{"relative", "refused", "no absolute path"};
  const auto metrics = report_metrics(status);
  expect_right(metrics);
  EXPECT_THAT(metrics, HasSubstr("\nsync_fanout_last_run_complete 0\n"));
  EXPECT_THAT(metrics, Not(HasSubstr("last_run_expected_hosts")));
}

TEST(Metrics, EscapeTextFromOutside) {
  auto status = running();
  status.task = kHostile;
  status.run->run.task = test::task_path("/a\"} 1 <script>\\\xff");
  status.last = last();
  status.last->path = kHostile;
  status.last->outcome = kHostile;
  const auto metrics = report_metrics(status);
  expect_right(metrics);
  EXPECT_THAT(metrics, HasSubstr(R"(path="/a\"} 1 <script>\\\\\\xff"} 1)"));
  EXPECT_THAT(metrics, HasSubstr(R"(outcome="a\"} 1\\n<script>\\\\\\xff"} 1)"));
}

std::set<std::string> matches(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern, std::regex::ECMAScript | std::regex::multiline);
  std::set<std::string> all;
  for (std::sregex_iterator at(text.begin(), text.end(), regex), end; at != end; ++at) {
    all.insert((*at)[1]);
  }
  return all;
}

std::string section_of_the_page() {
  const auto page =
      test::content_of(std::filesystem::path(SOURCE_FOLDER) / "src/programs/sync-master.8");
  const auto begin = page.find("\n.Sh METRICS\n");
  EXPECT_NE(begin, std::string::npos);
  return page.substr(begin + 1, page.find("\n.Sh ", begin + 1) - begin);
}

TEST(Metrics, AreThoseOfTheManualPage) {
  auto status = running();
  status.last = last();
  const auto section = section_of_the_page();
  std::set<std::string> documented;
  for (const auto& item : matches(section, "^\\.It Ic (.*)$")) {
    documented.merge(matches(item, "([a-z_]+)(?:\\{[a-z,]+\\})?(?: ,|$)"));
  }
  EXPECT_EQ(documented, matches(report_metrics(status), "^# TYPE sync_fanout_([a-z_]+) "));
}

TEST(Metrics, TheAlertsOfTheManualPageAreRightAndNameMetrics) {
  const auto section = section_of_the_page();
  const auto begin = section.find("groups:\n");
  ASSERT_NE(begin, std::string::npos);
  const auto rules = section.substr(begin, section.find(".Ed", begin) - begin);
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "rules.yml";
  test::write_file(file, rules);
  const auto ran = test::run({"promtool", "check", "rules", file.string()});
  EXPECT_EQ(ran.status, 0) << ran.output << ran.errors;
  EXPECT_THAT(ran.output, HasSubstr("3 rules found"));
  auto status = running();
  status.last = last();
  const auto all = matches(report_metrics(status), "^# TYPE (sync_fanout_[a-z_]+) ");
  const auto named = matches(rules, "(sync_fanout_[a-z_]+)[ {]");
  EXPECT_THAT(named, SizeIs(3));
  for (const auto& name : named) EXPECT_TRUE(all.contains(name)) << name;
}

}  // namespace
}  // namespace libsync
