#pragma once

// Numbers of bytes for people.

#include <string>

namespace libsync {

/// A number of bytes with a unit, in four digits: `1.747 GB`. Units are powers of 1000.
[[nodiscard]] std::string shown_bytes(double bytes);

}  // namespace libsync
