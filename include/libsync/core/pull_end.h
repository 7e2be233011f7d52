#pragma once

// How a pull ended, in the classes that somebody acts on. rsync's exit status and messages are
// sorted into these by rsync_transfer; a wrong digest makes any of them corrupt.

namespace libsync {

enum class PullEnd {
  good,         ///< All that was claimed is there, and verified.
  busy,         ///< The source had no connection free. Nobody's fault.
  unreachable,  ///< The source could not be reached, broke off, or stalled.
  refused,      ///< The source does not serve us: password, module, or options.
  missing,      ///< The source serves us, but has not what it offers.
  corrupt,      ///< The source served wrong bytes.
  local,        ///< The fault is on this host.
};

}  // namespace libsync
