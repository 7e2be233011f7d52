#pragma once

// The id of a host, apart from its address.

#include "libsync/core/run_ids.h"

namespace libsync {

/// Names the host of a minion by its state folder, which keeps the id, at whatever address.
using HostId = Name128<struct HostIdTag>;

}  // namespace libsync
