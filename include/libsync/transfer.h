#pragma once

// Moving files between this host and another one's rsync daemon.
//
// A Transfer only carries: it does not choose sources, does not check what arrives (spool.h does),
// and does not retry. It is passive, too: start() begins a pull or a push in the background;
// collect(), called whenever one of its descriptors can be read or next_check() has come, says what
// has happened since.
//
// Only fixed names are ever carried: `manifest`, `pNNNNN`, `probe`, and fingerprints as folders.
//
// It watches what it started by its own clock, since rsync's time limit does not protect a puller:
// without a byte for TransferLimits::stall, or past the deadline of the size, it is ended.
//
// Death: what was started dies with this process (TERM; rsync keeps what it has). What has arrived
// in part stays, and the next pull of the same file goes on from there.
//
// Not thread-safe. Failure (no_source) of start() and collect() if there is no rsync to start.

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
  /// No byte for this long: the source is frozen, or gone without a word. rsync alone would hang
  /// for more than ten minutes. (As long as rsync's own --timeout at both ends, and the lease of
  /// the claim is renewed meanwhile; a guard, not tuned, as are the others.)
  static constexpr std::chrono::seconds stall{60};
  /// From TERM to KILL: rsync needs a moment to keep what it has.
  static constexpr std::chrono::seconds farewell{5};
  /// A pull may take this long whatever its size …
  static constexpr std::chrono::minutes least_deadline{10};
  /// … and longer if it is large: slower than this a source is of no use to a fleet. Neither
  /// holds where the operator has set a bandwidth limit.
  static constexpr std::uint64_t bytes_per_second = 1'000'000;
};

using TransferId = std::uint64_t;

/// What a source does not have.
enum class Absent {
  is_fault,    ///< It was said to have it: the pull ends as `missing`.
  is_ignored,  ///< The rest comes, and the pull ends well.
};

struct PullRequest {
  Address source;
  std::string folder;              ///< Below the source's module.
  std::vector<std::string> names;  ///< In that folder.
  std::filesystem::path into;      ///< A local folder; files keep their names.
  std::uint64_t bytes = 0;         ///< Roughly, for the deadline.
  std::uint64_t largest = 0;       ///< Of one file: a source that sends more than this is corrupt.
  Density density = Density::dense;  ///< Sparse: make holes of runs of zeros.
  Absent absent = Absent::is_fault;
};

struct PushRequest {
  Address target;
  std::filesystem::path from;      ///< A local folder.
  std::vector<std::string> names;  ///< In that folder.
  std::string folder;              ///< Below the target's state folder; made if it is not there.
  std::uint64_t bytes = 0;
};

/// A file is complete, as far as rsync knows. Nothing is proven.
struct FileArrived {
  TransferId id;
  std::string name;
  std::uint64_t wire_bytes;  ///< Moved for it; less than its size if a part was there already.
};

struct TransferEnded {
  TransferId id;
  PullEnd end;
  std::string detail;  ///< For a person: source, cause, way out. Empty if good.
};

using TransferEvent = std::variant<FileArrived, TransferEnded>;

class Transfer {
 public:
  virtual ~Transfer() = default;

  [[nodiscard]] virtual TransferId start(const PullRequest& request) = 0;
  [[nodiscard]] virtual TransferId start(const PushRequest& request) = 0;

  /// What has happened since the last call, in order. Never blocks.
  [[nodiscard]] virtual std::vector<TransferEvent> collect() = 0;

  /// Ends one that is of no use any more, for a reason that goes on from "rsync with PEER". That it
  /// has ended is an event, as of `unreachable`. Nothing happens if it has ended before.
  virtual void end(TransferId id, const std::string& reason) = 0;

  virtual void append_descriptors(std::vector<int>& descriptors) const = 0;

  /// When collect() is due even if nothing can be read.
  [[nodiscard]] virtual Instant next_check() const = 0;

  /// Ends everything that was started and waits for it, no longer than TransferLimits::farewell.
  virtual void end_all() = 0;
};

}  // namespace libsync
