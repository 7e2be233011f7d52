#include "programs/report.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "status_values.h"
#include "task_path.h"

namespace libsync {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

// An escape sequence of a terminal, the end of a line, a byte that is no UTF-8, a backslash.
const std::string kHostile = "a\x1b[31m\n\xff\\";
const std::string kEscaped = "a\\x1b[31m\\n\\xff\\\\";

HostStatus host(std::string address, PieceNumber in_place, std::size_t claims = 0,
                std::string error = "") {
  auto status = test::joined_host(std::move(address));
  status.in_place = in_place;
  status.claims = claims;
  status.error = std::move(error);
  status.is_running = claims > 0;
  return status;
}

// Ten pieces of 100 bytes for four hosts, ten seconds after the beginning.
Status running() {
  Status status;
  status.task = "/data1/model.7";
  status.run = test::staged_run(10s, 9, 4);
  status.run->moves.placed_lately = 5;
  status.hosts = {host("10.0.0.2", 0), host("10.0.0.3", 5, 2), host("10.0.0.4", 10),
                  host("10.0.0.5", 0, 0, "no space left")};
  status.hosts[2].finished_after = 8s;
  status.hosts[1].uploads = 1;
  status.hosts[1].seen_ago = 1500ms;
  return status;
}

LastStatus last() {
  return {"/data1/model.6", "quorum", "", 9, 10, {}, 2'500'000'000, 12'340ms, 90s};
}

ReportFrame frame_of(const std::optional<Address>& host) {
  return {.server = "redis://10.0.0.9:6379/10",
          .prefix = "",
          .rules = {.quorum_percent = {}, .deadline = {}, .grace = 15min},
          .host = host};
}

std::string text_of(const Status& status, const std::optional<Address>& host = {}) {
  return report_text(status, frame_of(host));
}

nlohmann::json json_of(const Status& status, const std::optional<Address>& of = {}) {
  const auto text = report_json(status, frame_of(of));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_EQ(text.back(), '\n');
  return nlohmann::json::parse(text);
}

TEST(StateOf, NamesTheStateOfAHost) {
  EXPECT_EQ(state_of(host("h", 0)), HostState::waiting);
  EXPECT_EQ(state_of(host("h", 0, 1)), HostState::pulling);
  EXPECT_EQ(state_of(host("h", 0, 0, "e")), HostState::failed);
  EXPECT_EQ(state_of(host("h", 0, 1, "e")), HostState::pulling);
  auto along_trees = host("h", 3, 0, "it has accused a parent");
  along_trees.is_running = true;
  EXPECT_EQ(state_of(along_trees), HostState::pulling);
  auto done = host("h", 0, 1, "e");
  done.finished_after = 0ms;
  EXPECT_EQ(state_of(done), HostState::finished);
}

TEST(ReportText, ShowsWhichRedisAndThatThereIsNoTask) {
  EXPECT_EQ(text_of({}),
            "redis    redis://10.0.0.9:6379/10\n"
            "fleet    0 hosts seen in ten minutes\n"
            "task     none\n");
  auto frame = frame_of({});
  frame.prefix = "x:";
  EXPECT_THAT(report_text({}, frame),
              HasSubstr("redis    redis://10.0.0.9:6379/10, prefix 'x:'\n"));
}

TEST(ReportText, ShowsTheFleet) {
  Status status;
  status.hosts = {host("10.0.0.2", 0), host("10.0.0.3", 0)};
  status.hosts[1].seen_ago.reset();
  status.silent = {"10.0.0.10", "10.0.0.9", "10.0.0.11"};
  EXPECT_THAT(text_of(status),
              HasSubstr("fleet    1 hosts seen in ten minutes; 3 silent: 10.0.0.[9-11]\n"));
}

TEST(ReportText, ShowsTheRunInProgress) {
  EXPECT_EQ(
      text_of(running()),
      "redis    redis://10.0.0.9:6379/10\n"
      "fleet    4 hosts seen in ten minutes\n"
      "task     /data1/model.7\n"
      "run      aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa of /data1/model.7, staged for 10.0 s\n"
      "payload  1 kB, 10 pieces of 100 B, 9 announced\n"
      "hosts    4 expected: 1 finished, 1 failed, 0 never came, 0 silent, 1 pulling, 1 waiting\n"
      "sources  2 free\n"
      "done     37.5 %, 50 B/s in all now, expected end in 50 s\n"
      "finished 10.0.0.4\n"
      "failed   10.0.0.5: no space left\n"
      "pulling  10.0.0.3\n"
      "waiting  10.0.0.2\n");
}

TEST(ReportText, ExpectsNoEndBeforeTheFirstPiece) {
  auto status = running();
  for (auto& one : status.hosts) one.in_place = 0;
  status.run->moves.placed_lately = 0;
  EXPECT_THAT(text_of(status), HasSubstr("done     0.0 %, 0 B/s in all now\n"));
  status.hosts.clear();
  status.run->expected = 0;
  status.run->age = 0s;
  status.run->run.state = RunState::staging;
  const auto text = text_of(status);
  EXPECT_THAT(text, HasSubstr(", staging for 0.0 s\n"));
  EXPECT_THAT(text, Not(HasSubstr("expected end")));
}

TEST(ReportText, ShowsAtMostAHundredPercent) {
  auto status = running();
  status.run->expected = 1;
  EXPECT_THAT(text_of(status),
              HasSubstr("done     100.0 %, 50 B/s in all now, expected end in 0 s\n"));
}

TEST(ReportText, FoldsHostsAndReasons) {
  auto status = running();
  status.hosts.clear();
  for (int i = 10; i < 30; ++i) status.hosts.push_back(host("10.0.0." + std::to_string(i), 0));
  for (int i = 30; i < 50; ++i) {
    status.hosts.push_back(
        host("10.0.0." + std::to_string(i), 0, 0, i < 40 ? "full" : "read-only"));
  }
  status.hosts[3].feed_fault = "Unknown module";
  status.hosts[4].feed_fault = "Unknown module";
  status.hosts[5].hook_fault = "status 1";
  const auto text = text_of(status);
  EXPECT_THAT(text, HasSubstr("waiting  10.0.0.[10-29]\n"));
  EXPECT_THAT(text,
              HasSubstr("failed   10.0.0.[30-39]: full\nfailed   10.0.0.[40-49]: read-only\n"));
  EXPECT_THAT(text,
              HasSubstr("no feed  10.0.0.[13-14]: Unknown module\nhook     10.0.0.15: status 1\n"));
}

TEST(ReportText, NamesTheHostsWhoseHookFailedInTheOutcome) {
  auto status = running();
  status.run.reset();
  status.last = last();
  status.last->outcome = "complete";
  for (const auto* const address : {"10.0.0.3", "10.0.0.4", "10.0.0.5"}) {
    status.last->hosts.push_back({.address = address, .has_finished = true});
  }
  status.last->hosts[0].hook_fault = "status 1";
  status.last->hosts[1].hook_fault = "<script>\n\xff";
  const auto text = text_of(status);
  EXPECT_THAT(text,
              HasSubstr("last     /data1/model.6 complete, hook failed on 10.0.0.[3-4]: 9 of 10"));
  EXPECT_THAT(text, HasSubstr("hook     10.0.0.4: <script>\\n\\xff\n"));
  EXPECT_EQ(json_of(status).at("last").at("hook_failed"), nlohmann::json({"10.0.0.3", "10.0.0.4"}));
  EXPECT_FALSE(is_in_trouble(status)) << "every host has the payload";
}

TEST(ReportText, SaysWhyARunIsStuckAndWhatEndsIt) {
  auto status = running();
  status.run->age = 100s;
  status.run->moves.moved_ago = 40s;
  status.hosts[1].is_running = false;
  EXPECT_THAT(text_of(status),
              HasSubstr("done     37.5 %, stuck for 40 s: nobody pulls; waits for 1 failed; no "
                        "--deadline: `del task` ends it, or another task after 900 s\n"));
  auto frame = frame_of({});
  frame.rules.deadline = 130s;
  frame.rules.quorum_percent = 90;
  EXPECT_THAT(report_text(status, frame),
              HasSubstr("it ends by --quorum 90 % and --deadline in 30 s\n"));
  EXPECT_TRUE(is_in_trouble(status));
  EXPECT_FALSE(is_in_trouble(running()));
}

TEST(ReportText, ShowsWhatHostsWorkAtAndThatTheRunIsNotStuck) {
  auto status = running();
  status.run->moves.moved_ago = 100s;
  status.hosts.clear();
  for (int i = 0; i < 12; ++i) {
    status.hosts.push_back(host("10.0.0." + std::to_string(10 + i), 10));
    status.hosts.back().work = kHostile;
  }
  status.hosts[0].finished_after = 5s;
  const auto text = text_of(status);
  EXPECT_THAT(text, Not(HasSubstr("work     10.0.0.10: ")));
  EXPECT_THAT(text, HasSubstr("work     10.0.0.11: " + kEscaped + "\n"));
  EXPECT_THAT(text, HasSubstr("work     6 hosts more\n"));
  EXPECT_THAT(text, Not(HasSubstr("stuck")));
  EXPECT_THAT(text_of(status, Address::parse("10.0.0.11")),
              HasSubstr("work     " + kEscaped + "\n"));
  EXPECT_EQ(json_of(status)["hosts"][1]["work"], kEscaped);
  for (auto& one : status.hosts) one.work.clear();
  EXPECT_THAT(text_of(status), HasSubstr("stuck for 100 s"));
}

TEST(ReportText, ShowsWhatTheMasterWorksAtWithAndWithoutARun) {
  Status status;
  status.task = "/data1/model.7";
  EXPECT_THAT(text_of(status), Not(HasSubstr("work")));
  EXPECT_EQ(json_of(status)["work"], nullptr);
  status.work = kHostile;
  EXPECT_THAT(text_of(status),
              HasSubstr("task     /data1/model.7\nwork     the master: " + kEscaped + "\n"));
  EXPECT_EQ(json_of(status)["work"], kEscaped);
  status.run = running().run;
  status.run->moves.moved_ago = 100s;
  const auto text = text_of(status);
  EXPECT_THAT(text, HasSubstr("work     the master: " + kEscaped + "\n"));
  EXPECT_THAT(text, Not(HasSubstr("stuck"))) << "it works";
  status.run->moves.moved_ago = 3600s;
  EXPECT_THAT(text_of(status), HasSubstr("stuck for 3600 s")) << "a call of its disk hangs";
  status.run->moves.moved_ago = 100s;
  status.work.clear();
  EXPECT_THAT(text_of(status), HasSubstr("stuck for 100 s"));
}

TEST(ReportText, ShowsTheLastRun) {
  Status status;
  status.last = last();
  EXPECT_THAT(text_of(status),
              HasSubstr("last     /data1/model.6 quorum: 9 of 10 hosts, 2.5 GB in 12.3 s, 90 s "
                        "ago\n"));
  status.last->outcome = "refused";
  status.last->reason = "is a socket";
  EXPECT_THAT(text_of(status),
              HasSubstr("last     /data1/model.6 refused: is a socket, 90 s ago\n"));
}

TEST(ReportText, ShowsAbsurdNumbersInFewDigits) {
  Status status;
  status.last = last();
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  status.last->bytes = status.last->finished = status.last->expected = kMost;
  status.last->took = status.last->ended_ago = std::chrono::milliseconds::max();
  const auto text = text_of(status) + report_metrics(status) + report_json(status, frame_of({}));
  EXPECT_THAT(text, HasSubstr("18.45 EB in "));
  std::size_t digits = 0;
  for (const auto c : text) {
    digits = std::isdigit(static_cast<unsigned char>(c)) != 0 ? digits + 1 : 0;
    ASSERT_LE(digits, 20U) << text;
  }
  EXPECT_THAT(text, Not(testing::AnyOf(testing::ContainsRegex("[ :]-[0-9]"), HasSubstr(" inf"),
                                       HasSubstr(" nan"))));
}

TEST(ReportText, ShowsOneHost) {
  const auto status = running();
  EXPECT_EQ(text_of(status, Address::parse("10.0.0.3")),
            "redis    redis://10.0.0.9:6379/10\n"
            "task     /data1/model.7\n"
            "host     10.0.0.3 pulling, 5 pieces in place, 2 pulls, 1 uploads\n");
  EXPECT_THAT(text_of(status, Address::parse("10.0.0.5")),
              HasSubstr("failed, 0 pieces in place, 0 pulls, 0 uploads\nerror    no space left\n"));
  EXPECT_THAT(text_of(status, Address::parse("10.0.0.9")),
              HasSubstr("host     10.0.0.9 is not known\n"));
}

TEST(ReportText, NamesARunOfAnotherVersionAndTheWayOut) {
  auto status = running();
  EXPECT_THAT(text_of(status), Not(HasSubstr("version")));
  status.run->format = RunFormat::other;
  EXPECT_THAT(text_of(status),
              HasSubstr("version  another version of sync-fanout began this run: `del task` ends"));
  EXPECT_EQ(json_of(status).at("run").at("other_version"), true);
}

TEST(ReportText, NamesTheHostsThatTheRunWaitsForAndTheSilentOnes) {
  auto status = running();
  status.last = last();
  status.run->missing = {"10.0.0.5", "10.0.0.6"};
  status.run->silent = {"10.0.0.7"};
  status.last->silent = {"10.0.0.8", "10.0.0.9"};
  const auto text = text_of(status);
  EXPECT_THAT(text, HasSubstr("missing  10.0.0.[5-6]\n"));
  EXPECT_THAT(text, HasSubstr("; 2 known hosts silent: 10.0.0.[8-9]"));
  const auto json = json_of(status);
  EXPECT_EQ(json.at("run").at("missing").size(), 2U);
  EXPECT_EQ(json.at("run").at("silent").size(), 1U);
  EXPECT_EQ(json.at("last").at("silent").size(), 2U);
}

TEST(ReportJson, HoldsTheFieldsOfVersionOne) {
  auto status = running();
  status.last = last();
  const auto json = json_of(status);
  EXPECT_EQ(json.at("version"), 1);
  EXPECT_EQ(json.at("task"), "/data1/model.7");
  const auto& run = json.at("run");
  EXPECT_EQ(run, nlohmann::json::parse(R"({
    "id": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "state": "staged", "path": "/data1/model.7",
    "name": "model.7", "bytes": 1000, "piece_bytes": 100, "pieces": 10, "pieces_announced": 9,
    "origin": "10.0.0.1", "age_seconds": 10.0, "hosts_expected": 4, "missing": [], "silent": [], "sources_free": 2,
    "done_fraction": 0.375, "bytes_per_second": 150.0, "hosts_waiting": 1, "hosts_pulling": 1,
    "hosts_finished": 1, "hosts_failed": 1, "other_version": false, "seconds_left": 50.0,
    "groups": {"finished": 1, "failed": 1, "never_came": 0, "silent": 0, "pulling": 1, "waiting": 1},
    "bytes_per_second_now": 50.0, "stuck_seconds": null})"));
  EXPECT_EQ(json.at("last"), nlohmann::json::parse(R"({
    "path": "/data1/model.6", "outcome": "quorum", "reason": "", "hosts_finished": 9,
    "hosts_expected": 10, "bytes": 2500000000, "silent": [], "missing": [], "hook_failed": [], "seconds": 12.34, "ended_seconds_ago": 90.0})"));
  ASSERT_EQ(json.at("hosts").size(), 4U);
  EXPECT_EQ(json.at("hosts")[1], nlohmann::json::parse(R"({
    "address": "10.0.0.3", "state": "pulling", "pieces_in_place": 5, "pulls": 2, "uploads": 1,
    "expected": true, "seen_seconds_ago": 1.5, "group": "pulling"})"));
  EXPECT_EQ(json.at("hosts")[2].at("finished_after_seconds"), 8.0);
  EXPECT_EQ(json.at("hosts")[3].at("error"), "no space left");
}

TEST(ReportJson, HasNullForAnAbsentPart) {
  const auto json = json_of({});
  EXPECT_TRUE(json.at("task").is_null());
  EXPECT_TRUE(json.at("run").is_null());
  EXPECT_TRUE(json.at("last").is_null());
  EXPECT_EQ(json.at("hosts"), nlohmann::json::array());
  EXPECT_EQ(json.at("fleet"), nlohmann::json::parse(R"({"seen": 0, "silent": []})"));
  EXPECT_EQ(json.at("redis"), "redis://10.0.0.9:6379/10");
}

TEST(ReportJson, AHostHasAGroupInARunAlone) {
  auto status = running();
  status.run.reset();
  const auto json = json_of(status);
  ASSERT_EQ(json.at("hosts").size(), 4U);
  for (const auto& host : json.at("hosts")) EXPECT_FALSE(host.contains("group"));
}

TEST(ReportJson, HoldsOneHostIfAsked) {
  const auto json = json_of(running(), Address::parse("10.0.0.4"));
  ASSERT_EQ(json.at("hosts").size(), 1U);
  EXPECT_EQ(json.at("hosts")[0].at("address"), "10.0.0.4");
  EXPECT_TRUE(json_of(running(), Address::parse("10.0.0.9")).at("hosts").empty());
}

TEST(Report, EscapesTextFromOutside) {
  auto status = running();
  status.task = kHostile;
  // A run's path may hold any byte but ASCII control characters.
  status.run->run.task = test::task_path("/data1/\x9b[31m\xff\\");
  status.hosts[3].error = kHostile;
  status.last = LastStatus{kHostile, kHostile, kHostile, 1, 1, {kEscaped}, 1, 1s, 1s};
  for (const auto& of : {std::optional<Address>(), Address::parse("10.0.0.5")}) {
    const auto text = text_of(status, of);
    EXPECT_TRUE(std::all_of(text.begin(), text.end(), [](unsigned char c) {
      return c == '\n' || (c >= 0x20 && c < 0x7f);
    })) << text;
    EXPECT_THAT(text, HasSubstr(kEscaped));
  }
  const auto json = json_of(status);
  EXPECT_EQ(json.at("task"), kEscaped);
  EXPECT_EQ(json.at("run").at("path"), "/data1/\\x9b[31m\\xff\\\\");
  EXPECT_EQ(json.at("run").at("name"), "\\x9b[31m\\xff\\\\");
  EXPECT_EQ(json.at("hosts")[3].at("error"), kEscaped);
  for (const auto* const field : {"path", "outcome", "reason"}) {
    EXPECT_EQ(json.at("last").at(field), kEscaped) << field;
  }
}

}  // namespace
}  // namespace libsync
