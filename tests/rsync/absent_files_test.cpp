// A host pulls along trees whatever its parent has by now. Files that the parent lacks must not
// keep the others, whether the daemon allows --ignore-missing-args or not.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "os/system_clock.h"
#include "rsync/rsync_transfer.h"
#include "temporary_folder.h"
#include "test_process.h"

namespace libsync {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Pulled {
  std::vector<std::string> files;
  std::optional<TransferEnded> end;
};

class AbsentFiles : public testing::Test {
 protected:
  AbsentFiles() {
    test::write_file(folder_.path() / "repo" / "abc" / "p00000", "zero");
    test::write_file(folder_.path() / "repo" / "abc" / "p00002", "two");
    std::filesystem::create_directory(folder_.path() / "into");
  }

  void serve(const std::string& refused) {
    const auto port = std::to_string(port_);
    test::write_file(folder_.path() / "rsyncd.conf",
                     "use chroot = no\naddress = 127.0.0.1\nport = " + port + "\n[repo]\npath = " +
                         (folder_.path() / "repo").string() + "\n" + refused + "\n");
    daemon_.emplace(
        std::vector<std::string>{"rsync", "--daemon", "--no-detach",
                                 "--config=" + (folder_.path() / "rsyncd.conf").string()},
        folder_.path() / "daemon");
    ASSERT_TRUE(test::eventually([&] {
      return test::run({"rsync", "rsync://127.0.0.1:" + port}).status == 0;
    }));
  }

  Pulled pull(const std::vector<std::string>& names) {
    const auto id = transfer_.start(PullRequest{.source = Address::parse("127.0.0.1").value(),
                                                .folder = "abc",
                                                .names = names,
                                                .into = folder_.path() / "into",
                                                .largest = 100,
                                                .absent = Absent::is_ignored});
    Pulled pulled;
    EXPECT_TRUE(test::eventually([&] {
      for (const auto& event : transfer_.collect()) {
        if (const auto* const file = std::get_if<FileArrived>(&event)) {
          pulled.files.push_back(file->name);
        } else if (const auto* const end = std::get_if<TransferEnded>(&event)) {
          EXPECT_EQ(end->id, id);
          pulled.end = *end;
        }
      }
      return pulled.end.has_value();
    }));
    return pulled;
  }

  test::TemporaryFolder folder_;
  SystemClock clock_;
  std::uint16_t port_ = static_cast<std::uint16_t>(10'000 + getpid() % 10'000);
  RsyncTransfer transfer_{{.program = "/usr/bin/rsync", .port = port_}, clock_};
  std::optional<test::Background> daemon_;
};

// The line of the shipped file.
std::string shipped_refusals() {
  const auto shipped =
      test::content_of(std::filesystem::path(SOURCE_FOLDER) / "rsyncd/rsyncd.conf");
  const auto at = shipped.find("\nrefuse options = ") + 1;
  return shipped.substr(at, shipped.find('\n', at) - at);
}

TEST_F(AbsentFiles, KeepNoOtherFileAtADaemonWithTheShippedSettings) {
  serve(shipped_refusals());
  const auto pulled = pull({"p00000", "p00001", "p00002", "p00003"});
  EXPECT_THAT(pulled.files, ElementsAre("p00000", "p00002"));
  EXPECT_EQ(pulled.end->end, PullEnd::good) << pulled.end->detail;
  const auto absent = pull({"p00001", "p00003"});
  EXPECT_THAT(absent.files, IsEmpty());
  EXPECT_EQ(absent.end->end, PullEnd::good) << absent.end->detail;
}

// The shipped file of former versions.
TEST_F(AbsentFiles, KeepNoOtherFileAtADaemonThatRefusesTheOption) {
  serve("refuse options = * !inplace !partial !files-from !from0 !relative !timeout");
  const auto first = pull({"p00000", "p00001", "p00002", "p00003"});
  if (first.end->end != PullEnd::good) {  // rsync 3.2.7 brings the files at once.
    EXPECT_EQ(first.end->end, PullEnd::busy) << "nobody accuses the source";
    EXPECT_THAT(first.end->detail, HasSubstr("add !ignore-missing-args to 'refuse options'"));
    EXPECT_THAT(first.files, IsEmpty());
    const auto second = pull({"p00000", "p00001", "p00002", "p00003"});
    EXPECT_THAT(second.files, ElementsAre("p00000", "p00002"));
    EXPECT_EQ(second.end->end, PullEnd::good) << second.end->detail;
  }
  const auto absent = pull({"p00001", "p00003"});
  EXPECT_THAT(absent.files, IsEmpty());
  EXPECT_EQ(absent.end->end, PullEnd::good) << absent.end->detail;
}

}  // namespace
}  // namespace libsync
