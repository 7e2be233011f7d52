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

std::uint64_t Cut::bytes_of(PieceNumber piece) const {
  return std::min(piece_bytes, stream_bytes - offset_of(piece));
}

// Figures of ./tests/simulate, as multiples of the bound; they differ by 0.01 from run to run.
// Pieces cost the receiver an rsync each, and Redis a call where they are claimed; large ones take
// long to reach the last of many hosts.
std::uint64_t choose_piece_bytes(std::uint64_t stream_bytes, std::size_t hosts) {
  // Small payloads. 67 MB in pieces of 1/4, 1/2 and 1 MiB: along trees, to 195 hosts, at 15 Mbit/s
  // 1.10, 1.23 and 1.52, at 1 Gbit/s 1.96, 2.01 and 2.15; by claims, to 60 hosts, 1.08, 1.17 and
  // 1.37, and 2.23, 2.08 and 2.32. With 1/8 Redis has no more time for those, 3.23; 31 hosts at 15
  // Mbit/s would take 33 MB in 1.09 rather than 1.19, with nearly twice as many rsyncs.
  constexpr std::uint64_t kSmallest = std::uint64_t{256} << 10U;
  // 1.747 GB at 1 Gbit/s in pieces of 2, 4 and 8 MiB: 15 hosts 1.10, 1.07 and 1.10, 195 hosts 1.14,
  // 1.10 and 1.17; along trees 1,000 hosts 1.08, 1.10 and 1.22, with half as many rsyncs again
  // for the first as for the second.
  const auto fine = std::max(kSmallest, std::bit_ceil(stream_bytes / 512));
  // 0 hosts: nobody said how many come. (10 hosts, 3.3 GB: coarser ones take 1.07 to 1.10,
  // not 1.04.)
  constexpr std::size_t kHandful = 8;
  if (hosts == 0 || hosts > kHandful) return fine;
  // 4 GiB to 8 hosts in pieces of 8, 16 and 32 MiB take 1.02, 1.045 and 1.065 with 344, 185 and 128
  // rsyncs a host, each more than 10 ms of processor time: over loopback the last took 4.7 s a GB,
  // the second 5.1, when all was dearer. There it is worth it, with 113 to 224 pieces; fewer take
  // longer.
  const auto coarse = std::bit_ceil(stream_bytes / 224);
  if (coarse >= kLargePiece) return coarse;
  // Of smaller ones so few would idle the links while rsyncs start: 1.5 GB in pieces of 8 MiB take
  // 1.09, of 4 MiB 1.04. With twice as many as that, 8 MiB for 1.9 GB, it is 1.05.
  const auto medium = std::max(kSmallest, std::bit_ceil(stream_bytes / 384));
  // 80 MB to 8 hosts in pieces of 1/4, 1/2 and 1 MiB: at 1 Gbit/s 1.62, 1.61 and 1.62 with 72, 61
  // and 47 rsyncs a host; at 0.1 Gbit/s 1.08, 1.11 and 1.175. As a tree of 20,000 files over
  // loopback, where starts take half of the time, 9.0 s in pieces of 1/4 MiB, 8.1 in those of 1 MiB
  // (means of three in turn). 2 MiB: 1.62, 1.40 and 7.5 s.
  constexpr std::uint64_t kWorthAStart = std::uint64_t{1} << 20U;
  const auto enough = std::bit_floor(stream_bytes / 64);
  return std::max(medium, std::min(enough, kWorthAStart));
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

Layout::Layout(const Manifest& manifest, std::uint64_t piece_bytes)
    : cut_{manifest.bytes(), piece_bytes} {
  std::uint64_t offset = 0;
  for (std::size_t i = 0; i < manifest.entries().size(); ++i) {
    const auto size = manifest.entries()[i].size;
    if (size > 0) starts_.push_back({offset, i});
    offset += size;
  }
  starts_.push_back({offset, manifest.entries().size()});
}

std::vector<Segment> Layout::segments(PieceNumber piece) const {
  std::vector<Segment> all;
  std::uint64_t position = cut_.offset_of(piece);
  const std::uint64_t end = position + cut_.bytes_of(piece);
  auto next = std::upper_bound(
      starts_.begin(), starts_.end(), position,
      [](std::uint64_t offset, const FileStart& start) { return offset < start.stream_offset; });
  for (; position < end; ++next) {
    const FileStart& file = *std::prev(next);
    const std::uint64_t bytes = std::min(next->stream_offset, end) - position;
    all.push_back({file.entry, position - file.stream_offset, bytes});
    position += bytes;
  }
  return all;
}

}  // namespace libsync
