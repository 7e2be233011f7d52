// The transfer watches rsync and ends it. Scripts act as rsync, and the test moves the clock.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <regex>

#include "hand_clock.h"
#include "rsync/rsync_transfer.h"
#include "temporary_folder.h"
#include "test_process.h"

namespace libsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr std::uint64_t kLargest = 1'024'000;

class RsyncWatchdog : public testing::Test {
 protected:
  // Makes a script that acts as rsync. The script finds the test's folder in $here.
  void play(const std::string& script) {
    options_.program = folder_.path() / "rsync";
    test::write_file(options_.program,
                     "#!/bin/bash\nhere=" + folder_.path().string() + "\n" + script);
    std::filesystem::permissions(options_.program, std::filesystem::perms(0755));
  }

  RsyncTransfer& transfer() {
    if (!transfer_) transfer_.emplace(options_, clock_);
    return *transfer_;
  }

  TransferId pull(std::uint64_t largest = kLargest) {
    return transfer().start(PullRequest{Address::parse("10.1.2.3").value(),
                                        ".libsync/abc",
                                        {"p00000", "p00001"},
                                        folder_.path() / "into",
                                        largest});
  }

  // Collects the events so far, without moving the clock.
  void collect() {
    for (auto& event : transfer().collect()) {
      if (const auto* const arrived = std::get_if<FileArrived>(&event))
        arrived_.push_back(*arrived);
      if (std::holds_alternative<BytesMoved>(event)) ++moves_;
      if (const auto* const ended = std::get_if<TransferEnded>(&event)) ended_ = *ended;
    }
  }

  // Moves the clock in steps shorter than the pauses between two checks.
  void pass(seconds time) {
    for (milliseconds passed{0}; passed < time; passed += milliseconds(500)) {
      clock_.advance(milliseconds(500));
      collect();
    }
  }

  // Passes the time while a file arrives every half minute.
  void trickle(seconds time) {
    for (seconds passed{0}; passed < time; passed += seconds(30)) {
      const auto before = arrived_.size();
      ASSERT_TRUE(test::eventually([&] {
        collect();
        return arrived_.size() > before;
      }));
      clock_.advance(seconds(30));
      collect();
    }
  }

  // One line for each variable. The shell adds its own, so the script reads /proc instead.
  std::string environment_of_a_pull() {
    play("tr '\\0' '\\n' < /proc/$$/environ > $here/environment\n");
    static_cast<void>(pull());
    EXPECT_TRUE(comes_to_an_end());
    return test::content_of(folder_.path() / "environment");
  }

  [[nodiscard]] bool comes_to_an_end() {
    return test::eventually(
        [this] {
          collect();
          return ended_.has_value();
        },
        seconds(20));
  }

  [[nodiscard]] bool exists(const std::string& name) const {
    return std::filesystem::exists(folder_.path() / name);
  }
  [[nodiscard]] bool appears(const std::string& name) const {
    return test::eventually([&] { return exists(name); }, seconds(20));
  }
  [[nodiscard]] int number_in(const std::string& name) const {
    return std::stoi(test::content_of(folder_.path() / name));
  }

  // Bytes that the script has read so far.
  [[nodiscard]] unsigned long long transfer_bytes() const {
    std::ifstream file("/proc/" + std::to_string(number_in("pid")) + "/io");
    std::string key;
    unsigned long long bytes = 0;
    file >> key >> bytes;
    return bytes;
  }

  static bool is_alive(int pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string id;
    std::string name;
    std::string state;
    return file >> id >> name >> state && state != "Z";
  }

  test::TemporaryFolder folder_;
  test::HandClock clock_;
  RsyncOptions options_;
  std::optional<RsyncTransfer> transfer_;
  std::vector<FileArrived> arrived_;
  std::size_t moves_ = 0;
  std::optional<TransferEnded> ended_;
};

// rsync forks a child that holds the socket, too. It must end with its parent.
constexpr auto kMovesNothing = R"(
trap 'touch $here/terminated; exit 20' TERM
(trap '' TERM; exec sleep 600) &
echo $! > $here/grandchild.new; mv $here/grandchild.new $here/grandchild
wait
)";

