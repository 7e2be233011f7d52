#pragma once

// Who owns what is published: `--owner`.

namespace libsync {

enum class Ownership {
  own,      ///< The user of the minion.
  carried,  ///< The owner and group of the originals. Only root can.
};

}  // namespace libsync
