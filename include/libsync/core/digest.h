#pragma once

// BLAKE3: the only proof in this system that bytes are the right bytes.
//
// The master announces the digest of the manifest and of every piece; a peer may be broken or
// hostile, so nothing is spliced, counted or served on before its digest has been compared. `b3sum`
// prints the same digests.
//
// Every host hashes every byte, and with SHA-256 that was most of what a byte cost beside rsync.
// This hash is as strong and faster: 4.7 GB/s a core rather than 1.7 (./tests/bench/micro), or 0.45
// where the processor has no SHA instructions (the same with OPENSSL_ia32cap=:~0x20000000). The
// computing is that of BLAKE3's authors, in the copy that LLVM packages.

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

  /// With the name of the hash in front, `blake3:…`: a program that knows another one understands
  /// that it cannot compare, where it would find all bytes wrong. Nothing of any other text.
  [[nodiscard]] std::string named() const;
  [[nodiscard]] static std::optional<Digest> parse_named(std::string_view text);

  friend auto operator<=>(const Digest&, const Digest&) = default;

 private:
  Bytes bytes_;
};

/// A digest in the making. Not thread-safe; movable.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);

  /// The digest of all that was given so far.
  [[nodiscard]] Digest finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

[[nodiscard]] Digest digest_of(std::string_view bytes);

}  // namespace libsync
