#include "programs/shown_bytes.h"

#include <fmt/format.h>

namespace libsync {

std::string shown_bytes(double bytes) {
  for (const auto* const unit : {"B", "kB", "MB", "GB", "TB", "PB"}) {
    if (bytes < 1000) return fmt::format("{:.4g} {}", bytes, unit);
    bytes /= 1000;
  }
  return fmt::format("{:.4g} EB", bytes);
}

}  // namespace libsync
