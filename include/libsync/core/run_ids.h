#pragma once

// The names that a run goes by.
//
// A run is one distribution of one task. Its RunId fences everything: a call, a spool or a receipt
// that carries another id belongs to another run and changes nothing here. Ids are random and are
// compared by equality, never by order, so that a Redis which lost its data cannot confuse them.

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "libsync/core/hex.h"

namespace libsync {

/// 128 bits, written as 32 hexadecimal digits. The tag keeps one kind of name from being passed
/// for another.
template <typename Tag>
class Name128 {
 public:
  using Bytes = std::array<std::uint8_t, 16>;

  /// No name: equal to none that was parsed or drawn.
  Name128() = default;

  explicit Name128(const Bytes& bytes) : text_(to_hex(bytes)) {}

  [[nodiscard]] static std::optional<Name128> parse(std::string_view text) {
    Bytes bytes{};
    if (!from_hex(text, bytes)) return std::nullopt;
    return Name128(bytes);
  }

  [[nodiscard]] const std::string& text() const { return text_; }

  friend auto operator<=>(const Name128&, const Name128&) = default;

 private:
  std::string text_;
};

/// Names one distribution of one task.
using RunId = Name128<struct RunIdTag>;

/// Names a master: the state folder that it keeps its spools in.
using MasterId = Name128<struct MasterIdTag>;

/// Names one claim. The caller chooses it, so that a call whose reply was lost can be repeated.
using Token = Name128<struct TokenTag>;

/// Names a payload's spool folder: derived from path, entries, sizes, mtimes and piece size, so the
/// same payload set again finds its pieces again. It finds; only digests prove.
using Fingerprint = Name128<struct FingerprintTag>;

}  // namespace libsync
