#pragma once

// Random names. The kernel draws their bytes (getrandom).

#include "libsync/core/run_ids.h"

namespace libsync {

/// Fills `bytes`. Throws Failure (local) if the kernel gives no random bytes.
void fill_random(std::span<std::uint8_t> bytes);

/// A RunId, MasterId, Token or Fingerprint that no process has used before.
template <typename Name>
[[nodiscard]] Name random_name() {
  typename Name::Bytes bytes{};
  fill_random(bytes);
  return Name(bytes);
}

}  // namespace libsync
