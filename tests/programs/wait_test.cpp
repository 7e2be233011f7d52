#include "programs/wait.h"

#include <gmock/gmock.h>

#include <functional>
#include <string>
#include <vector>

#include "hand_clock.h"
#include "libsync/core/failure.h"

namespace libsync {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

Pulse::Run run_of(std::string path, std::size_t finished = 0) {
  return {.id = "1",
          .path = std::move(path),
          .finished = finished,
          .expected = 4,
          .bytes = 1000,
          .pieces = 10,
          .placed = 20,
          .moves = {.placed_lately = 10}};
}

LastEnd end_of(std::string path, std::string outcome = "complete") {
  return {.path = std::move(path),
          .outcome = std::move(outcome),
          .reason = "",
          .finished = 4,
          .expected = 4,
          .run = "1",
          .ended_ms = 5,
          .ended_ago = 10s};
}

std::string line_of(const WaitStep& step) {
  if (const auto* const end = std::get_if<WaitEnd>(&step)) return end->line;
  return std::get<WaitGoesOn>(step).line;
}

// The status of an end; nothing if the wait goes on.
std::optional<ExitStatus> status_of(const WaitStep& step) {
  if (const auto* const end = std::get_if<WaitEnd>(&step)) return end->status;
  return std::nullopt;
}

TEST(Waiting, ShowsTheProgressOfTheRun) {
  Waiting waiting("/a/model");
  const auto step = waiting.step({.task = "/a/model", .run = run_of("/a/model", 1), .last = {}});
  EXPECT_EQ(line_of(step), "model [##########----------] 50.0 %, 100 B/s, 1 of 4 hosts, 20 s left");
  EXPECT_EQ(status_of(step), std::nullopt);
}

// The pieces of the last ten seconds came in less, if the run began then.
TEST(Waiting, ShowsTheRateOfAYoungRun) {
  auto run = run_of("/a/model");
  run.age = 2s;
  Waiting waiting("/a/model");
  EXPECT_THAT(line_of(waiting.step({.task = "/a/model", .run = run, .last = {}})),
              HasSubstr(", 500 B/s, 0 of 4 hosts, 4 s left"));
  run.age = 0s;
  EXPECT_THAT(line_of(waiting.step({.task = "/a/model", .run = run, .last = {}})),
              HasSubstr(", 10 kB/s,"));
  run.age = 1h;
  EXPECT_THAT(line_of(waiting.step({.task = "/a/model", .run = run, .last = {}})),
              HasSubstr(", 100 B/s,"));
}

TEST(Waiting, ShowsAHostThatWorksAtItsOwnDisk) {
  Waiting waiting("/a/model");
  auto run = run_of("/a/model");
  run.work = "10.0.0.2 assembling \x1b[31m\n\xff";
  EXPECT_THAT(line_of(waiting.step({.task = "/a/model", .run = run, .last = {}})),
              testing::EndsWith(", 10.0.0.2 assembling \\x1b[31m\\n\\xff"));
}

TEST(Waiting, ShowsWhatTheMasterWorksAtBeforeTheRun) {
  Waiting waiting("/a");
  const auto step =
      waiting.step({.task = "/a", .run = {}, .last = {}, .work = "listing \x1b[31m\xff"});
  EXPECT_EQ(line_of(step), "'/a' waits for the master, which is listing \\x1b[31m\\xff");
}

TEST(Waiting, EndsWithTheRunOfThePath) {
  for (const auto& [outcome, status] :
       std::vector<std::pair<std::string, ExitStatus>>{{"complete", ExitStatus::done},
                                                       {"quorum", ExitStatus::ended_short},
                                                       {"cancelled", ExitStatus::ended_short}}) {
    Waiting waiting("/a");
    static_cast<void>(waiting.step({.task = "/a", .run = run_of("/a"), .last = {}}));
    const auto step = waiting.step({.task = "", .run = {}, .last = end_of("/a", outcome)});
    EXPECT_EQ(status_of(step), status) << outcome;
    EXPECT_EQ(line_of(step), "/a: " + outcome + ", 4 of 4 hosts");
  }
}

TEST(Waiting, WithoutAPathIsForTheRunInProgress) {
  Waiting waiting(std::nullopt);
  EXPECT_EQ(status_of(waiting.step({.task = "/b", .run = run_of("/a"), .last = {}})), std::nullopt);
  const auto step = waiting.step({.task = "/b", .run = run_of("/b"), .last = end_of("/a")});
  EXPECT_EQ(status_of(step), ExitStatus::done);
}

TEST(Waiting, WithoutAPathAndARunIsOverAtOnce) {
  Waiting waiting(std::nullopt);
  const auto step = waiting.step({.task = "", .run = {}, .last = end_of("/a")});
  EXPECT_EQ(status_of(step), ExitStatus::done);
  EXPECT_THAT(line_of(step), HasSubstr("nothing to wait for"));
}

// A run of 1 kB may be over before anybody can ask.
TEST(Waiting, CountsAnEndThatIsYoungerThanAMinute) {
  EXPECT_EQ(status_of(Waiting("/a").step({.task = "", .run = {}, .last = end_of("/a")})),
            ExitStatus::done);
  auto old = end_of("/a");
  old.ended_ago = 60s;
  const auto step = Waiting("/a").step({.task = "", .run = {}, .last = old});
  EXPECT_EQ(status_of(step), ExitStatus::usage);
  EXPECT_THAT(line_of(step), HasSubstr("no run of '/a'"));
}

// The end of the former run of this path is not the end of the one that the operator has just set.
TEST(Waiting, IgnoresAnEndFromBeforeAPendingTask) {
  Waiting waiting("/a");
  const auto former = end_of("/a", "cancelled");
  const auto pending = waiting.step({.task = "/a", .run = {}, .last = former});
  EXPECT_EQ(line_of(pending), "'/a' waits for the master");
  EXPECT_EQ(status_of(waiting.step({.task = "/a", .run = run_of("/b"), .last = former})),
            std::nullopt);
  auto own = end_of("/a");
  own.ended_ms = 6;
  EXPECT_EQ(status_of(waiting.step({.task = "", .run = {}, .last = own})), ExitStatus::done);
}

TEST(Waiting, EndsIfTheTaskIsRefusedDeletedOrReplaced) {
  const Pulse pending{.task = "/a", .run = {}, .last = {}};
  Waiting refused("/a");
  static_cast<void>(refused.step(pending));
  auto refusal = end_of("/a", "refused");
  refusal.reason = "it is a socket";
  auto step = refused.step({.task = "", .run = {}, .last = refusal});
  EXPECT_EQ(status_of(step), ExitStatus::ended_short);
  EXPECT_EQ(line_of(step), "/a: refused: it is a socket");
  Waiting deleted("/a");
  static_cast<void>(deleted.step(pending));
  step = deleted.step({.task = "", .run = {}, .last = {}});
  EXPECT_EQ(status_of(step), ExitStatus::ended_short);
  EXPECT_THAT(line_of(step), HasSubstr("it was deleted"));
  Waiting replaced("/a");
  static_cast<void>(replaced.step(pending));
  step = replaced.step({.task = "/b", .run = {}, .last = {}});
  EXPECT_EQ(status_of(step), ExitStatus::ended_short);
  EXPECT_THAT(line_of(step), HasSubstr("'/b' now"));
}

// The master tries again with a payload that has changed, and Redis may lose its keys meanwhile.
TEST(Waiting, OutlivesAnotherAttemptAndALossOfRedis) {
  Waiting waiting("/a");
  const Pulse running{.task = "/a", .run = run_of("/a"), .last = {}};
  static_cast<void>(waiting.step(running));
  const auto changed = end_of("/a", "changed");
  EXPECT_EQ(status_of(waiting.step({.task = "/a", .run = {}, .last = changed})), std::nullopt);
  auto again = run_of("/a");
  again.id = "2";
  EXPECT_EQ(status_of(waiting.step({.task = "/a", .run = again, .last = changed})), std::nullopt);
  for (int i = 0; i < 29; ++i) EXPECT_EQ(status_of(waiting.step({})), std::nullopt);
  EXPECT_EQ(status_of(waiting.step({.task = "/a", .run = again, .last = {}})), std::nullopt);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(status_of(waiting.step({})), std::nullopt);
  const auto lost = waiting.step({});
  EXPECT_EQ(status_of(lost), ExitStatus::ended_short);
  EXPECT_THAT(line_of(lost), HasSubstr("is not known: see the log of the master"));
}

// The same path is a new task if it is set again during its run.
TEST(Waiting, EndsWithTheRunThatItSaw) {
  Waiting waiting("/a");
  static_cast<void>(waiting.step({.task = "/a", .run = run_of("/a"), .last = {}}));
  auto next = run_of("/a");
  next.id = "2";
  const auto step = waiting.step({.task = "/a", .run = next, .last = end_of("/a")});
  EXPECT_EQ(status_of(step), ExitStatus::done);
}

TEST(Waiting, NamesAnotherTask) {
  const auto step = Waiting("/a").step({.task = "/b", .run = run_of("/c"), .last = {}});
  EXPECT_EQ(status_of(step), ExitStatus::ended_short);
  EXPECT_EQ(line_of(step), "no run of '/a': the task is '/b'");
}

TEST(Waiting, EscapesTextFromRedis) {
  const std::string hostile = "/a\x1b[31m\n<script>\xff";
  for (const auto& pulse : {Pulse{hostile, run_of(hostile), {}}, Pulse{hostile, {}, {}},
                            Pulse{hostile, run_of("/x"), {}}}) {
    Waiting waiting(std::nullopt);
    const auto line = line_of(waiting.step(pulse));
    EXPECT_TRUE(std::all_of(line.begin(), line.end(), [](unsigned char c) {
      return c >= 0x20 && c < 0x7f;
    })) << line;
  }
}

// Answers with one pulse after the other, and with the last one from then on.
class Pulses final : public Observer {
 public:
  explicit Pulses(std::vector<std::function<Pulse()>> pulses) : pulses_(std::move(pulses)) {}

