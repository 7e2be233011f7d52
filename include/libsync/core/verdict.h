#pragma once

// What a digest says about a file.

namespace libsync {

enum class Verdict {
  good,    ///< The bytes have the announced digest.
  bad,     ///< The size is right, and the bytes are not.
  absent,  ///< There is no file, or its size is wrong.
};

}  // namespace libsync
