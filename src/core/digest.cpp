#include "libsync/core/digest.h"

#ifdef SYNC_FANOUT_PACKAGED_BLAKE3
#include <blake3.h>
#else
#include <llvm-c/blake3.h>
#endif

#include <algorithm>

#include "libsync/core/hex.h"

namespace libsync {
namespace {

#ifndef SYNC_FANOUT_PACKAGED_BLAKE3
// LLVM's copy of the library is the same but for a prefix.
using blake3_hasher = llvm_blake3_hasher;
constexpr auto& blake3_hasher_init = llvm_blake3_hasher_init;
constexpr auto& blake3_hasher_update = llvm_blake3_hasher_update;
constexpr auto& blake3_hasher_finalize = llvm_blake3_hasher_finalize;
#endif

constexpr std::string_view kName = "blake3:";

}  // namespace

struct Hasher::State {
  blake3_hasher blake3;
};

Hasher::Hasher() : state_(std::make_unique<State>()) { blake3_hasher_init(&state_->blake3); }
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(std::span<const std::byte> bytes) {
  blake3_hasher_update(&state_->blake3, bytes.data(), bytes.size());
}

void Hasher::update(std::string_view text) { update(std::as_bytes(std::span(text))); }

Digest Hasher::finish() const {
  Digest::Bytes bytes{};
  blake3_hasher_finalize(&state_->blake3, bytes.data(), bytes.size());
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

std::string Digest::named() const { return std::string(kName) + hex(); }

std::optional<Digest> Digest::parse_named(std::string_view text) {
  if (!text.starts_with(kName)) return std::nullopt;
  return parse(text.substr(kName.size()));
}

Digest digest_of(std::string_view bytes) {
  Hasher hasher;
  hasher.update(bytes);
  return hasher.finish();
}

}  // namespace libsync
