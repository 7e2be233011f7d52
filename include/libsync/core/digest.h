#pragma once

// BLAKE3 digests: the only proof in this system that bytes are the right bytes.
//
// The master announces the digest of the manifest and of every piece. A source may be broken or
// hostile, so a host places, counts and serves nothing before it has compared the digest. `b3sum`
// prints the same digests.
//
// Every host hashes every byte, so speed matters: BLAKE3 is as strong as SHA-256 and hashes several
// times as fast (./tests/bench/micro). The code is that of BLAKE3's authors, in the copy that LLVM
// packages.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace libsync {

/// The digest of some bytes. Ordered by its own bytes.
class Digest {
 public:
  static constexpr std::size_t kBytes = 32;
  using Bytes = std::array<std::uint8_t, kBytes>;

  explicit Digest(const Bytes& bytes) : bytes_(bytes) {}

  /// Nothing, unless `hex` is exactly 64 lower-case hexadecimal digits.
  [[nodiscard]] static std::optional<Digest> parse(std::string_view hex);

  [[nodiscard]] std::string hex() const;

  /// Nothing, unless `raw` is exactly 32 bytes.
  [[nodiscard]] static std::optional<Digest> from_raw(std::string_view raw);
  [[nodiscard]] std::string raw() const { return {bytes_.begin(), bytes_.end()}; }

  /// The hexadecimal digits behind the name of the hash: `blake3:…`. A program that knows another
  /// hash sees that it cannot compare; without the name it would find all bytes wrong.
  [[nodiscard]] std::string named() const;
  /// Nothing, unless named() could have written the text.
  [[nodiscard]] static std::optional<Digest> parse_named(std::string_view text);

  friend auto operator<=>(const Digest&, const Digest&) = default;

 private:
  Bytes bytes_;
};

/// Computes the digest of bytes that arrive in parts. Belongs to one thread at a time.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);

  /// The digest of all bytes so far. The caller may add more.
  [[nodiscard]] Digest finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The digest of all of `bytes`.
[[nodiscard]] Digest digest_of(std::string_view bytes);

}  // namespace libsync
