#pragma once

// Finds out for `check` what the rsync daemon of this host serves.
//
// It pulls as a peer and as a stranger, and it pushes. Every file lies in a CheckFolder.

#include <optional>
#include <string>

#include "libsync/clock.h"
#include "libsync/core/address.h"
#include "libsync/transfer.h"
#include "store/check_folder.h"

namespace libsync {

class StopSignal;

struct FeedFacts {
  /// Why it serves no peer, escaped. With it the rest is unknown.
  std::optional<std::string> fault;
  bool asks_no_password = false;     ///< It serves a host without user and password, too.
  bool is_writable = false;          ///< A peer can write through the module.
  bool reads_private_files = false;  ///< It serves a file that only its owner may read.
};

/// `peer` logs in as the peers do, and pushes into the module that it pulls from. `stranger` has no
/// user and no password; null if peers have none either. A signal of `stop` ends the waiting.
[[nodiscard]] FeedFacts own_feed(Transfer& peer, Transfer* stranger, Clock& clock,
                                 const Address& self, const CheckFolder& folder,
                                 const StopSignal& stop);

}  // namespace libsync
