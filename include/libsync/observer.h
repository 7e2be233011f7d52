#pragma once

// A snapshot of the shared state for people.
//
// It holds all that the shared state knows about the run and its hosts. No program decides anything
// by it; programs/report.h prints it.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libsync/run.h"

namespace libsync {

/// One host that the run knows, or that was seen in the last ten minutes.
struct HostStatus {
  std::string address;       ///< Escaped: other programs can write to Redis, too.
  PieceNumber in_place = 0;  ///< Pieces that the host has placed.
  std::size_t claims = 0;    ///< Claims that it holds.
  std::size_t uploads = 0;   ///< Upload slots of it that claims use.
  /// From the begin of the run to the finish; nothing if the host has not finished.
  std::optional<std::chrono::milliseconds> finished_after;
  std::string error;                                  ///< Its last error; empty if none.
  std::optional<std::chrono::milliseconds> seen_ago;  ///< Since Redis last saw the host.
  bool is_expected = false;
  bool is_running = false;  ///< It pulls, by claims or along trees. `claims` counts the former.
  bool has_joined = false;  ///< Redis has heard of it in this run.
  bool is_ticking = false;  ///< Its tick has joined the run and has not left it.
  std::string feed_fault;   ///< The reason why it serves nobody; empty if it serves.
  std::string hook_fault;   ///< The reason why its --after-publish failed; empty if it did not.
  std::string work{};       ///< Its long work on its own disk, as it said last; empty if none.
};

/// The span behind Moves::placed_lately: LATELY_S of context.lua.
inline constexpr std::chrono::seconds kLately{10};

/// How the pieces of a run move.
struct Moves {
  /// Since a host last placed a piece; nothing if none has.
  std::optional<std::chrono::milliseconds> moved_ago{};
  std::size_t placed_lately = 0;  ///< Pieces that all hosts placed in the last kLately.
  std::size_t of_one_source = 0;  ///< Announced pieces that one source alone has.
};

/// The run in progress.
struct RunStatus {
  RunInfo run;                         ///< A run of another format has a manifest digest of zeros.
  std::chrono::milliseconds age{};     ///< Since the run began.
  std::size_t announced = 0;           ///< Pieces that the master has announced.
  std::size_t free_sources = 0;        ///< Sources with a free upload slot.
  std::size_t expected = 0;            ///< Hosts that are expected to finish.
  std::vector<std::string> missing{};  ///< Hosts that the run waits for, or gave up. Escaped.
  std::vector<std::string> silent{};   ///< Known hosts that were silent before the run. Escaped.
  RunFormat format = RunFormat::ours;
  Moves moves{};
};

/// A host of the run that ended last.
struct LastHost {
  std::string address;  ///< Escaped.
  bool has_finished = false;
  std::string error;       ///< Its last error in that run; empty if none. Unchecked.
  std::string hook_fault;  ///< The reason why its --after-publish failed; empty if it did not.
};

/// The end of the last run, or the last refused task.
struct LastStatus {
  std::string path;
  std::string outcome;  ///< A word, for example `complete` or `refused`.
  std::string reason;   ///< Empty if there is none.
  std::size_t finished = 0;
  std::size_t expected = 0;
  std::vector<std::string> silent{};  ///< Known hosts that were silent. Escaped.
  std::uint64_t bytes = 0;            ///< Length of the stream.
  std::chrono::milliseconds took{};
  std::chrono::milliseconds ended_ago{};
  std::string rule{};             ///< `named`: an inventory named the expected hosts.
  std::vector<LastHost> hosts{};  ///< The hosts that the run expected, and those that finished.
  std::string run{};              ///< The id of the run; that of the one before after a refusal.
  std::string run_outcome{};      ///< The outcome of that run, also after a refusal.
};

struct Status {
  /// Unchecked, without one trailing slash; empty if there is none. `(list)` if the key holds a
  /// list, and so on.
  std::string task;
  std::optional<RunStatus> run;
  std::optional<LastStatus> last;
  std::vector<HostStatus> hosts;  ///< Sorted by address, as text.
  /// Hosts of the last week that were silent for the last ten minutes. Escaped.
  std::vector<std::string> silent{};
  std::string work{};  ///< The master's long work on its own disk, as it said last; empty if none.
};

/// The end of a run, or a refusal.
struct LastEnd {
  std::string path;     ///< Unchecked.
  std::string outcome;  ///< As in LastStatus.
  std::string reason;   ///< Empty if there is none.
  std::size_t finished = 0;
  std::size_t expected = 0;
  std::string run;             ///< The id of the run; that of the one before after a refusal.
  std::uint64_t ended_ms = 0;  ///< Since 1970, by the clock of Redis. It tells two ends apart.
  std::chrono::milliseconds ended_ago{};
};

/// How a run stands, without its hosts. Costs Redis little, however many hosts there are.
struct Pulse {
  struct Run {
    std::string id;
    std::string path;  ///< Unchecked.
    std::size_t finished = 0;
    std::size_t expected = 0;
    std::uint64_t bytes = 0;  ///< Length of the stream.
    std::size_t pieces = 1;
    std::size_t placed = 0;  ///< Pieces that all hosts have placed, about.
    Moves moves;
    /// A host, or `the master`, and its long work on its own disk, as Redis heard last. Empty if
    /// that is over.
    std::string work{};
    std::chrono::milliseconds age = kLately;  ///< Since the run began.
  };
  std::string task;  ///< Unchecked; empty if there is none.
  std::optional<Run> run;
  std::optional<LastEnd> last;
  std::string work{};  ///< As in Status. Empty in a run, which has its own.
};

class Observer {
 public:
  virtual ~Observer() = default;

  /// Changes nothing. Throws Failure (redis) as the coordinators do.
  [[nodiscard]] virtual Status status() = 0;

  /// The same for one who asks every second.
  [[nodiscard]] virtual Pulse pulse() = 0;

  /// The local address of the connection to Redis, by which peers most likely reach this host.
  /// Nothing for a unix socket.
  [[nodiscard]] virtual std::optional<Address> own_address() = 0;
};

}  // namespace libsync
