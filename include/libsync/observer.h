#pragma once

// What people ask: a snapshot of all that the shared state knows of the run and of its hosts. It
// decides nothing; programs/report.h prints it.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libsync/run.h"

namespace libsync {

struct HostStatus {
  std::string address;
  PieceNumber in_place = 0;
  std::size_t claims = 0;
  std::size_t uploads = 0;
  std::optional<std::chrono::milliseconds> finished_after;
  std::string error;
  std::optional<std::chrono::milliseconds> seen_ago;
  bool is_expected = false;
  bool is_running = false;  ///< It pulls: by claims, or along trees, where it holds no claim.
};

struct RunStatus {
  RunInfo run;
  std::chrono::milliseconds age{};
  std::size_t announced = 0;
  std::size_t free_sources = 0;
  std::size_t expected = 0;
};

struct LastStatus {
  std::string path;
  std::string outcome;
  std::string reason;
  std::size_t finished = 0;
  std::size_t expected = 0;
  std::uint64_t bytes = 0;
  std::chrono::milliseconds took{};
  std::chrono::milliseconds ended_ago{};
};

struct Status {
  std::string task;
  std::optional<RunStatus> run;
  std::optional<LastStatus> last;
  std::vector<HostStatus> hosts;
};

class Observer {
 public:
  virtual ~Observer() = default;

  /// Changes nothing. Failure (redis) as with the coordinators.
  [[nodiscard]] virtual Status status() = 0;

  /// The local address of the connection to Redis: by the same address the peers most likely reach
  /// this host. Nothing for a unix socket.
  [[nodiscard]] virtual std::optional<Address> own_address() = 0;
};

}  // namespace libsync
