// The lines of cron that start a tick.

#include "programs/cron_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "temporary_folder.h"

namespace libsync::test {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

TEST(CronLines, AreInTheShippedFiles) {
  const auto master = content_of(SOURCE_FOLDER "/cron/sync-fanout-master");
  const auto minion = content_of(SOURCE_FOLDER "/cron/sync-fanout-minion");
  EXPECT_THAT(cron_lines_in(master, "sync-master"), SizeIs(1));
  EXPECT_THAT(cron_lines_in(minion, "sync-minion"), SizeIs(1));
  EXPECT_THAT(cron_lines_in(minion, "sync-master"), IsEmpty());
}

TEST(CronLines, StartATickAndNothingElse) {
  EXPECT_THAT(
      cron_lines_in("*/2 * * * * /usr/local/bin/sync-minion --linger 115s\n", "sync-minion"),
      SizeIs(1));
  EXPECT_THAT(cron_lines_in("*/2 * * * * sync-minion run\n", "sync-minion"), SizeIs(1));
  EXPECT_THAT(cron_lines_in("# */2 * * * * sync-minion\n#x sync-minion", "sync-minion"), IsEmpty());
  EXPECT_THAT(cron_lines_in("* * * * * sync-master status --json > /x\n", "sync-master"),
              IsEmpty());
  EXPECT_THAT(cron_lines_in("* * * * * sync-master-old\n", "sync-master"), IsEmpty());
  EXPECT_THAT(cron_lines_in("", "sync-master"), IsEmpty());
}

}  // namespace
}  // namespace libsync::test
