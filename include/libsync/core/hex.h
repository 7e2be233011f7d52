#pragma once

// Lower-case hexadecimal, the one spelling in which ids and digests leave the process.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace libsync {

[[nodiscard]] std::string to_hex(std::span<const std::uint8_t> bytes);

/// False unless `text` is exactly as long as `bytes` needs, in digits and lower-case a to f.
[[nodiscard]] bool from_hex(std::string_view text, std::span<std::uint8_t> bytes);

}  // namespace libsync
