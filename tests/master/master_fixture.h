#pragma once

// A master on a temporary disk with a fake fleet: one payload of three pieces, and one minion.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "cut_payload.h"
#include "fake_coordinator.h"
#include "fake_transfer.h"
#include "hand_clock.h"
#include "libsync/core/config.h"
#include "master/master.h"
#include "os/log.h"
#include "os/stop_signal.h"
#include "store/state_folder.h"
#include "temporary_folder.h"

namespace libsync::test {

inline const Address kMasterHost = Address::parse("10.0.0.1").value();
inline const Address kMinionHost = Address::parse("10.0.0.2").value();
inline constexpr std::uint64_t kMasterPieceBytes = 1000;

/// A minion that only reads: it finishes once every announced piece of the spool has its digest.
class FakeMinion {
 public:
  FakeMinion(FakeSharedState& shared, std::filesystem::path repo)
      : coordinator_(shared), repo_(std::move(repo)) {}

  /// Joins the run in progress, if there is one, and finishes it if it is staged.
  void act() {
    const auto outcome = coordinator_.join(kMinionHost, Arrival::again, SeatWish::none, {});
    const auto* const joined = std::get_if<Joined>(&outcome);
    if (joined == nullptr || joined->is_finished) return;
    const auto& run = joined->run;
    std::vector<PieceNumber> all(run.cut.pieces());
    for (PieceNumber piece = 0; piece < run.cut.pieces(); ++piece) all[piece] = piece;
    const auto announced = coordinator_.digests(run.id, all);
    PieceSet have(run.cut.pieces());
    for (const auto& [piece, digest] : announced) {
      const auto path = repo_ / ".libsync" / run.fingerprint.text() / piece_name(piece);
      EXPECT_EQ(digest_of(content_of(path)), digest) << path;
      have.insert(piece);
    }
    if (run.state != RunState::staged) return;
    EXPECT_TRUE(have.is_complete());
    EXPECT_EQ(coordinator_.finish(run.id, kMinionHost, run.manifest, {have, have.size()}, 1),
              FinishOutcome::finished);
  }

 private:
  FakeMinionCoordinator coordinator_;
  std::filesystem::path repo_;
};

class MasterFixture : public testing::Test {
 protected:
  MasterFixture() {
    std::filesystem::create_directories(repo());
    write_file(task() / "a", random_bytes(1700, 1));
    write_file(task() / "b", random_bytes(900, 2));
    state_.emplace(repo());
    clock_.let_waits_pass(std::chrono::milliseconds(1));
    shared_.keep_time_with(clock_);
    transfer_.serve(kMasterHost, repo());
    config_.host.repo = repo();
    config_.host.linger = Duration(0);
    config_.source_roots = {folder_.path() / "data"};
    config_.minions = 1;
    config_.piece_size = {PieceSize::Kind::fixed, kMasterPieceBytes};
    start_log(LogLevel::info, log_path());
  }
  ~MasterFixture() override { start_log(LogLevel::error, std::nullopt); }

  [[nodiscard]] std::filesystem::path repo() const { return folder_.path() / "repo"; }
  [[nodiscard]] std::filesystem::path task() const { return folder_.path() / "data" / "model.7"; }
  [[nodiscard]] std::filesystem::path log_path() const { return folder_.path() / "log"; }

  void set_task() { shared_.task = task().string(); }

  [[nodiscard]] ExitStatus tick() {
    Master master(coordinator_, transfer_, clock_, stop_, *state_, config_, kMasterHost);
    return master.tick();
  }

  /// How many lines of the log hold this text.
  [[nodiscard]] std::size_t logged(const std::string& text) const {
    std::istringstream lines(content_of(log_path()));
    std::size_t found = 0;
    for (std::string line; std::getline(lines, line);) found += line.find(text) != line.npos;
    return found;
  }

  TemporaryFolder folder_;
  std::optional<StateFolder> state_;
  HandClock clock_;
  StopSignal stop_;
  FakeSharedState shared_;
  FakeMasterCoordinator coordinator_{shared_};
  FakeTransfer transfer_;
  FakeMinion minion_{shared_, repo()};
  MasterConfig config_;
};

}  // namespace libsync::test
