// A host finds by `rsync --version` whether its rsync is too old to serve.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hand_clock.h"
#include "libsync/core/failure.h"
#include "rsync/rsync_version.h"
#include "temporary_folder.h"
#include "test_process.h"

namespace libsync {
namespace {

TEST(RsyncVersion, OlderThan32IsNamed) {
  const struct {
    const char* line;
    const char* version;
  } rows[] = {
      {"rsync  version 3.1.3  protocol version 31", "3.1.3"},
      {"rsync  version 2.6.9  protocol version 29", "2.6.9"},
      {"rsync version v3.1.2 protocol version 31", "3.1.2"},
      {"rsync  version 3.1", "3.1"},
      {"rsync  version 3.1.4pre1  protocol version 31", "3.1.4pre1"},
      {"rsync  version 3.1.\x1b[31m  protocol", "3.1.\\x1b[31m"},
      {"rsync  version 3.1.00000000000000000000000000000", "3.1.0000000000000000"},
  };
  for (const auto& row : rows) EXPECT_EQ(old_version(row.line), row.version) << row.line;
}

TEST(RsyncVersion, NewerVersionsAndOtherFormsAreAccepted) {
  for (const auto* const line :
       {"rsync  version 3.2.0  protocol version 31", "rsync  version v3.2.7  protocol version 31",
        "rsync  version 3.5.0  protocol version 32", "rsync  version 3.10.0", "rsync  version 4.0",
        "openrsync: protocol version 29", "rsync", "rsync  version", "rsync  version 3",
        "rsync  version 3.", "rsync  version .1", "rsync  version -3.1", "rsync  version x3.1.3",
        "rsync  version 99999999999999999999.1", "rsync  version 3.99999999999999999999",
        "version 3.1.3", "", " ", "rsync: unknown option --version"}) {
    EXPECT_EQ(old_version(line), std::nullopt) << line;
  }
}

class RsyncAtStart : public testing::Test {
 protected:
  // The failure with this script instead of rsync; empty if there is none.
  std::string failure_of(const std::string& script) {
    const auto program = folder_.path() / "rsync";
    test::write_file(program, "#!/bin/sh\n" + script);
    std::filesystem::permissions(program, std::filesystem::perms(0755));
    try {
      require_new_rsync(program, clock_);
      return {};
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.status(), ExitStatus::no_source);
      EXPECT_EQ(failure.remedy(), Remedy::operator_acts);
      return failure.what();
    }
  }

  test::TemporaryFolder folder_;
  test::HandClock clock_;
};

TEST_F(RsyncAtStart, RunsWithTheOptionVersionAlone) {
  EXPECT_EQ(failure_of("echo \"$@\" >" + (folder_.path() / "options").string() +
                       "\necho 'rsync  version 3.2.7  protocol version 31'"),
            "");
  EXPECT_EQ(test::content_of(folder_.path() / "options"), "--version\n");
}

TEST_F(RsyncAtStart, FailsIfItIsOld) {
  EXPECT_EQ(failure_of("printf 'rsync  version 3.1.3  protocol version 31\\nmore\\n'"),
            "rsync 3.1.3 at '" + (folder_.path() / "rsync").string() +
                "' is older than 3.2, and its daemon can serve no peer: update it to 3.2.7 or "
                "newer");
}

TEST_F(RsyncAtStart, HasFiveSecondsToAnswer) {
  EXPECT_EQ(failure_of("exit 127"), "");
  EXPECT_EQ(failure_of("printf 'rsync  version 3.1.3'"), "") << "a line without its end";
  const auto begin = clock_.now();
  clock_.let_waits_pass();
  EXPECT_EQ(failure_of("exec sleep 60"), "");
  EXPECT_EQ(clock_.now() - begin, std::chrono::seconds(5));
}

}  // namespace
}  // namespace libsync