TEST_F(RsyncWatchdog, EndsAPullThatMovesNothingForAMinute) {
  play(kMovesNothing);
  const auto id = pull();
  ASSERT_TRUE(appears("grandchild"));
  pass(seconds(1));  // Bash reads its script and libraries, which is movement.
  pass(seconds(58));
  EXPECT_FALSE(exists("terminated"));
  EXPECT_FALSE(ended_);
  clock_.advance(seconds(3));
  collect();
  ASSERT_TRUE(appears("terminated"));
  ASSERT_TRUE(comes_to_an_end());
  EXPECT_EQ(ended_->id, id);
  EXPECT_EQ(ended_->end, PullEnd::unreachable);
  EXPECT_THAT(ended_->detail, HasSubstr("10.1.2.3 has moved nothing for 60 s"));
  EXPECT_TRUE(test::eventually([this] { return !is_alive(number_in("grandchild")); }));
}

TEST_F(RsyncWatchdog, EndsAPullOnDemand) {
  play(kMovesNothing);
  const auto id = pull();
  ASSERT_TRUE(appears("grandchild"));
  transfer().end(id + 1, "was another one");
  transfer().end(id, "brought nothing while others did");
  transfer().end(id, "ends once");
  ASSERT_TRUE(comes_to_an_end());
  EXPECT_EQ(ended_->id, id);
  EXPECT_EQ(ended_->end, PullEnd::unreachable);
  EXPECT_THAT(ended_->detail, HasSubstr("10.1.2.3 brought nothing while others did: check"));
  EXPECT_TRUE(test::eventually([this] { return !is_alive(number_in("grandchild")); }));
  transfer().end(id, "is over");
}

TEST_F(RsyncWatchdog, KillsAProcessThatIgnoresTermAfterHalfASecond) {
  play("trap 'touch $here/terminated' TERM\ntouch $here/ready\nwhile :; do sleep 0.05; done\n");
  const auto id = pull();
  ASSERT_TRUE(appears("ready"));
  transfer().end(id, "is of no use");
  ASSERT_TRUE(appears("terminated"));
  EXPECT_LE(transfer().next_check(), clock_.now() + milliseconds(500));
  clock_.advance(milliseconds(400));
  collect();
  collect();
  EXPECT_FALSE(ended_);
  EXPECT_LE(transfer().next_check(), clock_.now() + milliseconds(100));
  clock_.advance(milliseconds(101));
  ASSERT_TRUE(comes_to_an_end());
  EXPECT_EQ(ended_->end, PullEnd::unreachable);
}

// A peer can send any words. If they counted, one peer could end the downloads of all others.
TEST_F(RsyncWatchdog, BelievesAFullDiskOnlyIfItIsFull) {
  std::filesystem::create_directory(folder_.path() / "into");
  for (const auto* const script :
       {"echo 'rsync: [receiver] write failed: No space left on device (28)' >&2; exit 11\n",
        "echo 'rsync: mkstemp failed: Disk quota exceeded (122)' >&2; exit 23\n",
        "echo 'rsync: [receiver] Read-only file system (30)' >&2; exit 23\n",
        "echo 'rsync error: error in file IO (code 11) at receiver.c' >&2; exit 11\n"}) {
    SCOPED_TRACE(script);
    play(script);
    ended_.reset();
    static_cast<void>(pull(1000));
    ASSERT_TRUE(comes_to_an_end());
    EXPECT_EQ(ended_->end, PullEnd::unreachable);
    EXPECT_THAT(ended_->detail, HasSubstr("the disk of this host has room: 10.1.2.3 says so"));
    ended_.reset();
    static_cast<void>(pull(std::uint64_t{1} << 60U));  // More than there is.
    ASSERT_TRUE(comes_to_an_end());
    EXPECT_EQ(ended_->end, PullEnd::local);
  }
}

// Reads 64 kB whenever the test makes a file. It reads nothing while it waits.
constexpr auto kReadsWhenAsked = R"(
mkfifo $here/silent
exec 5<>$here/silent
: > $here/ready
while :; do
  if [ -e $here/read ]; then head -c 65536 /dev/zero > /dev/null; rm $here/read; fi
  read -t 0.02 -u 5
done
)";

TEST_F(RsyncWatchdog, LeavesAPullAloneWhileBytesArrive) {
  play(kReadsWhenAsked);
  static_cast<void>(pull());
  ASSERT_TRUE(appears("ready"));
  for (int i = 0; i < 10; ++i) {
    pass(seconds(50));
    ASSERT_FALSE(ended_) << i;
    test::write_file(folder_.path() / "read", "");
    ASSERT_TRUE(test::eventually([&] { return !exists("read"); }));
  }
  pass(seconds(62));
  ASSERT_TRUE(comes_to_an_end());
  EXPECT_THAT(ended_->detail, HasSubstr("has moved nothing"));
}

