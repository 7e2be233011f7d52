#pragma once

namespace libsync {

/// The way in which pieces come into this host's spool.
enum class Delivery {
  pulled,  ///< The minion pulls them.
  pushed,  ///< A master pushes them.
  shared,  ///< The master of this host cuts them. The spool is the master's, and is only read.
};

}  // namespace libsync
