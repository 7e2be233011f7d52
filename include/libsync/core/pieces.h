#pragma once

// Pieces: the stream of a payload, cut into equal parts.
//
// With piece size S, piece n is bytes [n*S, (n+1)*S) of the stream (core/stream_map.h). Only the
// last piece may be shorter. An empty stream has one empty piece.
//
// With one piece the whole payload moves at once, as the Python pair of 2018 did it. With many
// pieces, a host serves the first ones while it pulls the next. One data path does both.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libsync/core/digest.h"
#include "libsync/core/manifest.h"
#include "libsync/core/rolling_sum.h"
#include "libsync/core/stream_map.h"

namespace libsync {

using PieceNumber = std::uint32_t;

/// Most pieces of a payload. Redis keeps a bitmap for each host and a digest for each piece: 512
/// bytes and 128 KiB with this number. Every claim reads the bitmaps of several sources, so more
/// pieces only cost time (./tests/bench/micro). `auto` cuts a payload into at most 512.
inline constexpr PieceNumber kMaxPieces = 4096;

/// `p00017`: the file name of a piece, in the spool and for rsync.
[[nodiscard]] std::string piece_name(PieceNumber piece);

/// How a stream is cut.
struct Cut {
  std::uint64_t stream_bytes = 0;
  std::uint64_t piece_bytes = 1;  ///< Never zero.

  /// Number of pieces, at least one.
  [[nodiscard]] PieceNumber pieces() const;
  /// Offset of the piece in the stream.
  [[nodiscard]] std::uint64_t offset_of(PieceNumber piece) const { return piece * piece_bytes; }
  /// Length of the piece. REQUIRES: `piece` is less than pieces().
  [[nodiscard]] std::uint64_t bytes_of(PieceNumber piece) const;

  friend bool operator==(const Cut&, const Cut&) = default;
};

/// Whether the cut has at most kMaxPieces pieces. Numbers from outside must pass this before any
/// function of the Cut is called.
[[nodiscard]] bool is_allowed(const Cut& cut);

/// The piece size of `--piece-size auto`, for a stream and the number of expected hosts (0: not
/// known). A power of two in coarse steps, so that small changes of either seldom change it.
[[nodiscard]] std::uint64_t choose_piece_bytes(std::uint64_t stream_bytes, std::size_t hosts);

/// A set of pieces of one payload.
///
/// Redis keeps its bitmap: piece n is bit n%8, counted from the lowest, of byte n/8. Unused bits
/// are zero.
class PieceSet {
 public:
  /// The empty set. `pieces` is the number of pieces of the payload.
  explicit PieceSet(PieceNumber pieces);

  /// Nothing, unless the bitmap has exactly the bytes for `pieces`, and its unused bits are zero.
  [[nodiscard]] static std::optional<PieceSet> from_bitmap(PieceNumber pieces,
                                                           std::string_view bitmap);

  /// REQUIRES: `piece` is a piece of the payload.
  void insert(PieceNumber piece);
  void erase(PieceNumber piece);
  [[nodiscard]] bool contains(PieceNumber piece) const;
  [[nodiscard]] PieceNumber size() const;
  /// Whether every piece of the payload is in the set.
  [[nodiscard]] bool is_complete() const { return size() == pieces_; }
  /// The pieces in ascending order.
  [[nodiscard]] std::vector<PieceNumber> members() const;
  [[nodiscard]] const std::string& bitmap() const { return bitmap_; }

  /// REQUIRES: both sets belong to the same payload.
  PieceSet& operator|=(const PieceSet& other);
  friend bool operator==(const PieceSet&, const PieceSet&) = default;

 private:
  PieceNumber pieces_;
  std::string bitmap_;
};

/// A piece with the digest that the master announced for it, and its rolling sum (0: unknown).
struct StagedPiece {
  PieceNumber piece;
  Digest digest;
  RollingSum sum = 0;

  friend bool operator==(const StagedPiece&, const StagedPiece&) = default;
};

/// The form in which Redis keeps the digest and the sum of a piece: the sum has its lowest byte
/// first.
inline constexpr std::size_t kStagedBytes = Digest::kBytes + sizeof(RollingSum);
[[nodiscard]] std::string encode(const StagedPiece& piece);
/// Nothing unless the text has kStagedBytes.
[[nodiscard]] std::optional<StagedPiece> decode_staged(PieceNumber piece, std::string_view text);

/// Maps each piece to the files of the payload. Keeps no reference to the manifest.
class Layout {
 public:
  Layout(const Manifest& manifest, std::uint64_t piece_bytes)
      : map_(manifest), cut_{map_.bytes(), piece_bytes} {}

  [[nodiscard]] const Cut& cut() const { return cut_; }

  /// The segments of a piece, in stream order.
  [[nodiscard]] std::vector<Segment> segments(PieceNumber piece) const {
    return map_.segments(cut_.offset_of(piece), cut_.bytes_of(piece));
  }

 private:
  StreamMap map_;
  Cut cut_;
};

}  // namespace libsync
