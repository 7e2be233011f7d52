// A pull that is ended keeps the bytes that have come, whether rsync obeys TERM or is killed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <optional>

#include "os/system_clock.h"
#include "rsync/rsync_transfer.h"
#include "temporary_folder.h"
#include "test_process.h"

namespace libsync {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kBytes = 8'000'000;

class FarewellTest : public testing::Test {
 protected:
  FarewellTest() {
    test::write_file(module() / "abc" / "p00000", content_);
    std::filesystem::create_directory(into());
    const auto port = 20'000 + getpid() % 10'000;
    test::write_file(folder_.path() / "rsyncd.conf",
                     "use chroot = no\naddress = 127.0.0.1\nport = " + std::to_string(port) +
                         "\n[repo]\npath = " + module().string() + "\n");
    daemon_.emplace(
        std::vector<std::string>{"rsync", "--daemon", "--no-detach",
                                 "--config=" + (folder_.path() / "rsyncd.conf").string()},
        folder_.path() / "daemon");
    options_.program = "/usr/bin/rsync";
    options_.port = static_cast<std::uint16_t>(port);
    options_.bandwidth_limit = "1m";
    EXPECT_TRUE(test::eventually([&] {
      return test::run({"rsync", "rsync://127.0.0.1:" + std::to_string(port)}).status == 0;
    }));
  }

  [[nodiscard]] std::filesystem::path module() const { return folder_.path() / "repo"; }
  [[nodiscard]] std::filesystem::path into() const { return folder_.path() / "into"; }
  [[nodiscard]] std::uint64_t come() const {
    std::error_code absent;
    const auto bytes = std::filesystem::file_size(into() / "p00000", absent);
    return absent ? 0 : bytes;
  }
  [[nodiscard]] TransferId pull(RsyncTransfer& transfer) const {
    return transfer.start(PullRequest{.source = Address::parse("127.0.0.1").value(),
                                      .folder = "abc",
                                      .names = {"p00000"},
                                      .into = into(),
                                      .largest = kBytes});
  }
  void pull_a_part(RsyncTransfer& transfer) {
    static_cast<void>(pull(transfer));
    ASSERT_TRUE(test::eventually([&] {
      static_cast<void>(transfer.collect());
      return come() > 1'000'000;
    }));
    ASSERT_LT(come(), kBytes);
  }
  // The rest comes, and no more than the rest.
  void pull_the_rest(std::uint64_t kept) {
    EXPECT_GE(kept, 1'000'000U);
    EXPECT_EQ(come(), kept);
    options_.bandwidth_limit = "";
    RsyncTransfer transfer(options_, clock_);
    static_cast<void>(pull(transfer));
    std::optional<TransferEnded> ended;
    std::uint64_t wire_bytes = 0;
    ASSERT_TRUE(test::eventually([&] {
      for (const auto& event : transfer.collect()) {
        if (const auto* const file = std::get_if<FileArrived>(&event)) {
          wire_bytes += file->wire_bytes;
        } else if (const auto* const end = std::get_if<TransferEnded>(&event)) {
          ended = *end;
        }
      }
      return ended.has_value();
    }));
    EXPECT_EQ(ended->end, PullEnd::good) << ended->detail;
    EXPECT_LT(wire_bytes, kBytes - kept + 500'000);
    EXPECT_TRUE(test::content_of(into() / "p00000") == content_);
  }

  test::TemporaryFolder folder_;
  std::string content_ = test::random_bytes(kBytes, 3);
  SystemClock clock_;
  RsyncOptions options_;
  std::optional<test::Background> daemon_;
};

TEST_F(FarewellTest, APullThatIsEndedKeepsWhatHasCome) {
  RsyncTransfer transfer(options_, clock_);
  pull_a_part(transfer);
  const auto before = clock_.now();
  transfer.end_all();
  EXPECT_LE(clock_.now() - before, 700ms);
  pull_the_rest(come());
}

// So does one that needs longer than the farewell.
TEST_F(FarewellTest, APullThatIsKilledKeepsWhatHasCome) {
  {
    RsyncTransfer transfer(options_, clock_);
    pull_a_part(transfer);
  }  // Kills it.
  pull_the_rest(come());
}

}  // namespace
}  // namespace libsync