TEST_F(RsyncWatchdog, TellsThatBytesHaveMoved) {
  play(kReadsWhenAsked);
  static_cast<void>(pull());
  ASSERT_TRUE(appears("ready"));
  pass(seconds(1));
  moves_ = 0;
  pass(seconds(5));
  EXPECT_EQ(moves_, 0U);
  test::write_file(folder_.path() / "read", "");
  ASSERT_TRUE(test::eventually([&] { return !exists("read"); }));
  pass(seconds(5));
  EXPECT_EQ(moves_, 1U) << "once for each check that finds more";
}

// A system may hide what another process reads.
TEST_F(RsyncWatchdog, AGrowingFileIsMovement) {
  play(kReadsWhenAsked);
  std::filesystem::create_directories(folder_.path() / "into");
  static_cast<void>(pull());
  ASSERT_TRUE(appears("ready"));
  pass(seconds(1));
  moves_ = 0;
  test::write_file(folder_.path() / "into" / "p00001", std::string(65536, 'x'));
  pass(seconds(1));
  EXPECT_EQ(moves_, 1U);
}

// Reads one byte for each that the test sends, as rsync reads keep-alives.
constexpr auto kReadsByteByByte = R"(
echo $$ > $here/pid
mkfifo $here/bytes
exec 5<>$here/bytes
: > $here/ready
while read -r -u 5 -n 1; do :; done
)";

TEST_F(RsyncWatchdog, KeepAlivesAreNoMovement) {
  play(kReadsByteByByte);
  static_cast<void>(pull());
  ASSERT_TRUE(appears("ready"));
  pass(seconds(1));  // Bash reads its script and libraries, which is movement once.
  std::ofstream keep_alives(folder_.path() / "bytes");
  for (int second = 0; second < 59; ++second) {
    const auto before = transfer_bytes();
    ASSERT_TRUE(keep_alives << 'x' << std::flush);
    ASSERT_TRUE(test::eventually([&] { return transfer_bytes() > before; }));
    pass(seconds(1));
  }
  EXPECT_FALSE(ended_);
  clock_.advance(seconds(2));
  ASSERT_TRUE(comes_to_an_end());
  EXPECT_THAT(ended_->detail, HasSubstr("has moved nothing"));
}

TEST_F(RsyncWatchdog, EndsAStalledPullAndLeavesTheOtherAlone) {
  // The script starts no program once it is ready: reading that program would be movement.
  play(
      "[ -p $here/silent ] || mkfifo $here/silent\nexec 5<>$here/silent\n: > $here/ready\n"
      "read -u 5\n");
  const auto stalled = pull();
  ASSERT_TRUE(appears("ready"));
  pass(seconds(40));
  std::filesystem::remove(folder_.path() / "ready");
  const auto fresh = pull();
  ASSERT_TRUE(appears("ready"));
  pass(seconds(25));
  ASSERT_TRUE(comes_to_an_end());
  EXPECT_EQ(ended_->id, stalled);
  ended_.reset();
  pass(seconds(30));
  EXPECT_FALSE(ended_);
  pass(seconds(10));
  ASSERT_TRUE(comes_to_an_end());
  EXPECT_EQ(ended_->id, fresh);
}

// Only the owner knows whether others are faster.
TEST_F(RsyncWatchdog, LeavesATrickleAlone) {
  play("touch $here/ready\nwhile :; do echo 65536 p00000; sleep 0.01; done\n");
  static_cast<void>(pull());
  ASSERT_TRUE(appears("ready"));
  trickle(minutes(30));
  EXPECT_FALSE(ended_);
}

TEST_F(RsyncWatchdog, ReportsFilesInOrderBeforeTheEnd) {
  play("echo 100 p00000\necho wordless\necho 'a notice'\necho 20 p00001\nexit 0\n");
  const auto id = pull();
  std::vector<std::string> order;
  ASSERT_TRUE(test::eventually([&] {
    for (const auto& event : transfer().collect()) {
      if (const auto* const file = std::get_if<FileArrived>(&event)) {
        EXPECT_EQ(file->id, id);
        order.push_back(file->name + " " + std::to_string(file->wire_bytes));
      } else {
        const auto* const ended = std::get_if<TransferEnded>(&event);
        if (ended == nullptr) continue;  // Bytes have moved.
        EXPECT_EQ(ended->end, PullEnd::good);
        order.emplace_back("end");
      }
    }
    return !order.empty() && order.back() == "end";
  }));
  EXPECT_THAT(order, ElementsAre("p00000 100", "p00001 20", "end"));
}

