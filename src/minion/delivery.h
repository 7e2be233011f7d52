#pragma once

namespace libsync {

/// By whose hands pieces come into this host's spool.
enum class Delivery {
  pulled,  ///< The minion pulls them.
  pushed,  ///< A master pushes them.
  shared,  ///< The master of this very host cuts them: the spool is its own, and only read here.
};

}  // namespace libsync
