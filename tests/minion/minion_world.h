#pragma once

// A minion on a temporary disk with a fake fleet: a run of five pieces, and hosts that serve it.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
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
#include "minion/minion.h"
#include "os/log.h"
#include "os/random.h"
#include "os/stop_signal.h"
#include "store/state_folder.h"
#include "task_path.h"
#include "temporary_folder.h"

namespace libsync::test {

inline const Address kOrigin = Address::parse("10.0.0.1").value();
inline const Address kSelf = Address::parse("10.0.0.2").value();
inline const Address kPeer = Address::parse("10.0.0.3").value();
inline constexpr std::uint64_t kRunPieceBytes = 1000;

/// An --after-publish command that a test reads.
class FakeAfterPublish final : public AfterPublish {
 public:
  Hook kind = Hook::none;
  std::optional<std::string> failure;       ///< Why the command fails.
  std::vector<std::filesystem::path> runs;  ///< The payload of each run of the command.
  std::function<void()> at_run;             ///< Called by each run of the command.
  std::function<void()> while_it_runs;      ///< Called after the minion has shown the command.

  [[nodiscard]] Hook hook() const override { return kind; }
  [[nodiscard]] std::optional<std::string> run(const std::filesystem::path& published,
                                               const std::function<void()>& at_work) override {
    if (kind == Hook::none) return std::nullopt;
    if (at_run) at_run();
    if (while_it_runs) {
      at_work();
      while_it_runs();
    }
    runs.push_back(published);
    return failure;
  }
};

/// The kind of the payload.
enum class PayloadKind { folder, file, empty };

struct MinionWorld {
  explicit MinionWorld(PayloadKind kind = PayloadKind::folder) {
    write_payload(source(), kind, 1);
    std::filesystem::create_directories(repo());
    cut.emplace(source(), kRunPieceBytes);
    clock.let_waits_pass(std::chrono::milliseconds(5));
    shared.keep_time_with(clock);
    transfer.serve(kSelf, repo());
    config.host.repo = repo();
    config.host.prefix = "sync";
    restart();
    start_log(LogLevel::info, log_path());
  }
  ~MinionWorld() { start_log(LogLevel::error, std::nullopt); }
  MinionWorld(const MinionWorld&) = delete;
  MinionWorld& operator=(const MinionWorld&) = delete;

  [[nodiscard]] std::filesystem::path source() const { return folder.path() / "data" / "model.7"; }
  [[nodiscard]] std::filesystem::path repo() const { return folder.path() / "repo"; }
  [[nodiscard]] std::filesystem::path destination() const { return repo() / "model.7"; }
  [[nodiscard]] std::filesystem::path log_path() const { return folder.path() / "log"; }
  [[nodiscard]] std::filesystem::path module_of(const Address& host) const {
    return host == kSelf ? repo() : folder.path() / ("module-" + host.text());
  }
  [[nodiscard]] Spool spool() const { return StateFolder(repo()).spool(run->fingerprint); }

  static void write_payload(const std::filesystem::path& path, PayloadKind kind, unsigned seed) {
    if (kind == PayloadKind::file) return write_file(path, random_bytes(4500, seed));
    if (kind == PayloadKind::empty) return write_file(path, "");
    write_file(path / "a", random_bytes(2500, seed));
    write_file(path / "empty", "");
    write_file(path / "sub" / "b", random_bytes(2000, seed + 1));
    std::filesystem::create_symlink("sub/b", path / "link");
  }

