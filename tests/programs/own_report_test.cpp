#include "programs/own_report.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <string>

#include "hand_clock.h"
#include "programs/report.h"
#include "status_values.h"
#include "store/receipts.h"
#include "task_path.h"
#include "temporary_folder.h"

namespace libsync::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string kHostile = "<script>\"a\x1b[31m\n\xff\\";

// All that a host may have to show, ten seconds ago.
OwnFacts full() {
  OwnFacts facts{.repo = "/data1/repo", .now = std::chrono::system_clock::from_time_t(1'000'010)};
  const auto at = std::chrono::system_clock::from_time_t(1'000'000);
  PublishedNote note{.run = RunId::parse(std::string(32, 'a')).value(),
                     .task = task_path("/data1/model.7"),
                     .manifest = digest_of("manifest"),
                     .bytes = 1'700'000'000,
                     .pieces = 100,
                     .wire_bytes = 900'000'000,
                     .took = 12'300ms};
  for (unsigned host = 1; host <= 12; ++host) {
    note.fed_by[Address::parse("10.0.0." + std::to_string(host)).value()] = host;
  }
  facts.published = {note, at};
  facts.is_there = true;
  facts.tick = {.begun_ago = 40s, .is_running = true};
  facts.tick_fault = {"no space left", at};
  facts.feed_fault = {kHostile, at};
  facts.hook_fault = {"--after-publish ended with status 1", at};
  facts.hook_owed = "model.7";
  facts.free_bytes = 12'300'000'000;
  return facts;
}

TEST(OwnText, ShowsThePayloadItsSourcesAndTheFaults) {
  EXPECT_EQ(own_text(full()),
            "payload  /data1/model.7, published 10 s ago\n"
            "run      aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: 1.7 GB in 12.3 s, 900 MB pulled\n"
            "from     10.0.0.12: 12 pieces\n"
            "from     10.0.0.11: 11 pieces\n"
            "from     10.0.0.10: 10 pieces\n"
            "from     10.0.0.9: 9 pieces\n"
            "from     10.0.0.8: 8 pieces\n"
            "from     10.0.0.7: 7 pieces\n"
            "from     10.0.0.6: 6 pieces\n"
            "from     10.0.0.5: 5 pieces\n"
            "from     10.0.0.4: 4 pieces\n"
            "from     10.0.0.3: 3 pieces\n"
            "from     2 other hosts: 3 pieces\n"
            "from     this host: 22 pieces that it had\n"
            "tick     at work for 40 s\n"
            "error    10 s ago: no space left\n"
            "no feed  since 10 s ago: <script>\"a\\x1b[31m\\n\\xff\\\\\n"
            "hook     since 10 s ago: --after-publish ended with status 1\n"
            "hook     owed: it has not ended for 'model.7' yet\n"
            "disk     12.3 GB free in '/data1/repo'\n");
}

TEST(OwnText, SaysWhatIsNotThere) {
  auto facts = full();
  facts.is_there = false;
  EXPECT_THAT(own_text(facts), HasSubstr("published 10 s ago, and not there any more\n"));
  EXPECT_EQ(own_text({.free_bytes = 1000, .repo = "/r"}),
            "payload  none published here yet\n"
            "tick     none yet: is the cron line there?\n"
            "disk     1 kB free in '/r'\n");
  facts.unreadable = "cannot read it";
  EXPECT_EQ(own_text(facts), "here     cannot read it\n");
}

TEST(OwnJson, HasTheSame) {
  const auto json = nlohmann::json::parse(own_json(full()));
  EXPECT_EQ(json["payload"]["path"], "/data1/model.7");
  EXPECT_EQ(json["payload"]["pieces_from"]["10.0.0.12"], 12);
  EXPECT_EQ(json["payload"]["published_seconds_ago"], 10.0);
  EXPECT_EQ(json["payload"]["is_there"], true);
  EXPECT_EQ(json["feed_fault"]["reason"], "<script>\"a\\x1b[31m\\n\\xff\\\\");
  EXPECT_EQ(json["hook_owed"], "model.7");
  EXPECT_EQ(json["tick_at_work"], true);
  EXPECT_EQ(json["disk_free_bytes"], 12'300'000'000);
  const auto none = nlohmann::json::parse(own_json({}));
  for (const auto* const key : {"payload", "error", "feed_fault", "hook_fault", "hook_owed"}) {
    EXPECT_TRUE(none.at(key).is_null()) << key;
  }
}

TEST(OwnFacts, AreReadWithoutAChange) {
  const TemporaryFolder folder;
  const HandClock clock;
  auto facts = own_facts(folder.path(), clock);
  EXPECT_EQ(facts.unreadable, "");
  EXPECT_FALSE(facts.published || facts.tick.begun_ago || facts.hook_owed);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "status makes no state folder";
  EXPECT_THAT(own_facts(folder.path() / "none", clock).unreadable, HasSubstr("none"));

  const StateFolder state(folder.path());
  write_file(folder.path() / "model.7", "x");
  state.receipts().owe_hook("model.7", digest_of("manifest"));
  state.receipts().write(folder.path() / "model.7", digest_of("manifest"));
  state.notes().publish(full().published->value);
  state.notes().keep(NotedFault::hook, "status 1");
  facts = own_facts(folder.path(), clock);
  EXPECT_TRUE(facts.is_there);
  EXPECT_EQ(facts.hook_owed, "model.7");
  EXPECT_EQ(facts.hook_fault.value().value, "status 1");
  std::filesystem::remove(folder.path() / "model.7");
  EXPECT_FALSE(own_facts(folder.path(), clock).is_there);
}

TEST(OwnFacts, LeaveOutOfTheSnapshotWhatTheyShow) {
  const auto self = Address::parse("10.0.0.1").value();
  Status status;
  status.hosts = {joined_host("10.0.0.1"), joined_host("10.0.0.2")};
  for (auto& host : status.hosts) {
    host.feed_fault = kHostile.substr(0, 5);  // As Redis cuts it.
    host.hook_fault = "another";
  }
  leave_out_own(status, self, full());
  EXPECT_EQ(status.hosts[0].feed_fault, "");
  EXPECT_EQ(status.hosts[0].hook_fault, "another");
  EXPECT_EQ(status.hosts[1].feed_fault, kHostile.substr(0, 5));
}

TEST(ReportWithoutRedis, ShowsTheHostAllTheSame) {
  ReportFrame frame{.server = "redis://10.0.0.9:6379/10", .own = own_text(full())};
  EXPECT_THAT(report_without_redis("Redis at X does not answer", frame, ReportFormat::text),
              StartsWith("redis    Redis at X does not answer\npayload  /data1/model.7"));
  frame.own = own_json(full());
  const auto text = report_without_redis("no \xff", frame, ReportFormat::json);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json["redis_error"], "no \\xff");
  EXPECT_EQ(json["here"]["hook_owed"], "model.7");
}

TEST(ReportText, ShowsThePartOfThisHostInTheLastRun) {
  Status status;
  status.last = {.path = "/data1/model.6", .outcome = "quorum"};
  status.last->hosts = {{.address = "10.0.0.1", .error = kHostile},
                        {.address = "10.0.0.2", .has_finished = true}};
  ReportFrame frame{.host = Address::parse("10.0.0.1"), .own = "own\n"};
  EXPECT_THAT(report_text(status, frame),
              HasSubstr("last     /data1/model.6, not finished by this host: "
                        "<script>\"a\\x1b[31m\\n\\xff\\\\\nown\n"));
  frame.host = Address::parse("10.0.0.2");
  EXPECT_THAT(report_text(status, frame),
              HasSubstr("last     /data1/model.6, finished by this host\n"));
  frame.host = Address::parse("10.0.0.3");
  EXPECT_THAT(report_text(status, frame), Not(HasSubstr("last ")));
}

}  // namespace
}  // namespace libsync::test
