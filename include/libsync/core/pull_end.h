#pragma once

// How a pull ended.
//
// There is one value for each reaction of the shared state. rsync_transfer derives it from the exit
// status and messages of rsync. A wrong digest makes any pull corrupt.

namespace libsync {

enum class PullEnd {
  good,         ///< All pieces have arrived and are verified.
  busy,         ///< The source had no free connection. No host is at fault.
  unreachable,  ///< The source did not answer, broke off, or stalled.
  refused,      ///< The source does not serve this host: password, module or options.
  missing,      ///< The source lacks pieces that it offers.
  corrupt,      ///< The source served wrong bytes.
  local,        ///< The fault is on this host.
};

}  // namespace libsync
