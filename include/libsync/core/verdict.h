#pragma once

// The result of comparing a file with its announced digest.

namespace libsync {

enum class Verdict {
  good,    ///< The bytes have the announced digest.
  bad,     ///< The size is right and the bytes are wrong.
  absent,  ///< There is no file, or its size is wrong.
};

}  // namespace libsync