  /// The payload is published already, with the same times.
  void publish_copy() const {
    std::filesystem::copy(
        source(), destination(),
        std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
    for (const auto& entry : cut->manifest().entries()) {
      const timespec times[] = {{0, UTIME_OMIT},
                                {entry.mtime.seconds, static_cast<long>(entry.mtime.nanoseconds)}};
      const auto path = destination() / entry.name;
      EXPECT_EQ(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << path;
    }
  }

  /// A payload with another name is published, and has all the bytes at other offsets.
  void publish_moved() const {
    std::string bytes = random_bytes(300, 5);
    for (PieceNumber piece = 0; piece < cut->pieces(); ++piece) bytes += cut->piece(piece);
    write_file(moved() / "a", bytes);
    StateFolder(repo()).receipts().write(moved(), digest_of("its manifest"));
  }
  [[nodiscard]] std::filesystem::path moved() const { return repo() / "model.6"; }

  // --- The fleet ---

  /// Begins a run of the payload whose origin serves all pieces, and stages it.
  void begin_staged(Spread spread = Spread::claims) {
    begin(spread);
    serve(kOrigin);
    announce(0, cut->pieces());
  }

  /// Begins a run of the payload. Nothing of it is announced.
  void begin(Spread spread = Spread::claims, const Address& origin = kOrigin,
             OriginKind kind = OriginKind::master) {
    const auto manifest = cut->manifest().encode();
    run.emplace(RunInfo{.id = random_name<RunId>(),
                        .task = task_path("/data/model.7"),
                        .fingerprint = random_name<Fingerprint>(),
                        .cut = cut->cut(),
                        .manifest = digest_of(manifest),
                        .manifest_bytes = manifest.size(),
                        .origin = origin,
                        .origin_kind = kind,
                        .master = random_name<MasterId>()});
    static_cast<void>(shared.begin(*run, 6, {1, {}}, TaskKey::leave, spread));
  }

  /// Announces pieces [first, end), and stages the run with the last.
  void announce(PieceNumber first, PieceNumber end) {
    announce(first, end, end == cut->pieces() ? RunState::staged : RunState::staging);
  }
  /// Announces all pieces, and leaves the run in staging.
  void announce_unstaged() { announce(0, cut->pieces(), RunState::staging); }
  void announce(PieceNumber first, PieceNumber end, RunState state) {
    std::vector<StagedPiece> pieces;
    for (auto piece = first; piece < end; ++piece) pieces.push_back(cut->staged(piece));
    static_cast<void>(shared.stage(run->id, pieces, state));
  }

  /// From now on the module of a host has the manifest and all pieces.
  void serve(const Address& host) {
    write_pieces(module_of(host) / ".libsync" / run->fingerprint.text());
    transfer.serve(host, module_of(host));
  }
  void write_pieces(const std::filesystem::path& into) const {
    write_file(into / "manifest", cut->manifest().encode());
    for (PieceNumber piece = 0; piece < cut->pieces(); ++piece) {
      write_file(into / piece_name(piece), cut->piece(piece));
    }
  }
  /// A file of a module has as many bytes as it should, and others.
  void spoil(const Address& host, const std::string& name) const {
    const auto path = module_of(host) / ".libsync" / run->fingerprint.text() / name;
    write_file(path, random_bytes(std::filesystem::file_size(path), 77));
  }

  /// A peer offers these pieces to others.
  void offer(const Address& host, const std::vector<PieceNumber>& pieces, unsigned slots = 6) {
    PieceSet have(cut->pieces());
    for (const auto piece : pieces) have.insert(piece);
    static_cast<void>(shared.report(run->id, host, {have, have.size()}, slots, Clearance::none));
  }

  // --- The host ---

  /// The process of a tick is another one from now on: it holds nothing of the former one.
  void restart() { coordinator.emplace(shared); }

  /// A tick that ends as ticks do, by itself or by a Failure.
  ExitStatus tick() {
    failure.clear();
    try {
      const StateFolder state(repo());
      Minion minion(*coordinator, transfer, hook, clock, stop, state, config, kSelf);
      return minion.tick();
    } catch (const Failure& caught) {
      failure = caught.what();
      return caught.status();
    }
  }

  /// How many lines of the log hold this text.
  [[nodiscard]] std::size_t logged(const std::string& text) const {
    return lines_with(log_path(), text);
  }

  // --- Expectations ---

  /// The destination holds the payload of the run, byte for byte, and nothing else.
  void expect_published() const { expect_equal(destination(), *cut); }

  static void expect_equal(const std::filesystem::path& path, const CutPayload& wanted) {
    ASSERT_TRUE(std::filesystem::exists(path)) << path;
    const CutPayload found(path, kRunPieceBytes);
    EXPECT_EQ(found.manifest().entries(), wanted.manifest().entries());
    ASSERT_EQ(found.pieces(), wanted.pieces());
    for (PieceNumber piece = 0; piece < wanted.pieces(); ++piece) {
      EXPECT_TRUE(found.piece(piece) == wanted.piece(piece)) << "piece " << piece;
    }
  }

  /// The run counts this host as finished, and it holds no claim.
  void expect_finished() {
    ASSERT_TRUE(shared.run());
    EXPECT_TRUE(shared.run()->host(kSelf).finished_ms);
    EXPECT_EQ(shared.run()->claims_of(kSelf), 0U);
  }

  /// The spool serves the manifest and `least` pieces or more, and has nothing unproven left.
  void expect_served(PieceNumber least) const {
    const auto spool = this->spool();
    EXPECT_EQ(content_of(spool.manifest_path()), cut->manifest().encode());
    auto others = names_in(spool.folder());
    PieceNumber served = 0;
    for (PieceNumber piece = 0; piece < cut->pieces(); ++piece) {
      if (others.erase(piece_name(piece)) == 0) continue;
      ++served;
      EXPECT_TRUE(content_of(spool.piece_path(piece)) == cut->piece(piece)) << "piece " << piece;
    }
    EXPECT_GE(served, least);
    others.erase("tree");  // The former payload may be there: nobody waits for its deletion.
    EXPECT_EQ(others, (std::set<std::string>{"incoming", "manifest", "owner-minion"}));
    auto unproven = names_in(spool.incoming_folder());
    unproven.erase("probe");
    unproven.erase("2");  // The folder of second attempts.
    unproven.merge(names_in(spool.incoming_folder(Attempt::second)));
    EXPECT_EQ(unproven, std::set<std::string>{});
  }

  /// The run ends, complete.
  void end_run() { static_cast<void>(shared.end(run->id, "complete", "", TaskAfter::goes)); }

  /// Nothing of a run is left but the payload and its receipt.
  void expect_swept() const {
    auto names = names_in(repo() / ".libsync");
    names.erase("notes");  // A note that the disk did not take is lost.
    EXPECT_EQ(names, (std::set<std::string>{"minion", "probe", "push", "receipt", "spools.lock"}));
    EXPECT_EQ(names_in(repo() / ".libsync" / "push"), std::set<std::string>{});
    auto payloads = names_in(repo());
    EXPECT_EQ(names_in(repo() / ".libsync" / "receipt").size(), payloads.size() - 1);
    payloads.erase("model.6");
    EXPECT_EQ(payloads, (std::set<std::string>{".libsync", "model.7"}));
    expect_published();
  }

  [[nodiscard]] static std::set<std::string> names_in(const std::filesystem::path& path) {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      names.insert(entry.path().filename());
    }
    return names;
  }

  WithoutSync without_sync;
  TemporaryFolder folder;
  std::optional<CutPayload> cut;
  std::optional<RunInfo> run;
  HandClock clock;
  StopSignal stop;
  FakeSharedState shared;
  std::optional<FakeMinionCoordinator> coordinator;
  FakeTransfer transfer;
  FakeAfterPublish hook;
  MinionConfig config;
  std::string failure;  // The reason why the last tick ended early.
};

}  // namespace libsync::test
