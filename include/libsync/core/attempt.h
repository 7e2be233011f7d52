#pragma once

namespace libsync {

/// Whether another pull of this host has the same piece in flight. Each attempt has a folder of its
/// own in the spool.
enum class Attempt { first, second };

}  // namespace libsync
