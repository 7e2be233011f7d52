#pragma once

// The owner of published files: `--owner`.

namespace libsync {

enum class Ownership {
  own,      ///< The user of the minion.
  carried,  ///< The owner and group of the originals. Needs root.
};

}  // namespace libsync
