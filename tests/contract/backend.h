#pragma once

// The two backends of the contract suite: the fake, and a real Redis with the product's functions.

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "libsync/core/time.h"
#include "libsync/master_coordinator.h"
#include "libsync/minion_coordinator.h"
#include "libsync/observer.h"

namespace libsync::test {

/// One shared state, and coordinators onto it.
class Backend {
 public:
  virtual ~Backend() = default;

  [[nodiscard]] virtual MasterCoordinator& master() = 0;
  /// The coordinator of a host. The same address gives the same one.
  [[nodiscard]] virtual MinionCoordinator& minion(const Address& host) = 0;
  /// A coordinator for a host that accepts sources in these ranges.
  [[nodiscard]] virtual std::unique_ptr<MinionCoordinator> minion_with(
      std::vector<Network> peers) = 0;
  [[nodiscard]] virtual Observer& observer() = 0;

  /// Sets `task` as an operator does, or deletes it.
  virtual void set_task(const std::optional<std::string>& task) = 0;
  [[nodiscard]] virtual std::optional<std::string> task() = 0;
  [[nodiscard]] virtual std::size_t lookups() = 0;

  /// Replaces the functions by those of another version.
  virtual void spoil_functions() = 0;
  virtual void remove_functions() = 0;

  /// Advances the clock of leases, quarantines and the age of hosts.
  virtual void advance(Duration by) = 0;
  /// Waits until the patience of a listening has passed.
  virtual void outlast(std::chrono::seconds patience) = 0;
};

/// A way to make a backend, and its name in the names of tests.
struct BackendKind {
  std::string name;
  std::function<std::unique_ptr<Backend>()> make;

  friend std::ostream& operator<<(std::ostream& out, const BackendKind& kind) {
    return out << kind.name;
  }
};

[[nodiscard]] std::unique_ptr<Backend> make_fake_backend();
[[nodiscard]] std::unique_ptr<Backend> make_redis_backend();

}  // namespace libsync::test
