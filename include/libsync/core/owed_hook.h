#pragma once

// The debt of a host that has published a payload and has not run --after-publish for it yet.
//
// Only the text form is here; store/receipts.h keeps it in a file. A tick that dies over the
// command leaves the file behind, and the next tick reads it.

#include <optional>
#include <string>
#include <string_view>

#include "libsync/core/digest.h"

namespace libsync {

struct OwedHook {
  Digest manifest;           ///< The payload was published from it.
  std::string payload_name;  ///< See is_payload_name().

  friend bool operator==(const OwedHook&, const OwedHook&) = default;
};

/// The hexadecimal digits of the manifest, and the name right behind them.
[[nodiscard]] std::string encode(const OwedHook& owed);

/// Nothing, unless encode() could have written the text.
[[nodiscard]] std::optional<OwedHook> decode_owed_hook(std::string_view text);

}  // namespace libsync
