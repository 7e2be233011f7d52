#pragma once

// Random names from the kernel's source (getrandom).

#include "libsync/core/run_ids.h"

namespace libsync {

/// Fills `bytes`. Throws Failure (local) if the kernel gives no random bytes.
void fill_random(std::span<std::uint8_t> bytes);

/// A RunId, MasterId, Token or Fingerprint that nobody has used before.
template <typename Name>
[[nodiscard]] Name random_name() {
  typename Name::Bytes bytes{};
  fill_random(bytes);
  return Name(bytes);
}

}  // namespace libsync
