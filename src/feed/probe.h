#pragma once

// Tests whether the rsync daemon of this host serves its spool: pulls a small file from the host's
// own address.
//
// A daemon may be down, refuse the password, export another folder, or run as a user that cannot
// read the spool. Then every pull from this host would fail. So a host pulls from itself, as a peer
// would, before it offers anything. Both roles do this.
//
// A daemon without a free connection proves nothing. The probe tries again while it is so.

#include <filesystem>
#include <optional>
#include <string>

#include "libsync/core/address.h"
#include "libsync/core/time.h"
#include "libsync/transfer.h"
#include "store/spool.h"
#include "store/state_folder.h"

namespace libsync {

/// How a probe has ended.
struct ProbeVerdict {
  /// Why the daemon does not serve, for a person; nothing if it serves.
  std::optional<std::string> fault;
};

/// Belongs to one thread, and runs one probe at a time.
class Probe {
 public:
  Probe(Transfer& transfer, const StateFolder& state, Address self)
      : transfer_(transfer), state_(state), self_(std::move(self)) {}

  /// Begins to pull the file into `into`, a folder of ours. Throws Failure (local) if it cannot
  /// write the file, and (no_source) if there is no rsync.
  void start(const std::filesystem::path& into);

  /// Whether its transfer runs. Between two tries none does.
  [[nodiscard]] bool is_running() const { return id_.has_value(); }

  /// When step() has something to do; Instant::max() if never.
  [[nodiscard]] Instant due() const { return again_; }

  /// Tries again if that is due. Throws as start().
  void step(Instant now);

  /// Whether a transfer is this probe.
  [[nodiscard]] bool owns(TransferId id) const { return id_ == id; }

  /// Its transfer has ended. Nothing: the daemon had no free connection, and the probe goes on. A
  /// daemon that has none ten times in a row is at fault.
  [[nodiscard]] std::optional<ProbeVerdict> on(const TransferEnded& ended, Instant now);

 private:
  void pull();

  Transfer& transfer_;
  const StateFolder& state_;
  Address self_;
  std::optional<TransferId> id_;
  Instant again_ = Instant::max();
  unsigned busy_ = 0;              // How often in a row no connection was free.
  std::filesystem::path arrived_;  // The pulled copy.
  std::string content_;            // Drawn anew for each probe.
};

}  // namespace libsync
