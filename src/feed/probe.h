#pragma once

// Whether this host's own rsync daemon serves its spool: a small file pulled from our own address.
//
// A host whose daemon is down, refuses the password, exports another folder, or runs as a user that
// cannot read the spool would make every peer fail that is sent to it. So it asks itself first, in
// the very way that a peer would.

#include <filesystem>
#include <optional>
#include <string>

#include "libsync/core/address.h"
#include "libsync/transfer.h"
#include "store/spool.h"
#include "store/state_folder.h"

namespace libsync {

class Probe {
 public:
  Probe(Transfer& transfer, const StateFolder& state, Address self)
      : transfer_(transfer), state_(state), self_(std::move(self)) {}

  /// Begins to pull the file into `into`, a folder of ours.
  void start(const std::filesystem::path& into);

  [[nodiscard]] bool is_running() const { return id_.has_value(); }

  /// Whether an event is about this probe.
  [[nodiscard]] bool owns(TransferId id) const { return id_ == id; }

  /// The probe has ended. Why the daemon does not serve us, for a person; nothing if it does.
  [[nodiscard]] std::optional<std::string> fault(const TransferEnded& ended);

 private:
  Transfer& transfer_;
  const StateFolder& state_;
  Address self_;
  std::optional<TransferId> id_;
  std::filesystem::path came_;
  std::string content_;
};

}  // namespace libsync
