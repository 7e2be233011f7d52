#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <vector>

#include "rsync/rsync_transfer.h"
#include "temporary_folder.h"

namespace libsync {
namespace {

using testing::Contains;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;
using testing::StartsWith;

Address address(const std::string& text) { return Address::parse(text).value(); }

RsyncOptions plain_options() {
  RsyncOptions options;
  options.program = "/usr/bin/rsync";
  return options;
}

PullRequest plain_pull() {
  return {address("10.1.2.3"), ".libsync/abc", {"p00000"}, "/srv/repo/.libsync/abc/incoming"};
}

PushRequest plain_push() {
  return {address("10.1.2.3"), "/srv/repo/.libsync/abc", {"manifest"}, "push/abc"};
}

TEST(RsyncArguments, BothDirectionsBoundTheWaitAndReadNamesFromAPipe) {
  for (const auto& all : {pull_arguments(plain_options(), plain_pull()),
                          push_arguments(plain_options(), plain_push())}) {
    EXPECT_THAT(all, IsSupersetOf({"--sockopts=TCP_NODELAY", "--contimeout=10", "--timeout=60",
                                   "--port=873", "--files-from=-", "--from0", "--outbuf=L",
                                   "--out-format=%b %n"}));
  }
}

TEST(RsyncArguments, PullsWriteInPlaceAndNameTheSourceBeforeTheFolder) {
  const auto all = pull_arguments(plain_options(), plain_pull());
  EXPECT_THAT(all, IsSupersetOf({"--inplace", "--chmod=F0640"}));
  EXPECT_EQ(all[all.size() - 2], "rsync://10.1.2.3/repo/");
  EXPECT_EQ(all.back(), "/srv/repo/.libsync/abc/incoming/");
}

TEST(RsyncArguments, PushesMakeTheFolderAndNameTheSpoolBeforeTheTarget) {
  const auto all = push_arguments(plain_options(), plain_push());
  EXPECT_THAT(all, Contains("--mkpath"));
  EXPECT_EQ(all[all.size() - 2], "/srv/repo/.libsync/abc/");
  EXPECT_EQ(all.back(), "rsync://10.1.2.3/libsync-push/push/abc/");
}

TEST(RsyncArguments, CarryUserPortModulePasswordFileAndLimit) {
  auto options = plain_options();
  options.user = "fanout";
  options.port = 1873;
  options.module = "depot";
  options.password_file = "/etc/sync-fanout/rsync.password";
  options.bandwidth_limit = "20m";
  EXPECT_THAT(pull_arguments(options, plain_pull()),
              IsSupersetOf({"--port=1873", "--password-file=/etc/sync-fanout/rsync.password",
                            "--bwlimit=20m", "rsync://fanout@10.1.2.3/depot/"}));
}

TEST(RsyncArguments, NeverHoldThePasswordItself) {
  const test::TemporaryFolder folder;
  auto options = plain_options();
  options.user = "fanout";
  options.password_file = folder.path() / "password";
  test::write_file(options.password_file, "open sesame\n");
  auto all = pull_arguments(options, plain_pull());
  for (auto& argument : push_arguments(options, plain_push())) all.push_back(std::move(argument));
  for (const auto& argument : all) EXPECT_THAT(argument, Not(HasSubstr("sesame")));
}

TEST(RsyncArguments, NeverHoldTheNamesOfFiles) {
  auto request = plain_pull();
  request.names = {"p00017"};
  for (const auto& argument : pull_arguments(plain_options(), request)) {
    EXPECT_THAT(argument, Not(HasSubstr("p00017")));
  }
}

TEST(RsyncArguments, IgnoreMissingFilesOnlyWhereNoHostPromisedThem) {
  auto request = plain_pull();
  EXPECT_THAT(pull_arguments(plain_options(), request), Not(Contains("--ignore-missing-args")));
  request.absent = Absent::is_ignored;
  EXPECT_THAT(pull_arguments(plain_options(), request), Contains("--ignore-missing-args"));
}

TEST(RsyncArguments, PutIpv6InBrackets) {
  auto pull = plain_pull();
  pull.source = address("fd00::7");
  EXPECT_THAT(pull_arguments(plain_options(), pull), Contains("rsync://[fd00::7]/repo/"));
  auto push = plain_push();
  push.target = address("fd00::7");
  auto options = plain_options();
  options.user = "fanout";
  EXPECT_THAT(push_arguments(options, push).back(),
              "rsync://fanout@[fd00::7]/libsync-push/push/abc/");
}

TEST(RsyncArguments, APushIntoTheModuleOfPullsNamesTheStateFolder) {
  auto options = plain_options();
  options.push_module = options.module;
  EXPECT_EQ(push_arguments(options, plain_push()).back(),
            "rsync://10.1.2.3/repo/.libsync/push/abc/");
}

// rsync reads no word after `--` as an option.
TEST(RsyncArguments, TheOptionsEndBeforeAddressesAndFolders) {
  for (const auto& all : {pull_arguments(plain_options(), plain_pull()),
                          push_arguments(plain_options(), plain_push())}) {
    ASSERT_GE(all.size(), 3U);
    EXPECT_EQ(all[all.size() - 3], "--");
  }
}

struct Case {
  int code;
  const char* errors;
  PullEnd end;
  const char* way_out;
};

std::ostream& operator<<(std::ostream& stream, const Case& row) {
  return stream << row.code << " " << row.errors;
}

class RsyncJudge : public testing::TestWithParam<Case> {};

TEST_P(RsyncJudge, SortsTheEnd) {
  const auto& [code, errors, end, way_out] = GetParam();
  const auto verdict = judge(address("10.1.2.3"), Exited{code}, errors);
  EXPECT_EQ(verdict.end, end);
  EXPECT_THAT(verdict.detail, StartsWith("rsync with 10.1.2.3"));
  EXPECT_THAT(verdict.detail, EndsWith(way_out));
}

// The messages are those of rsync 3.2.7 under LC_ALL=C.
INSTANTIATE_TEST_SUITE_P(
    Messages, RsyncJudge,
    testing::Values(
        Case{5,
             "@ERROR: max connections (4) reached -- try again later\n"
             "rsync error: error starting client-server protocol (code 5) at main.c(1863)\n",
             PullEnd::busy, "'max connections' in its rsyncd.conf"},
        Case{23,
             "rsync: [sender] link_stat \"/.libsync/abc/p00000\" (in repo) failed: No such file or "
             "directory (2)\n",
             PullEnd::missing, "hashes it again"},
        Case{23, "rsync: [sender] send_files failed to open \"p00000\": Permission denied (13)\n",
             PullEnd::missing, "sets the modes"},
        Case{5, "@ERROR: auth failed on module repo\n", PullEnd::refused, "secrets file there"},
        Case{5, "@ERROR: Unknown module 'repo'\n", PullEnd::refused,
             "or the name of the module or 'hosts allow' in its rsyncd.conf"},
        Case{4,
             "Failed to negotiate a checksum choice.\n"
             "rsync error: requested action not supported (code 4) at compat.c(353)\n",
             PullEnd::refused, "update it to 3.2.7 or newer"},
        Case{10,
             "The server is configured to refuse --inplace\n"
             "rsync error: error in socket IO (code 10)\n",
             PullEnd::refused, "'refuse options' in its rsyncd.conf"},
        Case{5, "@ERROR: access denied to repo from host (10.1.2.9)\n", PullEnd::refused,
             "'hosts allow' in its rsyncd.conf"},
        Case{5, "@ERROR: chroot failed\n", PullEnd::refused, "correct its rsyncd.conf"},
        Case{5, "@ERROR: chdir failed\n", PullEnd::refused, "correct its rsyncd.conf"},
        Case{1, "ERROR: password file must not be other-accessible\n", PullEnd::local,
             "for this user only"},
        Case{11, "rsync: [receiver] write failed on \"p00000\": No space left on device (28)\n",
             PullEnd::local, "free space on the receiving host, where --repo lies"},
        Case{11, "rsync: [receiver] write failed on \"p00000\": File too large (27)\n",
             PullEnd::corrupt, "and which program answers there"},
        Case{11, "rsync: [receiver] write failed on \"p00000\": Disk quota exceeded (122)\n",
             PullEnd::local, "free space on the receiving host, where --repo lies"},
        // The source complains about its own disk.
        Case{11,
             "rsync: [sender] write failed: No space left on device (28)\n"
             "rsync error: error in file IO (code 11) at io.c(1892) [generator=3.5.0]\n",
             PullEnd::unreachable, "its rsyncd and the network"},
        Case{5, "@ERROR: Read-only file system\n", PullEnd::unreachable,
             "its rsyncd and the network"},
        Case{1, "rsync: --bwlimit=fast is invalid\n", PullEnd::local, "a rate such as 50m"},
        Case{23, "rsync: [receiver] mkstemp failed: Read-only file system (30)\n", PullEnd::local,
             "mount --repo of the receiving host writable"},
        Case{10, "rsync: [Receiver] failed to connect to 10.1.2.3 (10.1.2.3): Connection refused\n",
             PullEnd::unreachable, "start its rsync daemon"},
        Case{10, "rsync: [Receiver] failed to connect: No route to host (113)\n",
             PullEnd::unreachable, "the network and its firewall"},
        Case{35, "rsync error: timeout waiting for daemon connection (code 35): timed out\n",
             PullEnd::unreachable, "the network and its firewall"}));

INSTANTIATE_TEST_SUITE_P(
    Statuses, RsyncJudge,
    testing::Values(
        Case{1, "", PullEnd::refused, "a current rsync on both hosts"},
        Case{2, "protocol version mismatch\n", PullEnd::refused, "a current rsync on both hosts"},
        Case{4, "", PullEnd::refused, "a current rsync on both hosts"},
        Case{3, "", PullEnd::local, "disk and memory"},
        Case{11, "", PullEnd::local, "disk and memory"},
        Case{13, "", PullEnd::local, "disk and memory"},
        Case{14, "", PullEnd::local, "disk and memory"},
        // A process of the rsync on this host crashed, or was killed.
        Case{15, "", PullEnd::local, "disk and memory"},
        Case{16, "", PullEnd::local, "disk and memory"},
        Case{21, "", PullEnd::local, "disk and memory"},
        Case{22, "", PullEnd::local, "disk and memory"},
        Case{5, "", PullEnd::unreachable, "its rsyncd and the network"},
        Case{10, "", PullEnd::unreachable, "its rsyncd and the network"},
        Case{12, "rsync: connection unexpectedly closed\n", PullEnd::unreachable,
             "its rsyncd and the network"},
        Case{20, "", PullEnd::unreachable, "its rsyncd and the network"},
        Case{24, "", PullEnd::unreachable, "its rsyncd and the network"},
        Case{30, "", PullEnd::unreachable, "its rsyncd and the network"},
        Case{23, "rsync: [receiver] rename failed: Permission denied (13)\n", PullEnd::local,
             "disk and permissions"},
        Case{23, "rsync: [generator] recv_generator: mkdir failed: Permission denied (13)\n",
             PullEnd::local, "disk and permissions"},
        Case{23,
             "rsync: [sender] read errors mapping \"p00000\": Input/output error (5)\n"
             "rsync error: some files were not transferred (code 23) [generator]\n",
             PullEnd::unreachable, "read --repo there"}));

TEST(RsyncVerdict, NamesTheAddressOfThePeerTwiceAtMost) {
  for (const std::string peer : {"10.1.2.3", "fd00::1"}) {
    const auto verdict = judge(address(peer), Exited{10},
                               "rsync: [Receiver] failed to connect to " + peer + " (" + peer +
                                   "): Connection refused\n"
                                   "rsync error: error in socket IO (code 10)\n");
    EXPECT_EQ(verdict.detail, "rsync with " + peer + ": rsync: [Receiver] failed to connect to " +
                                  peer + ": Connection refused: start its rsync daemon");
  }
}

TEST(RsyncVerdict, AGoodEndHasNoDetail) {
  const auto verdict = judge(address("10.1.2.3"), Exited{0}, "some warning\n");
  EXPECT_EQ(verdict.end, PullEnd::good);
  EXPECT_EQ(verdict.detail, "");
}

// The minion renames a file as soon as it has verified it, perhaps before rsync has closed it.
class RsyncLateComplaint : public testing::Test {
 protected:
  static PullEnd judged(const std::string& complaints, int code = 23) {
    const auto summary =
        "rsync error: some files/attrs were not transferred (see previous errors) (code " +
        std::to_string(code) + ") at main.c(1956) [generator=3.5.0]\n";
    return judge(address("10.1.2.3"), Exited{code}, complaints + summary, {"p00000", "p00001"}).end;
  }
  static std::string late(const std::string& act, const std::string& name) {
    return "rsync: [receiver] " + act + " \"/srv/a \" b/.libsync/abc/incoming/" + name +
           "\": No such file or directory (2)\n";
  }
  // rsync 3.2.7 and 3.5.0 use these words.
  static std::string late_stat(const std::string& name) {
    return "rsync: [receiver] stat \"/srv/repo/.libsync/abc/incoming/" + name +
           "\" failed: No such file or directory (2)\n";
  }
};

TEST_F(RsyncLateComplaint, IsIgnored) {
  EXPECT_EQ(judged(late_stat("p00000")), PullEnd::good);
  EXPECT_EQ(judged(late("failed to set permissions on", "p00001")), PullEnd::good);
  EXPECT_EQ(judged(late_stat("p00000") + late_stat("p00001")), PullEnd::good);
}

TEST_F(RsyncLateComplaint, HidesNoOther) {
  EXPECT_EQ(judged(late_stat("p00002")), PullEnd::local) << "rsync never printed its name";
  EXPECT_EQ(judged(late_stat("p00000") +
                   "rsync: [receiver] mkstemp \"p00002\" failed: Permission denied (13)\n"),
            PullEnd::local);
  EXPECT_EQ(judged(late_stat("p00000") +
                   "rsync: [sender] link_stat \"/.libsync/abc/p00002\" (in repo) failed: No such "
                   "file or directory (2)\n"),
            PullEnd::missing);
  EXPECT_EQ(judged(late_stat("p00000"), 11), PullEnd::local);
  EXPECT_EQ(judged(""), PullEnd::unreachable) << "without any complaint";
}

TEST(RsyncVerdict, AbsentFilesAreIgnoredWhereNoHostPromisedThemAndHideNoOtherFault) {
  const std::string absent =
      "rsync: [sender] link_stat \"/.libsync/abc/p00002\" (in repo) failed: No such file or "
      "directory (2)\n";
  const std::string summary =
      "rsync error: some files/attrs were not transferred (see previous errors) (code 23) at "
      "main.c(1956) [generator=3.5.0]\n";
  const auto judged = [&](const std::string& errors, Absent meaning = Absent::is_ignored) {
    return judge(address("10.1.2.3"), Exited{23}, errors + summary, {}, meaning).end;
  };
  EXPECT_EQ(judged(absent), PullEnd::good);
  EXPECT_EQ(judged(absent + "rsync: [Receiver] read error: Connection reset by peer (104)\n"),
            PullEnd::good);
  EXPECT_EQ(judged(absent, Absent::is_fault), PullEnd::missing);
  EXPECT_EQ(
      judged(absent + "rsync: [receiver] mkstemp \"p00003\" failed: Permission denied (13)\n"),
      PullEnd::missing);
  EXPECT_EQ(
      judged("rsync: [sender] send_files failed to open \"p00003\": Permission denied (13)\n"),
      PullEnd::missing);
  EXPECT_EQ(judged(""), PullEnd::unreachable);
}

TEST(RsyncVerdict, ASignalFromElsewhereIsAFaultOfThisHostAndNotOfTheSource) {
  const auto verdict = judge(address("10.1.2.3"), Signalled{SIGKILL}, "");
  EXPECT_EQ(verdict.end, PullEnd::local);
  EXPECT_THAT(verdict.detail, HasSubstr("signal 9"));
}

TEST(RsyncVerdict, QuotesTheFirstLineEscaped) {
  const auto verdict = judge(address("10.1.2.3"), Exited{12}, "\nbad \x1b[31m bytes\nsecond\n");
  EXPECT_THAT(verdict.detail, HasSubstr("bad "));
  EXPECT_THAT(verdict.detail, Not(HasSubstr("second")));
  EXPECT_THAT(verdict.detail, Not(HasSubstr("\x1b")));
  EXPECT_THAT(judge(address("10.1.2.3"), Exited{12}, "").detail, HasSubstr("no message"));
}

TEST(ReadArrived, ReadsBytesAndName) {
  const auto file = read_arrived("65584 p00017");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->wire_bytes, 65584U);
  EXPECT_EQ(file->name, "p00017");
  EXPECT_EQ(read_arrived("0 a b").value().name, "a b");
  EXPECT_EQ(read_arrived("18446744073709551615 x").value().wire_bytes, UINT64_MAX);
}

TEST(ReadArrived, ReadsNothingElse) {
  for (const auto* const line :
       {"", " ", "p00017", "1", "1 ", " p00017", "-1 p00017", "+1 p00017", "1,024 p00017",
        "1.5K p00017", "18446744073709551616 p00017", "rsync: connection reset"}) {
    EXPECT_FALSE(read_arrived(line)) << line;
  }
}

}  // namespace
}  // namespace libsync
