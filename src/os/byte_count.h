#pragma once

// The bytes that threads have copied or hashed so far, for people.
//
// The functions that move bytes add to it part by part, so one large file shows progress, too. Any
// thread may read it.

#include <atomic>
#include <cstdint>

namespace libsync {

using ByteCount = std::atomic<std::uint64_t>;

}  // namespace libsync
