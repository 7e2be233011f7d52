#include "libsync/digest.h"

#include <openssl/evp.h>

#include <algorithm>

#include "libsync/failure.h"
#include "libsync/hex.h"

namespace libsync {

struct Sha256::Context {
  Context() : evp(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    if (!evp || EVP_DigestInit_ex(evp.get(), EVP_sha256(), nullptr) != 1) fail();
  }

  [[noreturn]] static void fail() {
    throw Failure(ExitStatus::local, Remedy::operator_acts,
                  "OpenSSL offers no SHA-256 here: check its installation and its FIPS settings");
  }

  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> evp;
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(context_->evp.get(), bytes.data(), bytes.size()) != 1) Context::fail();
}

void Sha256::update(std::string_view text) { update(std::as_bytes(std::span(text))); }

Digest Sha256::finish() {
  Digest::Bytes bytes{};
  unsigned length = 0;
  if (EVP_DigestFinal_ex(context_->evp.get(), bytes.data(), &length) != 1 ||
      length != Digest::kBytes) {
    Context::fail();
  }
  return Digest(bytes);
}

std::optional<Digest> Digest::parse(std::string_view hex) {
  Bytes bytes{};
  if (!from_hex(hex, bytes)) return std::nullopt;
  return Digest(bytes);
}

std::optional<Digest> Digest::from_raw(std::string_view raw) {
  Bytes bytes{};
  if (raw.size() != bytes.size()) return std::nullopt;
  std::copy(raw.begin(), raw.end(), bytes.begin());
  return Digest(bytes);
}

std::string Digest::hex() const { return to_hex(bytes_); }

Digest digest_of(std::string_view bytes) {
  Sha256 sha;
  sha.update(bytes);
  return sha.finish();
}

}  // namespace libsync
