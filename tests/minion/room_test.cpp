// Replaced versions on a small file system: they go when the run needs their room, the oldest
// first, and none goes in vain. The pieces of an earlier run go before them.

#include "minion/room.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>

#include "libsync/core/failure.h"
#include "ordinary_user.h"
#include "os/random.h"
#include "os/stop_signal.h"
#include "store/replaced.h"
#include "store/state_folder.h"
#include "task_path.h"
#include "temporary_folder.h"

namespace libsync::test {
namespace {

constexpr std::uint64_t kMb = 1'000'000;

// Mounts in a namespace of this process alone, as root or not.
bool can_mount(const std::filesystem::path& at, std::uint64_t bytes) {
  const auto uid = geteuid();
  if (unshare(CLONE_NEWNS | (uid == 0 ? 0 : CLONE_NEWUSER)) != 0) return false;
  if (uid != 0) std::ofstream("/proc/self/uid_map") << "0 " << uid << " 1\n";
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  return mount("tmpfs", at.c_str(), "tmpfs", 0, ("size=" + std::to_string(bytes)).c_str()) == 0;
}

class RoomTest : public testing::Test {
 protected:
  // The repo is a file system of 20 MB. Three replaced versions have 12 MB of it, and no tick has
  // seen the newest one. Calls `holds` in a process of its own.
  [[nodiscard]] bool holds_on_a_small_disk(const std::function<bool()>& holds) const {
    return holds_in_child([&] {
      if (!can_mount(repo(), 20 * kMb)) return false;
      const StateFolder state(repo());
      keep("old", 3 * kMb, std::chrono::hours(1000));
      keep("young", 4 * kMb, std::chrono::hours(1001));
      keep("unseen", 5 * kMb, std::nullopt);
      return holds();
    });
  }

  void keep(const std::string& name, std::uint64_t bytes,
            std::optional<std::chrono::hours> since) const {
    const ReplacedVersions replaced(repo() / ".libsync");
    write_file(replaced.make_way(name, std::nullopt), std::string(bytes, 'x'));
    if (!since) return;
    for (const auto& version : replaced.all()) {
      if (version.since || std::filesystem::file_size(version.folder / "payload") != bytes)
        continue;
      ReplacedVersions::stamp(version, std::chrono::system_clock::time_point(*since));
    }
  }

  // The sizes of the versions that are kept, in MB.
  [[nodiscard]] std::set<std::uint64_t> kept() const {
    std::set<std::uint64_t> sizes;
    for (const auto& version : ReplacedVersions(repo() / ".libsync").all()) {
      sizes.insert(std::filesystem::file_size(version.folder / "payload") / kMb);
    }
    return sizes;
  }

  [[nodiscard]] Spool new_spool() const {
    auto spool = StateFolder(repo()).spool(random_name<Fingerprint>());
    spool.assign({.role = Role::minion,
                  .run = random_name<RunId>(),
                  .task = task_path("/srv/new"),
                  .content = random_name<Fingerprint>()});
    return spool;
  }

  [[nodiscard]] Room room_of(const PieceTable& pieces, const Spool& spool, const Cut& cut,
                             std::stop_token stop = {}) const {
    return {pieces,
            spool,
            {.id = random_name<RunId>(),
             .task = task_path("/srv/new"),
             .fingerprint = spool.fingerprint(),
             .cut = cut,
             .manifest = digest_of(""),
             .origin = Address::parse("10.0.0.1").value(),
             .master = random_name<MasterId>()},
            repo(),
            std::move(stop)};
  }

  // The reason why a payload of `bytes` in one piece has no room; empty if it has.
  [[nodiscard]] std::string refusal(std::uint64_t bytes, std::uint64_t former_bytes = 0) const {
    const auto spool = new_spool();
    if (former_bytes > 0) {
      write_file(spool.former_folder() / "p00000", std::string(former_bytes, 'x'));
    }
    PieceTable pieces(1, PieceState::wanted);
    auto room = room_of(pieces, spool, {bytes, bytes});
    try {
      room.require_for_tree();
      return "";
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.status(), ExitStatus::local);
      EXPECT_EQ(failure.remedy(), Remedy::try_again);
      return failure.what();
    }
  }

