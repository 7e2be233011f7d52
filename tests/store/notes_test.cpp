#include "store/notes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "failing_disk.h"
#include "task_path.h"
#include "temporary_folder.h"

namespace libsync {
namespace {

class NotesTest : public testing::Test {
 protected:
  static PublishedNote note(char run) {
    return {.run = RunId::parse(std::string(32, run)).value(),
            .task = test::task_path("/data1/model.7"),
            .manifest = digest_of("manifest"),
            .fed_by = {{Address::parse("10.0.0.1").value(), 3}}};
  }
  static void age(const std::filesystem::path& path) {
    const timespec times[] = {{1000, 0}, {1000, 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }
  // Whether the note still has the time that age() gave it.
  [[nodiscard]] bool is_aged(NotedFault fault) const {
    return notes_.fault(fault).value().at == std::chrono::system_clock::from_time_t(1000);
  }

  test::TemporaryFolder folder_;
  std::filesystem::path at_ = folder_.path() / "notes";
  Notes notes_{folder_.path()};
};

TEST_F(NotesTest, KeepsWhatWasPublishedLastForThisUserAlone) {
  EXPECT_FALSE(notes_.published());
  notes_.publish(note('a'));
  EXPECT_EQ(notes_.published().value().value, note('a'));
  EXPECT_EQ(std::filesystem::status(at_).permissions(), std::filesystem::perms(0700));
  // A tick that finds the payload in place does not know from whom it came.
  auto again = note('a');
  again.fed_by.clear();
  notes_.publish(again);
  EXPECT_EQ(notes_.published().value().value, note('a'));
  auto other = note('b');
  other.fed_by.clear();
  notes_.publish(other);
  EXPECT_EQ(notes_.published().value().value, other);
}

TEST_F(NotesTest, KeepsTheFirstTimeOfAFaultAndTheLastTimeOfAFailure) {
  notes_.keep(NotedFault::feed, "refused");
  notes_.renew(NotedFault::tick, "no space");
  age(at_ / "fault-feed");
  age(at_ / "fault-tick");
  notes_.keep(NotedFault::feed, "refused");
  notes_.renew(NotedFault::tick, "no space");
  EXPECT_TRUE(is_aged(NotedFault::feed));
  EXPECT_FALSE(is_aged(NotedFault::tick));
  notes_.keep(NotedFault::feed, "timed out");
  EXPECT_EQ(notes_.fault(NotedFault::feed).value().value, "timed out");
  EXPECT_FALSE(is_aged(NotedFault::feed));
  notes_.clear(NotedFault::feed);
  EXPECT_FALSE(notes_.fault(NotedFault::feed));
  EXPECT_FALSE(notes_.fault(NotedFault::hook));
}

TEST_F(NotesTest, AFullDiskHarmsNothing) {
  {
    const test::FailingDisk full(1, ENOSPC, test::Failing::forever);
    notes_.publish(note('a'));
    notes_.keep(NotedFault::hook, "status 1");
    notes_.clear(NotedFault::hook);
  }
  EXPECT_FALSE(notes_.published());
  EXPECT_FALSE(notes_.fault(NotedFault::hook));
}

TEST_F(NotesTest, ALongReasonIsCut) {
  notes_.keep(NotedFault::hook, std::string(10'000, 'x'));
  EXPECT_EQ(notes_.fault(NotedFault::hook).value().value.size(), 4096U);
}

}  // namespace
}  // namespace libsync
