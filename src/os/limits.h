#pragma once

// The limits of this process (setrlimit(2)).

#include <sys/resource.h>

#include <cstddef>

namespace libsync {

/// Raises the soft limits of open files and of file sizes to the hard ones. A write beyond the
/// limit of file sizes fails with EFBIG from now on, without a signal. Call it once, before the
/// first thread.
void raise_limits();

/// Most files that this process may have open.
[[nodiscard]] std::size_t open_file_limit();

/// The limit of open files before raise_limits(), which children get again: some programs close
/// every number up to it. Null if it was not raised.
[[nodiscard]] const rlimit* former_open_files();

}  // namespace libsync
