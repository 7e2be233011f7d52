#pragma once

// Which old payload of this host is most like a new one: `--basis`.
//
// Each release of a payload often has a name of its own, such as model.20181220. Its predecessor is
// the payload whose name is most alike. A wrong choice costs little, since digests judge. Pure.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libsync/core/manifest.h"

namespace libsync {

/// The old payloads that a pull may begin with.
enum class BasisRule {
  automatic,  ///< The most similar one.
  same_name,  ///< The one that the new payload will replace.
  none,       ///< None: every piece is pulled whole.
};

/// How much a published payload had in common with the one that it began with.
enum class Kinship { unknown, alike, unlike };

/// That of a payload of so many bytes, of which so many were pulled. Alike: a tenth was not pulled.
[[nodiscard]] Kinship kinship_of(std::uint64_t pulled_bytes, std::uint64_t bytes);

/// An old payload, for the choice.
struct OldName {
  std::string name;
  EntryKind kind;
  std::int64_t published = 0;  ///< A later one is preferred; the unit does not matter.
};

/// How alike two names are, in percent, without regard to their numbers. 100: they differ in
/// numbers, dates and hexadecimal digests alone.
[[nodiscard]] unsigned similarity(std::string_view one, std::string_view other);

/// The index of the old payload to use for a new one; nothing if none is alike. The same name comes
/// first, then the most similar, then the one that was published last.
[[nodiscard]] std::optional<std::size_t> choose_basis(const std::string& name, EntryKind kind,
                                                      const std::vector<OldName>& old);

}  // namespace libsync
