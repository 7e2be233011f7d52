#pragma once

// Numbers for people.

#include <cstdint>
#include <string>

namespace libsync {

/// A number of bytes with a unit, in four digits: `1.747 GB`. Units are powers of 1000.
[[nodiscard]] std::string shown_bytes(double bytes);
[[nodiscard]] std::string shown_bytes(std::uint64_t bytes);

/// A number of bytes in GB with two digits behind the point: `0.06 GB`. For messages that are
/// logged once while they stay the same, though a few bytes come or go.
[[nodiscard]] std::string shown_gigabytes(std::uint64_t bytes);

/// A count in groups of three digits: `100,000`.
[[nodiscard]] std::string shown_count(std::uint64_t count);

}  // namespace libsync
