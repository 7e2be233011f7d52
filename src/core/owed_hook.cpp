#include "libsync/core/owed_hook.h"

#include "libsync/core/task.h"

namespace libsync {

std::string encode(const OwedHook& owed) { return owed.manifest.hex() + owed.payload_name; }

std::optional<OwedHook> decode_owed_hook(std::string_view text) {
  constexpr auto kHexBytes = 2 * Digest::kBytes;
  const auto manifest = Digest::parse(text.substr(0, kHexBytes));
  if (!manifest) return std::nullopt;
  const auto name = text.substr(kHexBytes);
  if (!is_payload_name(name)) return std::nullopt;
  return OwedHook{*manifest, std::string(name)};
}

}  // namespace libsync
