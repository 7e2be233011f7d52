// What rsync is told, what its end means, and that our own clock ends one that hangs.

#include "rsync_transfer.h"

#include <gmock/gmock.h>
#include <signal.h>

#include "hand_clock.h"
#include "temporary_folder.h"
#include "test_process.h"

namespace libsync {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

Address address(const std::string& text) { return Address::parse(text).value(); }

RsyncOptions options() {
  return {.program = "/usr/bin/rsync", .user = "sre", .password_file = "/etc/rsync.password"};
}

PullRequest request() {
  return {.source = address("10.0.0.7"),
          .folder = ".libsync/f",
          .names = {"manifest", "p00001"},
          .into = "/data1/repo/.libsync/f/incoming",
          .bytes = 1000};
}

TEST(RsyncTransfer, APullHasAlwaysTheSameShape) {
  EXPECT_THAT(pull_arguments(options(), request()),
              ElementsAre("--no-motd", "--sockopts=TCP_NODELAY", "--contimeout=10", "--timeout=60",
                          "--port=873", "--files-from=-", "--from0", "--outbuf=L",
                          "--out-format=%b %n", "--password-file=/etc/rsync.password", "--inplace",
                          "--", "rsync://sre@10.0.0.7/repo/", "/data1/repo/.libsync/f/incoming/"));
}

TEST(RsyncTransfer, WhatIsNotConfiguredIsNotSaid) {
  auto plain = options();
  plain.user.clear();
  plain.password_file.clear();
  auto sparse = request();
  sparse.source = address("fd00::7");
  sparse.density = Density::sparse;
  const auto arguments = pull_arguments(plain, sparse);
  EXPECT_THAT(arguments, AllOf(Contains("rsync://[fd00::7]/repo/"), Contains("--sparse")));
  for (const auto& argument : arguments) EXPECT_THAT(argument, Not(HasSubstr("password")));
  plain.bandwidth_limit = "5m";
  EXPECT_THAT(pull_arguments(plain, sparse), Contains("--bwlimit=5m"));
}

TEST(RsyncTransfer, APushGoesToTheStateFolderByEitherModule) {
  const PushRequest push{.target = address("10.0.0.7"),
                         .from = "/repo/.libsync/f",
                         .names = {"p00000"},
                         .folder = "push/f"};
  auto through = options();
  EXPECT_THAT(push_arguments(through, push), Contains("rsync://sre@10.0.0.7/libsync-push/push/f/"));
  through.push_module = through.module;
  EXPECT_THAT(push_arguments(through, push),
              AllOf(Contains("rsync://sre@10.0.0.7/repo/.libsync/push/f/"), Contains("--mkpath"),
                    Contains("/repo/.libsync/f/")));
}

TEST(RsyncTransfer, AnEndIsJudgedByStatusAndMessage) {
  const struct {
    int code;
    const char* errors;
    PullEnd end;
    const char* way_out;
  } rows[] = {
      {0, "", PullEnd::good, ""},
      {5, "@ERROR: max connections (4) reached -- try again later", PullEnd::busy, "max conn"},
      {5, "@ERROR: auth failed on module repo", PullEnd::refused, "--rsync-password-file"},
      {5, "@ERROR: Unknown module 'x'", PullEnd::refused, "--module"},
      {5, "@ERROR: access denied to repo from h (1.2.3.4)", PullEnd::refused, "hosts allow"},
      {5, "rsync: did not see server greeting", PullEnd::unreachable, "its rsyncd"},
      {10, "rsync: failed to connect to h (h): Connection refused (111)", PullEnd::unreachable,
       "start its rsync daemon"},
      {10, "The server is configured to refuse --inplace", PullEnd::refused, "refuse options"},
      {10, "rsync: failed to connect: No route to host (113)", PullEnd::unreachable, "firewall"},
      {12, "rsync: connection unexpectedly closed (0 bytes)", PullEnd::unreachable, "network"},
      {11, "rsync: write failed: No space left on device (28)", PullEnd::local, "free space"},
      {11, "rsync: mkstemp: Read-only file system (30)", PullEnd::local, "writable"},
      {1, "ERROR: password file must not be other-accessible", PullEnd::local, "this user only"},
      {1, "rsync: unknown option", PullEnd::refused, "current rsync"},
      {3, "change_dir failed", PullEnd::local, "disk"},
      {23, "rsync: [sender] link_stat \"/p\" (in repo) failed: No such file or directory (2)",
       PullEnd::missing, "lost a piece"},
      {23, "rsync: [sender] send_files failed to open \"/p\": Permission denied (13)",
       PullEnd::unreachable, "module's user"},
      {23, "rsync: [receiver] mkstemp failed: Permission denied (13)", PullEnd::local,
       "permissions"},
      {30, "rsync error: timeout in data send/receive", PullEnd::unreachable, "network"},
      {35, "rsync error: timeout waiting for daemon connection", PullEnd::unreachable, "network"},
      {14, "rsync error: error in IPC code", PullEnd::local, "memory"},
  };
  for (const auto& row : rows) {
    const auto verdict = judge(address("10.0.0.7"), Exited{row.code}, row.errors);
    EXPECT_EQ(static_cast<int>(verdict.end), static_cast<int>(row.end)) << row.errors;
    EXPECT_THAT(verdict.detail, HasSubstr(row.way_out)) << row.errors;
    if (row.code != 0) {
      EXPECT_THAT(verdict.detail, HasSubstr("10.0.0.7"));
    }
  }
  EXPECT_EQ(static_cast<int>(judge(address("10.0.0.7"), Signalled{SIGKILL}, "").end),
            static_cast<int>(PullEnd::local));
}

TEST(RsyncTransfer, WhatAPeerSaysIsEscaped) {
  const auto verdict = judge(address("10.0.0.7"), Exited{12}, "\033[2Jgone\a\n");
  EXPECT_THAT(verdict.detail, AllOf(HasSubstr("\\x1b[2Jgone\\x07"), Not(HasSubstr("\033"))));
}

// A program in rsync's place.
class StandIn : public testing::Test {
 protected:
  RsyncTransfer transfer(const std::string& script, const std::string& bandwidth_limit = "") {
    test::write_file(program_, "#!/bin/bash\n" + script);
    std::filesystem::permissions(program_, std::filesystem::perms(0755));
    return RsyncTransfer({.program = program_, .bandwidth_limit = bandwidth_limit}, clock_);
  }

