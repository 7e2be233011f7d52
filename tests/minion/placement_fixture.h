#pragma once

// A run of five pieces on one host, for the tests of Placement.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cut_payload.h"
#include "libsync/clock.h"
#include "libsync/core/ownership.h"
#include "libsync/core/run_record.h"
#include "libsync/core/verdict.h"
#include "minion/placement.h"
#include "os/files.h"
#include "os/random.h"
#include "os/system_clock.h"
#include "store/state_folder.h"
#include "task_path.h"
#include "temporary_folder.h"

namespace libsync::test {

inline constexpr std::uint64_t kPieceBytes = 1000;

class PlacementFixture : public testing::Test {
 protected:
  // Makes a payload of two files in five pieces.
  PlacementFixture() {
    write_file(original() / "a", random_bytes(2500, 1));
    write_file(original() / "b", random_bytes(2000, 2));
    std::filesystem::create_directory(repo());
    cut_.emplace(original(), kPieceBytes);
    state_.emplace(repo());
    spool_.emplace(state_->spool(random_name<Fingerprint>()));
    assign_spool();
  }

  void assign_spool() const {
    spool_->assign(RunRecord{Role::minion, "sync", random_name<RunId>(), task_path("/srv/name"),
                             random_name<Fingerprint>()});
  }

  [[nodiscard]] std::filesystem::path original() const { return folder_.path() / "source"; }
  [[nodiscard]] std::filesystem::path repo() const { return folder_.path() / "repo"; }
  [[nodiscard]] std::filesystem::path destination() const { return repo() / "name"; }

  Placement& start(Delivery delivery) {
    RunInfo run{.id = random_name<RunId>(),
                .task = task_path("/srv/name"),
                .fingerprint = spool_->fingerprint(),
                .cut = {stream_bytes_.value_or(cut_->cut().stream_bytes), kPieceBytes},
                .manifest = digest_of(cut_->manifest().encode()),
                .origin = Address::parse("10.0.0.1").value(),
                .master = random_name<MasterId>()};
    placement_.reset();
    pieces_.emplace(run.cut.pieces(), PieceState::unknown);
    return placement_.emplace(*pieces_, *spool_, run, repo(), Ownership::own, delivery);
  }

  // Runs the event loop until `holds` does, or until even a busy disk must be done.
  [[nodiscard]] bool pump(const std::function<bool()>& holds) {
    SystemClock clock;
    const auto until = clock.now() + std::chrono::seconds(50);
    while (clock.now() < until) {
      placement_->collect();
      for (const auto& judgement : placement_->judgements()) judgements_.push_back(judgement);
      if (holds()) return true;
      std::vector<int> descriptors;
      placement_->append_descriptors(descriptors);
      clock.wait(std::min(until, clock.now() + std::chrono::seconds(1)), descriptors);
    }
    return false;
  }

  [[nodiscard]] StagedPiece announced(PieceNumber piece) const {
    return cut_->staged(piece);
  }
  [[nodiscard]] std::vector<StagedPiece> all_announced() const {
    std::vector<StagedPiece> all;
    for (PieceNumber piece = 0; piece < 5; ++piece) all.push_back(announced(piece));
    return all;
  }

  // Announces pieces. Placement then checks the candidates among them.
  void decide(const std::vector<StagedPiece>& announced) {
    for (const auto& piece : announced) pieces_->announce(piece);
    placement_->decide();
  }

  [[nodiscard]] bool is_at(DiskState::Step step) const { return placement_->step() == step; }

  // A pull delivers the piece.
  void deliver(PieceNumber piece, const std::string& content) {
    write_file(spool_->incoming_path(piece), content);
    pieces_->move(piece, PieceState::in_flight);
    pieces_->move(piece, PieceState::judging);
    placement_->judge(announced(piece));
  }

  // A pull delivers the piece and ends. Returns the verdict.
  [[nodiscard]] std::optional<Verdict> pull(PieceNumber piece, const std::string& content) {
    deliver(piece, content);
    const auto verdict = this->verdict();
    if (verdict && *verdict != Verdict::good) {
      pieces_->move(piece, PieceState::in_flight);
      pieces_->move(piece, PieceState::wanted);
    }
    return verdict;
  }
  [[nodiscard]] std::optional<Verdict> pull(PieceNumber piece) {
    return pull(piece, cut_->piece(piece));
  }
  [[nodiscard]] std::optional<Verdict> pull_manifest(const std::string& content) {
    write_file(spool_->incoming_folder() / "manifest", content);
    placement_->judge_manifest();
    return verdict();
  }
  [[nodiscard]] std::optional<Verdict> pull_manifest() {
    return pull_manifest(cut_->manifest().encode());
  }
  [[nodiscard]] std::optional<Verdict> verdict() {
    judgements_.clear();
    if (!pump([this] { return !judgements_.empty(); })) return std::nullopt;
    return judgements_.front().verdict;
  }

  [[nodiscard]] std::vector<PieceNumber> claimable() const {
    std::vector<PieceNumber> all;
    for (PieceNumber piece = 0; piece < 5; ++piece) {
      if (!pieces_->unwanted().contains(piece)) all.push_back(piece);
    }
    return all;
  }

  void complete_and_publish() {
    ASSERT_TRUE(pump([this] { return is_at(DiskState::Step::gathered); }));
    placement_->complete();
    ASSERT_TRUE(pump([this] { return is_at(DiskState::Step::completed); }));
    bool was_there = false;
    placement_->publish(
        [&](const OnlyHere&) { was_there = std::filesystem::exists(destination()); });
    ASSERT_TRUE(pump([this] { return is_at(DiskState::Step::published); }));
    EXPECT_TRUE(was_there);
    expect_published();
  }
  void expect_published() const {
    const CutPayload found(destination(), kPieceBytes);
    EXPECT_EQ(found.manifest().entries(), cut_->manifest().entries());
    for (PieceNumber piece = 0; piece < 5; ++piece) {
      EXPECT_TRUE(found.piece(piece) == cut_->piece(piece)) << piece;
    }
  }

  // Publishes a copy with the same times. One byte differs in each changed piece.
  void publish_copy(const std::set<PieceNumber>& changed = {}) const {
    std::filesystem::copy(original(), destination(), std::filesystem::copy_options::recursive);
    for (const auto piece : changed) {
      // The first byte of the piece differs. `a` holds the first 2500 bytes of the stream.
      const auto offset = piece * kPieceBytes;
      const bool is_in_a = offset < 2500;
      const auto file = open_file(destination() / (is_in_a ? "a" : "b"), O_RDWR);
      const char other = static_cast<char>(cut_->piece(piece)[0] ^ 1);
      const auto in_file = static_cast<off_t>(is_in_a ? offset : offset - 2500);
      ASSERT_EQ(pwrite(file.number(), &other, 1, in_file), 1);
    }
    for (const auto& entry : cut_->manifest().entries()) {
      const timespec times[] = {{0, UTIME_OMIT},
                                {entry.mtime.seconds, static_cast<long>(entry.mtime.nanoseconds)}};
      ASSERT_EQ(utimensat(AT_FDCWD, (destination() / entry.name).c_str(), times, 0), 0);
    }
  }

  TemporaryFolder folder_;
  std::optional<CutPayload> cut_;
  std::optional<StateFolder> state_;
  std::optional<Spool> spool_;
  std::optional<std::uint64_t> stream_bytes_;  // Announced instead of the true size.
  std::optional<PieceTable> pieces_;
  std::optional<Placement> placement_;
  std::vector<Judgement> judgements_;
};

}  // namespace libsync::test