TEST_F(RsyncWatchdog, GivesTheChildItsNamesOnStandardInputEndedByNul) {
  play("cat > $here/names\n");
  static_cast<void>(pull());
  ASSERT_TRUE(comes_to_an_end());
  using namespace std::string_literals;
  EXPECT_EQ(test::content_of(folder_.path() / "names"),
            ".libsync/abc/./p00000\0.libsync/abc/./p00001\0"s);
}

TEST_F(RsyncWatchdog, GivesTheChildFourVariablesAndNoMore) {
  EXPECT_EQ(environment_of_a_pull(),
            "PATH=/usr/bin:/bin\nLC_ALL=C\nHOME=/nonexistent\nRSYNC_CHECKSUM_LIST=none\n");
}

TEST_F(RsyncWatchdog, KeepsDigestsWhereAFileIsThereInPart) {
  test::write_file(folder_.path() / "into" / "p00001", "begun");
  EXPECT_EQ(environment_of_a_pull(), "PATH=/usr/bin:/bin\nLC_ALL=C\nHOME=/nonexistent\n");
}

TEST_F(RsyncWatchdog, DoesWithoutDigestsWhereTheFileIsEmpty) {
  test::write_file(folder_.path() / "into" / "p00001", "");
  EXPECT_THAT(environment_of_a_pull(), testing::HasSubstr("RSYNC_CHECKSUM_LIST=none\n"));
}

TEST_F(RsyncWatchdog, LeavesTheChildTheLockAndNoOtherDescriptor) {
  test::write_file(folder_.path() / "lock", "");
  test::write_file(folder_.path() / "other", "");
  const auto lock = open_file(folder_.path() / "lock", 0);
  const int other = dup(open_file(folder_.path() / "other", 0).number());  // Not close-on-exec.
  options_.inherited = lock.number();
  play("ls -l /proc/$$/fd > $here/open\n");
  static_cast<void>(pull());
  ASSERT_TRUE(comes_to_an_end());
  close(other);
  std::vector<std::string> open;
  std::ifstream lines(folder_.path() / "open");
  for (std::string line; std::getline(lines, line);) {
    // bash keeps its script at 255.
    static const std::regex shown(" ([0-9]+) -> (.*)$");
    std::smatch match;
    if (std::regex_search(line, match, shown) && match[1] != "255") {
      open.push_back(match[1].str() + " " + match[2].str());
    }
  }
  EXPECT_THAT(open, ElementsAre(StartsWith("0 "), StartsWith("1 "), StartsWith("2 "),
                                "3 " + (folder_.path() / "lock").string()));
}

TEST_F(RsyncWatchdog, NoFileGrowsBeyondTheLargestOfTheRequest) {
  play("ulimit -S -f > $here/limit");  // In units of 1024 bytes.
  pull();
  ASSERT_TRUE(comes_to_an_end());
  EXPECT_EQ(number_in("limit"), kLargest / 1024);
}

TEST_F(RsyncWatchdog, EndAllEndsEverything) {
  clock_.let_waits_pass();
  play("trap '' TERM\necho $$ >> $here/pids\nwhile :; do sleep 0.05; done\n");
  static_cast<void>(pull());
  static_cast<void>(pull());
  std::vector<int> pids;
  ASSERT_TRUE(test::eventually([&] {
    pids.clear();
    std::ifstream file(folder_.path() / "pids");
    for (int pid = 0; file >> pid;) pids.push_back(pid);
    return pids.size() == 2;
  }));
  EXPECT_LE(transfer().next_check(), clock_.now() + seconds(1));
  const auto before = clock_.now();
  transfer().end_all();
  EXPECT_LE(clock_.now() - before, milliseconds(500));
  for (const int pid : pids) EXPECT_FALSE(is_alive(pid));
  EXPECT_EQ(transfer().next_check(), Instant::max());
  EXPECT_THAT(transfer().collect(), IsEmpty());
}

}  // namespace
}  // namespace libsync
