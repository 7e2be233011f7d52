#include "libsync/core/shown_number.h"

#include <fmt/format.h>

namespace libsync {

std::string shown_bytes(double bytes) {
  for (const auto* const unit : {"B", "kB", "MB", "GB", "TB", "PB"}) {
    if (bytes < 1000) return fmt::format("{:.4g} {}", bytes, unit);
    bytes /= 1000;
  }
  return fmt::format("{:.4g} EB", bytes);
}

std::string shown_bytes(std::uint64_t bytes) { return shown_bytes(static_cast<double>(bytes)); }

std::string shown_gigabytes(std::uint64_t bytes) {
  return fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9);
}

std::string shown_count(std::uint64_t count) {
  auto text = std::to_string(count);
  for (auto at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

}  // namespace libsync
