// The command after a publication: how it ends, and how this program ends it.

#include "minion/hook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>

#include "os/log.h"
#include "os/stop_signal.h"
#include "os/system_clock.h"
#include "temporary_folder.h"
#include "test_process.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

/// A real clock that acts at each wait.
class WatchedClock final : public Clock {
 public:
  std::function<void()> at_wait = [] {};

  Duration ahead{};  ///< The clock shows this much more than the real one.

  [[nodiscard]] Instant now() const override { return clock_.now() + ahead; }
  [[nodiscard]] std::chrono::system_clock::time_point wall() const override {
    return clock_.wall();
  }
  void wait(Instant until, std::span<const int> descriptors) override {
    at_wait();
    clock_.wait(std::min(until - ahead, clock_.now() + 20ms), descriptors);
  }

 private:
  SystemClock clock_;
};

class HookTest : public testing::Test {
 protected:
  ~HookTest() override {
    sigset_t stopping;
    sigemptyset(&stopping);
    sigaddset(&stopping, SIGTERM);
    const timespec at_once{};
    static_cast<void>(sigtimedwait(&stopping, nullptr, &at_once));  // Not for the next test.
  }

  [[nodiscard]] std::optional<std::string> run(const std::string& command) {
    ShellAfterPublish hook("export here=" + folder_.path().string() + "; " + command, clock_,
                           stop_);
    return hook.run("/srv/repo/model.7", [this] { ++shown_; });
  }
  [[nodiscard]] bool exists(const std::string& name) const {
    return std::filesystem::exists(folder_.path() / name);
  }
  /// This program gets TERM as soon as the command has made the file `ready`.
  void stop_when_ready() {
    clock_.at_wait = [this] {
      if (!exists("ready")) return;
      stopped_ = std::chrono::steady_clock::now();
      raise(SIGTERM);
      clock_.at_wait = [] {};
    };
  }

  TemporaryFolder folder_;
  StopSignal stop_;
  WatchedClock clock_;
  int shown_ = 0;  // How often the minion was to show that the command runs.
  std::chrono::steady_clock::time_point stopped_;
};

TEST_F(HookTest, GetsThePathAndStartsInTheRootFolder) {
  EXPECT_EQ(run("echo $SYNC_FANOUT_PATH $PWD > $here/said"), std::nullopt);
  EXPECT_EQ(content_of(folder_.path() / "said"), "/srv/repo/model.7 /\n");
  EXPECT_THAT(run("echo wrong >&2; exit 3").value_or(""), HasSubstr("ended with status 3: wrong"));
}

TEST_F(HookTest, HasTheUmaskOfThisProgram) {
  const auto former = umask(002);
  EXPECT_EQ(run("umask > $here/said"), std::nullopt);
  umask(former);
  EXPECT_EQ(content_of(folder_.path() / "said"), "0002\n");
}

TEST_F(HookTest, HasItsOutputInTheLogEscapedAndBounded) {
  const auto log = folder_.path() / "log";
  start_log(LogLevel::info, log);
  EXPECT_EQ(run("echo 'one <script>'; printf 'two \\033[2J\\377\\n' >&2; printf three"),
            std::nullopt);
  const auto text = content_of(log);
  EXPECT_THAT(text, HasSubstr("output of --after-publish for 'model.7':\n  one <script>\n"
                              "  two \\x1b[2J\\xff\n  three\n"));
  EXPECT_EQ(run("seq 100000; echo the end"), std::nullopt);
  const auto grown = content_of(log).substr(text.size());
  EXPECT_THAT(grown, HasSubstr("\n  100000\n  the end\n"));
  EXPECT_LT(grown.size(), 8000U);
  start_log(LogLevel::error, std::nullopt);
}

// A server that the command starts writes on after the end of the command.
TEST_F(HookTest, LeavesBackgroundProcessesAliveAndDoesNotWaitForThem) {
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(run("(while [ ! -e $here/stop ]; do\n"
                "  echo 'I serve' && touch $here/written; sleep 0.05\n"
                "done; echo bye && touch $here/ended_well) & echo begun"),
            std::nullopt);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
  std::filesystem::remove(folder_.path() / "written");
  EXPECT_TRUE(eventually([&] { return exists("written"); })) << "it lives";
  write_file(folder_.path() / "stop", "");
  EXPECT_TRUE(eventually([&] { return exists("ended_well"); })) << "its last line had a reader";
}

TEST_F(HookTest, NamesTheLastLineOfItsOutputIfItFails) {
  EXPECT_EQ(run("echo first; echo '<script>' >&2; exit 7").value_or(""),
            "--after-publish ended with status 7: <script>");
  EXPECT_EQ(run("exit 7").value_or(""), "--after-publish ended with status 7");
  EXPECT_EQ(run("echo last; kill -KILL $$").value_or(""),
            "--after-publish was killed by signal 9: last");
}

TEST_F(HookTest, LetsTheMinionShowALongCommandEveryFiveSeconds) {
  EXPECT_EQ(run("exit 0"), std::nullopt);
  EXPECT_EQ(shown_, 0);
  clock_.at_wait = [this] {
    if (clock_.ahead < 22s) return clock_.ahead += 1s, void();
    write_file(folder_.path() / "stop", "");
  };
  EXPECT_EQ(run("while [ ! -e $here/stop ]; do sleep 0.02; done"), std::nullopt);
  EXPECT_EQ(shown_, 4);
}

TEST_F(HookTest, IsEndedAfterTenMinutes) {
  clock_.at_wait = [this] { clock_.ahead += 1min; };
  EXPECT_THAT(run("sleep 60").value_or(""), HasSubstr("was ended, since it took more than 10"));
}

// All of its processes get it, and a moment to tidy up: the shell, which ends first, and the rest.
TEST_F(HookTest, GetsTermWhenThisProgramHasToStop) {
  stop_when_ready();
  const auto failed =
      run("bash -c 'trap \"sleep 0.1; touch $here/tidied; exit\" TERM; touch $here/ready; "
          "while :; do sleep 0.02; done' & wait");
  EXPECT_THAT(failed.value_or(""), HasSubstr("was ended"));
  EXPECT_TRUE(exists("tidied"));
  EXPECT_LT(std::chrono::steady_clock::now() - stopped_, 900ms);
}

TEST_F(HookTest, IsKilledIfItIgnoresTerm) {
  stop_when_ready();
  EXPECT_TRUE(run("trap '' TERM; touch $here/ready; while :; do sleep 0.02; done"));
  EXPECT_GE(std::chrono::steady_clock::now() - stopped_, 450ms);
  EXPECT_LT(std::chrono::steady_clock::now() - stopped_, 900ms);
}

}  // namespace
}  // namespace libsync::test
