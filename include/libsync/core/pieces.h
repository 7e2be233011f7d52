#pragma once

// Pieces: the stream of a payload, cut into equal parts.
//
// The stream is the contents of the regular files, in manifest order, end to end. Piece n is bytes
// [n*S, (n+1)*S) of it; only the last one may be shorter. An empty stream has one piece, which is
// empty. With one piece the whole payload moves at once, which is the algorithm of the 2018 pair
// exactly; with many, it is pipelined. One data path serves both.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libsync/core/digest.h"
#include "libsync/core/manifest.h"

namespace libsync {

using PieceNumber = std::uint32_t;

/// More pieces than this only cost: Redis keeps a bitmap a host and a digest a piece, and every
/// claim walks over the bitmaps of the sources that it looks at. A bitmap is 512 bytes then, and
/// all digests 128 KiB; `auto` cuts a payload into 512 at the most.
inline constexpr PieceNumber kMaxPieces = 4096;

/// From this size on a piece lasts a good deal longer than the start of the rsync that brings it:
/// 134 ms at 1 Gbit/s, beside 30.
inline constexpr std::uint64_t kLargePiece = std::uint64_t{16} << 20U;

/// `p00017`: the name of a piece wherever it is a file.
[[nodiscard]] std::string piece_name(PieceNumber piece);

/// How a stream is cut.
struct Cut {
  std::uint64_t stream_bytes = 0;
  std::uint64_t piece_bytes = 1;

  [[nodiscard]] PieceNumber pieces() const;
  [[nodiscard]] std::uint64_t offset_of(PieceNumber piece) const { return piece * piece_bytes; }
  [[nodiscard]] std::uint64_t bytes_of(PieceNumber piece) const;

  friend bool operator==(const Cut&, const Cut&) = default;
};

/// The piece size of `--piece-size auto`: a power of two, in coarse steps of payload and hosts, so
/// that one host more or some bytes more seldom change it. See pieces.cpp for the figures.
[[nodiscard]] std::uint64_t choose_piece_bytes(std::uint64_t stream_bytes, std::size_t hosts);

/// A set of pieces. Its bitmap is what Redis keeps: piece n is bit n%8, counted from the lowest, of
/// byte n/8; unused bits are zero.
class PieceSet {
 public:
  explicit PieceSet(PieceNumber pieces);

  /// Nothing, unless the bitmap has exactly the bytes that `pieces` need, unused bits zero.
  [[nodiscard]] static std::optional<PieceSet> from_bitmap(PieceNumber pieces,
                                                           std::string_view bitmap);

  void insert(PieceNumber piece);
  void erase(PieceNumber piece);
  [[nodiscard]] bool contains(PieceNumber piece) const;
  [[nodiscard]] PieceNumber size() const;
  [[nodiscard]] bool is_complete() const { return size() == pieces_; }
  [[nodiscard]] std::vector<PieceNumber> members() const;
  [[nodiscard]] const std::string& bitmap() const { return bitmap_; }

  PieceSet& operator|=(const PieceSet& other);
  friend bool operator==(const PieceSet&, const PieceSet&) = default;

 private:
  PieceNumber pieces_;
  std::string bitmap_;
};

/// A piece, and the digest that the master announced for it.
struct StagedPiece {
  PieceNumber piece;
  Digest digest;
};

/// A run of bytes in one file of the payload.
struct Segment {
  std::size_t entry;     ///< Index into the manifest's entries.
  std::uint64_t offset;  ///< In that file.
  std::uint64_t bytes;   ///< Never zero.
};

/// Where the bytes of each piece lie.
class Layout {
 public:
  Layout(const Manifest& manifest, std::uint64_t piece_bytes);

  [[nodiscard]] const Cut& cut() const { return cut_; }

  /// The segments of a piece, in stream order.
  [[nodiscard]] std::vector<Segment> segments(PieceNumber piece) const;

 private:
  struct FileStart {
    std::uint64_t stream_offset;
    std::size_t entry;
  };

  Cut cut_;
  std::vector<FileStart> starts_;  // Files that have bytes, in stream order; then the end.
};

}  // namespace libsync
