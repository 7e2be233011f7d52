#pragma once

// A master on a temporary disk with a fake fleet: one payload of three pieces, and one minion.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cut_payload.h"
#include "failing_disk.h"
#include "fake_coordinator.h"
#include "fake_transfer.h"
#include "hand_clock.h"
#include "libsync/core/config.h"
#include "log_lines.h"
#include "master/master.h"
#include "os/log.h"
#include "os/stop_signal.h"
#include "store/state_folder.h"
#include "temporary_folder.h"

namespace libsync::test {

inline const Address kMasterHost = Address::parse("10.0.0.1").value();
inline const Address kMinionHost = Address::parse("10.0.0.2").value();
inline constexpr std::uint64_t kMasterPieceBytes = 1000;

/// A minion that finishes a run once all its pieces lie in the origin's spool as announced.
class FakeMinion {
 public:
  /// `spools` is the state folder of the host that serves the pieces.
  FakeMinion(FakeSharedState& shared, std::filesystem::path spools)
      : coordinator_(shared), spools_(std::move(spools)) {}

  /// Joins the run in progress, if there is one, and finishes it if it is staged.
  void act() {
    const auto outcome =
        coordinator_.join(kMinionHost, HostId(), Arrival::again, SeatWish::none, {});
    const auto* const joined = std::get_if<Joined>(&outcome);
    if (joined == nullptr || joined->is_finished) return;
    const auto& run = joined->run;
    std::vector<PieceNumber> all(run.cut.pieces());
    for (PieceNumber piece = 0; piece < run.cut.pieces(); ++piece) all[piece] = piece;
    PieceSet have(run.cut.pieces());
    for (const auto& [piece, digest, sum] : coordinator_.digests(run.id, all)) {
      const auto path = spools_ / run.fingerprint.text() / piece_name(piece);
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
  std::filesystem::path spools_;
};

/// Thrown in the middle of a tick, as if the process were killed.
struct Killed {};

struct MasterWorld {
  MasterWorld() {
    std::filesystem::create_directories(repo());
    write_file(task() / "a", random_bytes(1700, 1));
    write_file(task() / "b", random_bytes(900, 2));
    state.emplace(repo());
    clock.let_waits_pass(std::chrono::milliseconds(1));
    shared.keep_time_with(clock);
    transfer.serve(kMasterHost, repo());
    config.host.repo = repo();
    config.host.linger = Duration(0);
    config.source_roots = {folder.path() / "data"};
    config.minions = 1;
    config.piece_size = {PieceSize::Kind::fixed, kMasterPieceBytes};
    start_log(LogLevel::info, log_path());
  }
  ~MasterWorld() { start_log(LogLevel::error, std::nullopt); }
  MasterWorld(const MasterWorld&) = delete;
  MasterWorld& operator=(const MasterWorld&) = delete;

  [[nodiscard]] std::filesystem::path repo() const { return folder.path() / "repo"; }
  [[nodiscard]] std::filesystem::path task() const { return folder.path() / "data" / "model.7"; }
  [[nodiscard]] std::filesystem::path log_path() const { return folder.path() / "log"; }

  void set_task() { shared.task = task().string(); }

  /// Runs one tick, and returns its status or that of the Failure that ended it.
  ExitStatus tick() {
    try {
      Master master(coordinator, transfer, clock, stop, *state, config, kMasterHost);
      return master.tick();
    } catch (const Failure& failure) {
      return failure.status();
    }
  }

  /// The number of log lines with this text.
  [[nodiscard]] std::size_t logged(const std::string& text) const {
    return lines_with(log_path(), text);
  }

  /// The run records of this master's spools.
  [[nodiscard]] std::vector<RunRecord> records() const {
    std::vector<RunRecord> all;
    for (const auto& [spool, record] : state->spools_of(Role::master, config.host.prefix)) {
      all.push_back(record);
    }
    return all;
  }

  /// Expects that a run announced every piece of the payload with its digest.
  void expect_right_digests(const std::map<PieceNumber, StagedPiece>& announced) const {
    const CutPayload cut(task(), kMasterPieceBytes);
    EXPECT_EQ(announced.size(), cut.pieces());
    for (const auto& [piece, staged] : announced) {
      EXPECT_EQ(staged.digest, cut.digest(piece)) << piece;
      RollingSummer summer;
      summer.add(cut.piece(piece));
      EXPECT_EQ(staged.sum, summer.sum()) << piece;
    }
  }

  WithoutSync without_sync;
  TemporaryFolder folder;
  std::optional<StateFolder> state;
  HandClock clock;
  StopSignal stop;
  FakeSharedState shared;
  FakeMasterCoordinator coordinator{shared};
  FakeTransfer transfer;
  FakeMinion minion{shared, repo() / ".libsync"};
  MasterConfig config;
};

}  // namespace libsync::test