  /// Collects until the transfer has ended.
  std::vector<TransferEvent> all_of(RsyncTransfer& transfer) {
    std::vector<TransferEvent> all;
    const bool has_ended = test::eventually([&] {
      for (auto& event : transfer.collect()) all.push_back(std::move(event));
      return !all.empty() && std::holds_alternative<TransferEnded>(all.back());
    });
    EXPECT_TRUE(has_ended);
    return all;
  }

  /// What has been read so far, its own program included, is no news at the next look.
  void look(RsyncTransfer& transfer) {
    clock_.advance(1s);
    EXPECT_TRUE(transfer.collect().empty());
  }

  std::string written(const std::string& name) {
    const auto path = folder_.path() / name;
    EXPECT_TRUE(test::eventually(
        [&] { return std::filesystem::exists(path) && std::filesystem::file_size(path) > 0; }));
    return test::content_of(path);
  }

  std::string path(const std::string& name) { return (folder_.path() / name).string(); }

  test::TemporaryFolder folder_;
  std::filesystem::path program_ = folder_.path() / "rsync";
  test::HandClock clock_;
};

TEST_F(StandIn, FilesArriveInOrderBeforeTheEnd) {
  auto rsync = transfer("echo '10 manifest'; echo '2000 p00001'; echo nonsense");
  static_cast<void>(rsync.start(request()));
  const auto events = all_of(rsync);
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(std::get<FileArrived>(events[0]).name, "manifest");
  EXPECT_EQ(std::get<FileArrived>(events[1]).name, "p00001");
  EXPECT_EQ(std::get<FileArrived>(events[1]).wire_bytes, 2000U);
  EXPECT_EQ(std::get<TransferEnded>(events[2]).end, PullEnd::good);
}

TEST_F(StandIn, TheNamesGoToStandardInput) {
  auto rsync = transfer("tr '\\0' '|' > " + path("names"));
  static_cast<void>(rsync.start(request()));
  static_cast<void>(all_of(rsync));
  EXPECT_EQ(written("names"), ".libsync/f/./manifest|.libsync/f/./p00001|");
}

TEST_F(StandIn, TheEnvironmentIsFixedAndNoDescriptorIsInherited) {
  setenv("RSYNC_CONNECT_PROG", "touch /tmp/never", 1);
  auto rsync = transfer("tr '\\0' '\\n' < /proc/$$/environ > " + path("environment") +
                        "; ls /proc/self/fd > " + path("descriptors"));
  static_cast<void>(rsync.start(request()));
  static_cast<void>(all_of(rsync));
  unsetenv("RSYNC_CONNECT_PROG");
  EXPECT_THAT(written("environment"),
              AllOf(HasSubstr("PATH=/usr/bin:/bin\n"), HasSubstr("LC_ALL=C\n"),
                    HasSubstr("HOME=/nonexistent\n"), Not(HasSubstr("RSYNC"))));
  // 3 is what `ls` reads the folder by.
  EXPECT_EQ(written("descriptors"), "0\n1\n2\n3\n");
}

TEST_F(StandIn, OneThatMovesNothingForAMinuteIsEnded) {
  auto rsync = transfer("echo $$ > " + path("pid") + "; sleep 1000");
  static_cast<void>(rsync.start(request()));
  static_cast<void>(written("pid"));
  look(rsync);
  clock_.advance(59s);
  EXPECT_TRUE(rsync.collect().empty());
  clock_.advance(2s);
  const auto ended = std::get<TransferEnded>(all_of(rsync).back());
  EXPECT_EQ(ended.end, PullEnd::unreachable);
  EXPECT_THAT(ended.detail, HasSubstr("has moved nothing for 60 s"));
}

TEST_F(StandIn, OneThatIgnoresTermIsKilledWithAllItsChildren) {
  auto rsync = transfer("trap '' TERM; (trap '' TERM; echo $BASHPID > " + path("grandchild") +
                        "; while :; do sleep 1; done) & while :; do sleep 1; done");
  static_cast<void>(rsync.start(request()));
  const int grandchild = std::stoi(written("grandchild"));
  look(rsync);
  clock_.advance(61s);
  EXPECT_TRUE(rsync.collect().empty());
  EXPECT_EQ(kill(grandchild, 0), 0);
  clock_.advance(6s);
  EXPECT_EQ(std::get<TransferEnded>(all_of(rsync).back()).end, PullEnd::unreachable);
  EXPECT_TRUE(test::eventually([&] { return kill(grandchild, 0) != 0; }));
}

TEST_F(StandIn, BytesThatMoveKeepItAliveUntilItsDeadline) {
  for (const auto* const limit : {"", "10k"}) {
    auto rsync = transfer("while :; do echo '1 p00001'; sleep 0.01; done", limit);
    static_cast<void>(rsync.start(request()));
    std::optional<TransferEnded> ended;
    // A line of its output is movement too.
    for (int minutes = 0; minutes < 15 && !ended; ++minutes) {
      clock_.advance(45s);
      ASSERT_TRUE(test::eventually([&] {
        const auto events = rsync.collect();
        if (events.empty()) return false;
        const auto* const end = std::get_if<TransferEnded>(&events.back());
        if (end != nullptr) ended = *end;
        return true;
      }));
    }
    if (std::string(limit).empty()) {
      ASSERT_TRUE(ended);
      EXPECT_THAT(ended->detail, HasSubstr("past its deadline"));
    } else {
      EXPECT_FALSE(ended) << "it is as slow as was asked";
      rsync.end_all();
    }
  }
}

}  // namespace
}  // namespace libsync