  Status now;

  Status status() override { return now; }
  std::optional<Address> own_address() override { return std::nullopt; }
  Pulse pulse() override {
    const auto at = std::min(asked_++, pulses_.size() - 1);
    return pulses_[at]();
  }

 private:
  std::vector<std::function<Pulse()>> pulses_;
  std::size_t asked_ = 0;
};

class WaitForRun : public testing::Test {
 protected:
  WaitForRun() { clock_.let_waits_pass(std::chrono::milliseconds(0)); }

  ExitStatus wait(std::vector<std::function<Pulse()>> pulses, std::optional<Duration> limit = {},
                  Screen screen = Screen::appends) {
    Pulses observer(std::move(pulses));
    observer.now.last = last_;
    testing::internal::CaptureStdout();
    struct Captured {
      std::string* into;
      ~Captured() { *into = testing::internal::GetCapturedStdout(); }
    } const captured{&output_};
    return wait_for_run(observer, clock_, Waiting("/a"), limit, screen,
                        [this](const std::string& run) { return is_account_due(run); });
  }

  static Pulse running() { return {"/a", run_of("/a"), {}}; }
  static Pulse complete() { return {"", {}, end_of("/a")}; }
  static Pulse outage() { throw Failure(ExitStatus::redis, Remedy::try_again, "out of reach"); }

