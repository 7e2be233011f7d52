// A pull waits until a thread has filled its files with old bytes.

#include "minion/prefill.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "cut_payload.h"
#include "fake_transfer.h"
#include "libsync/core/run_record.h"
#include "minion/running_pulls.h"
#include "os/files.h"
#include "os/random.h"
#include "os/system_clock.h"
#include "store/state_folder.h"
#include "task_path.h"
#include "temporary_folder.h"
#include "test_process.h"

namespace libsync::test {
namespace {

constexpr std::uint64_t kPiece = 1000;

class PrefillTest : public testing::Test {
 protected:
  PrefillTest() {
    std::filesystem::create_directory(repo());
    write_file(repo() / "old", random_bytes(5 * kPiece, 1));
    const CutPayload payload(repo() / "old", kPiece);
    state_.emplace(repo());
    spool_.emplace(state_->spool(random_name<Fingerprint>()));
    spool_->assign(RunRecord{Role::minion, "sync", random_name<RunId>(), task_path("/srv/new"),
                             random_name<Fingerprint>()});
    basis_ = {std::make_shared<const OldCopy>(locate(repo(), "old"), payload.manifest(), kPiece,
                                              std::stop_token()),
              Likeness::shown, 4};
    pulls_.emplace(transfer_, *spool_,
                   RunInfo{.id = random_name<RunId>(),
                           .task = task_path("/srv/new"),
                           .fingerprint = spool_->fingerprint(),
                           .cut = {5 * kPiece, kPiece},
                           .manifest = digest_of("manifest"),
                           .origin = Address::parse("10.0.0.1").value(),
                           .master = random_name<MasterId>()});
  }

  [[nodiscard]] std::filesystem::path repo() const { return folder_.path() / "repo"; }
  [[nodiscard]] std::filesystem::path file() const { return spool_->incoming_path(1); }

  TransferId start() {
    const Assignment of_piece_1{
        Address::parse("10.0.0.7").value(), {{1, digest_of("new bytes")}}, random_name<Token>()};
    return pulls_->start(of_piece_1, basis_);
  }

  // Collects until the thread has done all that it got.
  void settle() {
    SystemClock clock;
    for (int round = 0; round < 20; ++round) {
      std::vector<int> descriptors;
      pulls_->append_descriptors(descriptors);
      clock.wait(clock.now() + Duration{50}, descriptors);
      for (auto& event : pulls_->collect()) events_.push_back(std::move(event));
    }
  }

  TemporaryFolder folder_;
  FakeTransfer transfer_;
  std::optional<StateFolder> state_;
  std::optional<Spool> spool_;
  Basis basis_;
  std::optional<RunningPulls> pulls_;
  std::vector<TransferEvent> events_;
};

TEST_F(PrefillTest, APullStartsWhenItsFileIsFilled) {
  const auto id = start();
  EXPECT_TRUE(transfer_.started().empty());
  settle();
  ASSERT_EQ(transfer_.started().size(), 1U);
  EXPECT_EQ(transfer_.started().front().id, id);
  EXPECT_EQ(std::filesystem::file_size(file()), 2 * kPiece);
}

TEST_F(PrefillTest, APullThatEndsBeforeItBeginsLeavesNoFile) {
  pulls_->end(start(), "was given up");
  settle();
  EXPECT_TRUE(transfer_.started().empty());
  EXPECT_FALSE(std::filesystem::exists(file()));
  EXPECT_EQ(events_.size(), 1U);
}

// rsync and the thread would write the same file.
TEST_F(PrefillTest, TheNextPullOfThePieceWaitsForTheThread) {
  const auto former = start();
  pulls_->end(former, "was given up");
  ASSERT_TRUE(eventually([&] { return status_of(file()) && status_of(file())->st_size > 0; },
                         std::chrono::seconds(20)));
  const auto next = start();
  EXPECT_TRUE(transfer_.started().empty()) << "the thread has not reported";
  settle();
  ASSERT_EQ(transfer_.started().size(), 1U);
  EXPECT_EQ(transfer_.started().front().id, next);
  EXPECT_EQ(std::filesystem::file_size(file()), 2 * kPiece);
}

// The old bytes of one large piece need minutes, and its pull begins after them.
TEST_F(PrefillTest, SaysHowManyBytesAreCopied) {
  EXPECT_EQ(pulls_->work(), "");
  static_cast<void>(start());
  EXPECT_TRUE(
      eventually([&] { return pulls_->work() == "copying old bytes for 1 pulls, 2 kB so far"; },
                 std::chrono::seconds(20)))
      << pulls_->work();
  settle();
  EXPECT_EQ(pulls_->work(), "");
}

}  // namespace
}  // namespace libsync::test
