#pragma once

// Lower-case hexadecimal: the one spelling in which ids and digests leave the process.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace libsync {

/// Two digits for each byte.
[[nodiscard]] std::string to_hex(std::span<const std::uint8_t> bytes);

/// Fills `bytes`. False unless `text` has exactly two digits for each byte, in 0 to 9 and a to f;
/// then `bytes` are undefined.
[[nodiscard]] bool from_hex(std::string_view text, std::span<std::uint8_t> bytes);

}  // namespace libsync