  bool is_account_due(const std::string& run) {
    asked_accounts_.push_back(run);
    return asked_accounts_.size() <= accounts_due_;
  }

  test::HandClock clock_;
  std::string output_;
  std::size_t accounts_due_ = 0;  // So often the account is not there yet.
  std::vector<std::string> asked_accounts_;
  std::optional<LastStatus> last_;  // As status() answers.
};

TEST_F(WaitForRun, PrintsALineForEachChangeAndTheOutcome) {
  EXPECT_EQ(wait({running, running,
                  [] {
                    return Pulse{"/a", run_of("/a", 2), {}};
                  },
                  complete}),
            ExitStatus::done);
  EXPECT_EQ(std::count(output_.begin(), output_.end(), '\n'), 3) << output_;
  EXPECT_TRUE(output_.ends_with("/a: complete, 4 of 4 hosts\n")) << output_;
}

TEST_F(WaitForRun, NamesTheHostsWhoseHookFailed) {
  last_ = LastStatus{.path = "/a", .outcome = "complete", .finished = 4, .expected = 4};
  last_->hosts = {{.address = "10.0.0.1", .has_finished = true, .hook_fault = "status 1"},
                  {.address = "10.0.0.2", .has_finished = true}};
  EXPECT_EQ(wait({running, complete}), ExitStatus::done) << "every host has the payload";
  EXPECT_TRUE(output_.ends_with("/a: complete, hook failed on 10.0.0.1, 4 of 4 hosts\n"))
      << output_;
  last_->path = "/b";
  EXPECT_EQ(wait({running, complete}), ExitStatus::done);
  EXPECT_TRUE(output_.ends_with("/a: complete, 4 of 4 hosts\n")) << "that is another run";
}

TEST_F(WaitForRun, EndsAsItsRunDidIfATaskWasRefusedSince) {
  for (const std::string refused : {"/a", "/b"}) {
    const auto hides = [&] {
      auto refusal = end_of(refused, "refused");
      refusal.reason = "it is a socket";
      return Pulse{"", {}, refusal};
    };
    last_ =
        LastStatus{.path = refused, .outcome = "refused", .run = "1", .run_outcome = "complete"};
    EXPECT_EQ(wait({running, hides}), ExitStatus::done);
    EXPECT_TRUE(output_.ends_with("the run ended: complete; then " + refused +
                                  ": refused: it is a socket\n"))
        << output_;
    last_->run_outcome = "quorum";
    EXPECT_EQ(wait({running, hides}), ExitStatus::ended_short);
    last_->run_outcome = "";  // From older functions.
    EXPECT_EQ(wait({running, hides}), ExitStatus::ended_short);
    last_->run_outcome = "complete";
    last_->run = "2";
    EXPECT_EQ(wait({running, hides}), ExitStatus::ended_short) << "another run";
  }
}

// `wait && report` shows the run.
TEST_F(WaitForRun, EndsWhenTheAccountOfTheRunIsThere) {
  accounts_due_ = 3;
  EXPECT_EQ(wait({running, complete}), ExitStatus::done);
  EXPECT_EQ(asked_accounts_, std::vector<std::string>(4, "1"));
  const auto begun = clock_.now();
  accounts_due_ = 1'000'000;
  EXPECT_EQ(wait({complete}), ExitStatus::done) << "the master cannot write it";
  EXPECT_EQ(clock_.now() - begun, 5s);
}

TEST_F(WaitForRun, WaitsForNoAccountOfARefusal) {
  accounts_due_ = 1'000'000;
  EXPECT_EQ(wait({[] {
                    return Pulse{"/a", {}, {}};
                  },
                  [] {
                    return Pulse{"", {}, end_of("/a", "refused")};
                  }}),
            ExitStatus::ended_short);
  EXPECT_TRUE(asked_accounts_.empty());
}

TEST_F(WaitForRun, WaitsForTheAccountOfARunThatARefusalHides) {
  accounts_due_ = 2;
  last_ = LastStatus{.path = "/b", .outcome = "refused", .run = "1", .run_outcome = "complete"};
  EXPECT_EQ(wait({running,
                  [] {
                    return Pulse{"", {}, end_of("/b", "refused")};
                  }}),
            ExitStatus::done);
  EXPECT_EQ(asked_accounts_, std::vector<std::string>(3, "1"));
}

TEST_F(WaitForRun, RepaintsTheLineOfATerminal) {
  EXPECT_EQ(wait({running, running, complete}, {}, Screen::repaints), ExitStatus::done);
  EXPECT_THAT(output_, StartsWith("\ra [##########"));
  EXPECT_TRUE(output_.ends_with("\r\x1b[K/a: complete, 4 of 4 hosts\n")) << output_;
}

TEST_F(WaitForRun, EndsWhenItsTimeIsUp) {
  const auto begun = clock_.now();
  EXPECT_EQ(wait({running}, 90s), ExitStatus::time_up);
  EXPECT_EQ(clock_.now() - begun, 90s);
  // The first line, and one every 15 s.
  EXPECT_EQ(std::count(output_.begin(), output_.end(), '\n'), 1 + 6 + 1) << output_;
  EXPECT_TRUE(output_.ends_with("time is up: the run goes on\n")) << output_;
}

TEST_F(WaitForRun, OutlivesAShortOutage) {
  EXPECT_EQ(wait({running, outage, outage, complete}), ExitStatus::done);
  EXPECT_THROW(static_cast<void>(wait({outage})), Failure);
  const auto begun = clock_.now();
  EXPECT_THROW(static_cast<void>(wait({running, outage})), Failure);
  EXPECT_GE(clock_.now() - begun, 60s);
}

}  // namespace
}  // namespace libsync
