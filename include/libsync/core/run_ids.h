#pragma once

// Ids: random ones of runs, masters and claims, and derived ones of payloads.
//
// The RunId fences a run: a call, spool or receipt with another id belongs to another run, and
// changes nothing in this one. Programs compare ids for equality only. So a Redis that lost its
// data cannot confuse them.

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "libsync/core/hex.h"

namespace libsync {

/// 128 bits, written as 32 hexadecimal digits. The tag makes each kind of name a type of its own.
template <typename Tag>
class Name128 {
 public:
  using Bytes = std::array<std::uint8_t, 16>;

  /// No name. It equals no name that was parsed or drawn, and its text is empty.
  Name128() = default;

  explicit Name128(const Bytes& bytes) : text_(to_hex(bytes)) {}

  /// Nothing, unless `text` is exactly 32 lower-case hexadecimal digits.
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

/// Names a master by its state folder, which keeps the id and the spools.
using MasterId = Name128<struct MasterIdTag>;

/// Names one claim. The caller chooses it, so it can repeat a call whose reply was lost.
using Token = Name128<struct TokenTag>;

/// Names the spool folder of a payload. It is derived from path, entries, sizes, mtimes and piece
/// size, so a payload that is set again finds its old pieces. Only digests prove them.
using Fingerprint = Name128<struct FingerprintTag>;

}  // namespace libsync
