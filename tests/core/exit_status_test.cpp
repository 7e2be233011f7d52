#include "libsync/core/exit_status.h"

#include <gtest/gtest.h>

#include <string>

#include "temporary_folder.h"
#include "test_process.h"

namespace libsync {
namespace {

TEST(ExitStatus, CountsFromZeroWithoutGapsAndIsThatOfTimeoutForAWait) {
  int expected = 0;
  for (const auto& row : exit_status_table().first(6)) {
    EXPECT_EQ(static_cast<int>(row.status), expected++);
  }
  ASSERT_EQ(exit_status_table().size(), 7U);
  EXPECT_EQ(static_cast<int>(exit_status_table().back().status), 124);
}

TEST(ExitStatus, HelpOfBothProgramsHoldsTheTable) {
  for (const auto* const program : {"sync-master", "sync-minion"}) {
    const auto help = test::run({std::string(PROGRAM_FOLDER "/") + program, "--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_NE(help.output.find(exit_status_help()), std::string::npos) << help.output;
  }
}

TEST(ExitStatus, ReadmeHoldsTheTable) {
  const auto readme = test::content_of(SOURCE_FOLDER "/README.md");
  for (const auto& [status, meaning] : exit_status_table()) {
    const auto row =
        "| " + std::to_string(static_cast<int>(status)) + " | " + std::string(meaning) + " |";
    EXPECT_NE(readme.find(row), std::string::npos) << row;
  }
}

}  // namespace
}  // namespace libsync
