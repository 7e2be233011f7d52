#pragma once

// SHA-256: the only proof in this system that bytes are the right bytes.
//
// The master announces the digest of the manifest and of every piece; a peer may be broken or
// hostile, so nothing is spliced, counted or served on before its digest has been compared.
// The computing is OpenSSL's (EVP), which uses the SHA instructions of the processor.

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

  friend auto operator<=>(const Digest&, const Digest&) = default;

 private:
  Bytes bytes_;
};

/// A digest in the making. Not thread-safe; movable.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);

  /// The digest of all that was given. Nothing may be added afterwards.
  [[nodiscard]] Digest finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

[[nodiscard]] Digest digest_of(std::string_view bytes);

}  // namespace libsync
