#pragma once

// Moves files between this host and the rsync daemon of another one.
//
// A Transfer only moves files. It chooses no source, checks no content (store/spool.h does), and
// does not retry.
//
// It is passive: start() begins a pull or push in the background. The owner calls collect() when
// one of the descriptors is readable or next_check() has come, and gets the events since the last
// call.
//
// Only fixed names move: `manifest`, `pNNNNN`, `probe`, and fingerprints as folders.
//
// It watches each transfer by its own clock, because rsync's time limit does not protect a puller.
// It ends a transfer that moves no byte for TransferLimits::stall. Whether a transfer is too slow
// is for its owner to decide, which knows others.
//
// Death: transfers die with this process (by TERM, so rsync keeps its partial files). The next pull
// of the same file continues at that point.
//
// A Transfer belongs to one thread. start() and collect() throw Failure (no_source) if rsync cannot
// be started.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "libsync/clock.h"
#include "libsync/core/address.h"
#include "libsync/core/manifest.h"
#include "libsync/core/pull_end.h"

namespace libsync {

struct TransferLimits {
  /// After this time without a byte the source is frozen or dead. rsync alone would hang for more
  /// than ten minutes. Its own --timeout at both ends is the same. All these limits are guards.
  static constexpr std::chrono::seconds stall{60};
  /// From TERM to KILL. rsync writes a partial file under its own name (--inplace), so it keeps its
  /// bytes at any death: rsync_tests --gtest_filter='Farewell*'
  static constexpr std::chrono::milliseconds farewell{500};
};

using TransferId = std::uint64_t;

/// The meaning of a file that the source does not have.
enum class Absent {
  is_fault,    ///< The source offered the file, so the pull ends as `missing`.
  is_ignored,  ///< The other files come, and the pull ends as `good`.
};

struct PullRequest {
  Address source;
  std::string folder;              ///< Below the source's module.
  std::vector<std::string> names;  ///< Files in that folder.
  std::filesystem::path into;      ///< A local folder; files keep their names.
  std::uint64_t largest = 0;       ///< Most bytes of one file. A source that sends more is corrupt.
  Absent absent = Absent::is_fault;
};

struct PushRequest {
  Address target;
  std::filesystem::path from;      ///< A local folder.
  std::vector<std::string> names;  ///< Files in that folder.
  std::string folder;              ///< Below the target's state folder; made if it is missing.
};

/// rsync says that a file is complete, which proves nothing.
struct FileArrived {
  TransferId id;
  std::string name;
  std::uint64_t wire_bytes;  ///< Bytes moved for it: less than its size after a partial pull.
};

/// The transfer has moved bytes since the last check.
struct BytesMoved {
  TransferId id;
};

struct TransferEnded {
  TransferId id;
  PullEnd end;
  std::string detail;  ///< For a person: source, cause and way out. Empty if good.
};

using TransferEvent = std::variant<FileArrived, TransferEnded, BytesMoved>;

class Transfer {
 public:
  virtual ~Transfer() = default;

  /// The number of a transfer that begins later.
  [[nodiscard]] virtual TransferId reserve() = 0;
  virtual void start(TransferId reserved, const PullRequest& request) = 0;
  virtual void start(TransferId reserved, const PushRequest& request) = 0;

  template <typename Request>
  [[nodiscard]] TransferId start(const Request& request) {
    const auto id = reserve();
    start(id, request);
    return id;
  }

  /// The events since the last call, in order. Never blocks.
  [[nodiscard]] virtual std::vector<TransferEvent> collect() = 0;

  /// Ends a transfer that is of no use any more. `reason` continues the words "rsync with PEER".
  /// Its end is an event with `unreachable`. Does nothing if it has ended before.
  virtual void end(TransferId id, const std::string& reason) = 0;

  /// Appends descriptors that are readable when collect() has work.
  virtual void append_descriptors(std::vector<int>& descriptors) const = 0;

  /// The time at which collect() is due even if no descriptor is readable.
  [[nodiscard]] virtual Instant next_check() const = 0;

  /// Ends all transfers and waits for them, no longer than TransferLimits::farewell.
  virtual void end_all() = 0;
};

}  // namespace libsync
