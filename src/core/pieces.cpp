#include "libsync/core/pieces.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace libsync {
namespace {

std::size_t bitmap_bytes(PieceNumber pieces) { return (std::size_t{pieces} + 7) / 8; }

}  // namespace

std::string piece_name(PieceNumber piece) { return fmt::format("p{:05}", piece); }

PieceNumber Cut::pieces() const {
  const auto pieces = stream_bytes / piece_bytes + (stream_bytes % piece_bytes == 0 ? 0 : 1);
  return std::max(PieceNumber{1}, static_cast<PieceNumber>(pieces));
}

// The first two conditions keep the number of pieces from an overflow.
bool is_allowed(const Cut& cut) {
  return cut.piece_bytes > 0 && cut.stream_bytes / cut.piece_bytes <= kMaxPieces &&
         cut.pieces() <= kMaxPieces;
}

std::uint64_t Cut::bytes_of(PieceNumber piece) const {
  return std::min(piece_bytes, stream_bytes - offset_of(piece));
}

// Each piece costs the receiver an rsync, and Redis a call if it is claimed. A large piece needs
// long to reach the last of many hosts. The command for all constants: ./tests/simulate
std::uint64_t choose_piece_bytes(std::uint64_t stream_bytes, std::size_t hosts) {
  // The smallest piece. With smaller ones Redis has no time for the claims of 60 hosts:
  // --hosts 60 --bytes 67108864
  constexpr std::uint64_t kSmallest = std::uint64_t{256} << 10U;
  // 257 to 512 pieces for 9 to 1,000 hosts. More of them start half as many rsyncs again and gain
  // little: --hosts 195 --bytes 1747000000
  const auto fine = std::max(kSmallest, std::bit_ceil(stream_bytes / 512));
  // For a handful of hosts fewer pieces suffice. 0 hosts means an unknown number.
  constexpr std::size_t kHandful = 8;
  if (hosts == 0 || hosts > kHandful) return fine;
  // 113 to 224 pieces. Fewer rsyncs save each host processor time, of which each start needs more
  // than 10 ms: --hosts 8 --bytes 4294967296, ./tests/bench/loopback
  return std::max(kSmallest, std::bit_ceil(stream_bytes / 224));
}

PieceSet::PieceSet(PieceNumber pieces) : pieces_(pieces), bitmap_(bitmap_bytes(pieces), '\0') {}

std::optional<PieceSet> PieceSet::from_bitmap(PieceNumber pieces, std::string_view bitmap) {
  PieceSet set(pieces);
  if (bitmap.size() != set.bitmap_.size()) return std::nullopt;
  if (pieces % 8 != 0 && (static_cast<unsigned char>(bitmap.back()) >> (pieces % 8)) != 0) {
    return std::nullopt;
  }
  set.bitmap_ = bitmap;
  return set;
}

void PieceSet::insert(PieceNumber piece) {
  bitmap_[piece / 8] = static_cast<char>(bitmap_[piece / 8] | (1 << (piece % 8)));
}

void PieceSet::erase(PieceNumber piece) {
  bitmap_[piece / 8] = static_cast<char>(bitmap_[piece / 8] & ~(1 << (piece % 8)));
}

bool PieceSet::contains(PieceNumber piece) const {
  return piece < pieces_ && ((bitmap_[piece / 8] >> (piece % 8)) & 1) != 0;
}

PieceNumber PieceSet::size() const {
  int count = 0;
  for (const char byte : bitmap_) count += std::popcount(static_cast<unsigned char>(byte));
  return static_cast<PieceNumber>(count);
}

std::vector<PieceNumber> PieceSet::members() const {
  std::vector<PieceNumber> all;
  for (PieceNumber piece = 0; piece < pieces_; ++piece) {
    if (contains(piece)) all.push_back(piece);
  }
  return all;
}

PieceSet& PieceSet::operator|=(const PieceSet& other) {
  for (std::size_t i = 0; i < bitmap_.size(); ++i) {
    bitmap_[i] = static_cast<char>(bitmap_[i] | other.bitmap_[i]);
  }
  return *this;
}

std::string encode(const StagedPiece& piece) {
  std::string text = piece.digest.raw();
  for (std::size_t byte = 0; byte < sizeof(RollingSum); ++byte) {
    text.push_back(static_cast<char>(piece.sum >> 8 * byte & 255U));
  }
  return text;
}

std::optional<StagedPiece> decode_staged(PieceNumber piece, std::string_view text) {
  if (text.size() != kStagedBytes) return std::nullopt;
  const auto digest = Digest::from_raw(text.substr(0, Digest::kBytes));
  if (!digest) return std::nullopt;
  RollingSum sum = 0;
  for (std::size_t byte = 0; byte < sizeof(RollingSum); ++byte) {
    const auto value = static_cast<unsigned char>(text[Digest::kBytes + byte]);
    sum |= static_cast<RollingSum>(value) << 8 * byte;
  }
  return StagedPiece{piece, *digest, sum};
}

}  // namespace libsync
