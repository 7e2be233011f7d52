#pragma once

// Tests whether the rsync daemon of this host serves its spool: pulls a small file from the host's
// own address.
//
// A daemon may be down, refuse the password, export another folder, or run as a user that cannot
// read the spool. Then every pull from this host would fail. So a host pulls from itself, as a peer
// would, before it offers anything. Both roles do this.

#include <filesystem>
#include <optional>
#include <string>

#include "libsync/core/address.h"
#include "libsync/transfer.h"
#include "store/spool.h"
#include "store/state_folder.h"

namespace libsync {

/// Belongs to one thread, and runs one probe at a time.
class Probe {
 public:
  Probe(Transfer& transfer, const StateFolder& state, Address self)
      : transfer_(transfer), state_(state), self_(std::move(self)) {}

  /// Begins to pull the file into `into`, a folder of ours. Throws Failure (local) if it cannot
  /// write the file, and (no_source) if there is no rsync.
  void start(const std::filesystem::path& into);

  [[nodiscard]] bool is_running() const { return id_.has_value(); }

  /// Whether a transfer is this probe.
  [[nodiscard]] bool owns(TransferId id) const { return id_ == id; }

  /// Ends the probe. Returns the reason why the daemon does not serve, for a person; nothing if it
  /// serves.
  [[nodiscard]] std::optional<std::string> fault(const TransferEnded& ended);

 private:
  Transfer& transfer_;
  const StateFolder& state_;
  Address self_;
  std::optional<TransferId> id_;
  std::filesystem::path arrived_;  // The pulled copy.
  std::string content_;            // Drawn anew for each probe.
};

}  // namespace libsync