  [[nodiscard]] std::filesystem::path repo() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

// On tmpfs a payload needs its length twice, and 8 MB are free.
TEST_F(RoomTest, NoVersionGoesIfThereIsRoom) {
  EXPECT_TRUE(holds_on_a_small_disk([&] {
    return refusal(3 * kMb).empty() && kept() == std::set<std::uint64_t>{3, 4, 5};
  }));
}

TEST_F(RoomTest, TheOldestGoFirstAndTheNextAttemptHasRoom) {
  EXPECT_TRUE(holds_on_a_small_disk([&] {
    const auto first = refusal(5 * kMb);
    if (first.find("1 replaced versions of 0.00 GB are deleted first") == std::string::npos) {
      fprintf(stderr, "%s\n", first.c_str());
      return false;
    }
    if (kept() != std::set<std::uint64_t>{4, 5}) return false;
    for (const auto& name : StateFolder(repo()).discarded(Role::minion)) {
      std::filesystem::remove_all(repo() / ".libsync" / name);  // As a Sweeper does.
    }
    return refusal(5 * kMb).empty() && kept() == std::set<std::uint64_t>{4, 5};
  }));
}

TEST_F(RoomTest, ThePiecesOfAnEarlierRunGoFirst) {
  EXPECT_TRUE(holds_on_a_small_disk([&] {
    return refusal(3 * kMb, kMb).empty() &&
           refusal(5 * kMb, 5 * kMb).find("pieces of an earlier run are deleted first") !=
               std::string::npos &&
           kept() == std::set<std::uint64_t>{3, 4, 5};
  }));
}

TEST_F(RoomTest, AVersionThatNoTickHasSeenGoesLast) {
  EXPECT_TRUE(holds_on_a_small_disk([&] {
    return refusal(7 * kMb).find("2 replaced versions") != std::string::npos &&
           kept() == std::set<std::uint64_t>{5};
  }));
}

TEST_F(RoomTest, NoneGoesInVain) {
  EXPECT_TRUE(holds_on_a_small_disk([&] {
    return refusal(11 * kMb).find("free some space there") != std::string::npos &&
           kept() == std::set<std::uint64_t>{3, 4, 5};
  }));
}

// The payload has two pieces, and the tree needs as much again: 4 of the 8 MB that are free.
TEST_F(RoomTest, CountsThePiecesThatFitBesideTheRun) {
  EXPECT_TRUE(holds_on_a_small_disk([&] {
    const auto spool = new_spool();
    PieceTable pieces(2, PieceState::wanted);
    auto room = room_of(pieces, spool, {2 * kMb, kMb});
    room.require_for_tree();
    const auto beside_two = room.spare_pieces();
    auto full = room_of(pieces, spool, {4 * kMb - 200'000, 2 * kMb - 100'000});
    full.require_for_tree();
    fprintf(stderr, "%u and %u spare pieces\n", beside_two, full.spare_pieces());
    return beside_two == 3 && full.spare_pieces() == 0;
  }));
}

TEST_F(RoomTest, AStopEndsTheMeasuring) {
  const auto spool = new_spool();
  write_file(spool.incoming_folder() / "p00000", "x");
  const PieceTable pieces(1, PieceState::wanted);
  std::stop_source stop;
  static_cast<void>(room_of(pieces, spool, {kMb, kMb}, stop.get_token()));
  stop.request_stop();
  EXPECT_THROW(static_cast<void>(room_of(pieces, spool, {kMb, kMb}, stop.get_token())), Stopped);
}

}  // namespace
}  // namespace libsync::test
