#pragma once

// Reads the answer to the function pulse.
//
// A person reads its values, and other programs may have written them. So a wrong number counts as
// zero or as unknown, and only an answer of another shape is a Failure (redis).

#include "libsync/observer.h"
#include "redis/connection.h"

namespace libsync {

[[nodiscard]] Pulse read_pulse(const RedisValue& answer);

}  // namespace libsync
