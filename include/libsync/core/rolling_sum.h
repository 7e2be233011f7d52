#pragma once

// A sum of a block of bytes that moves along a text at little cost for each byte.
//
// The master announces the sum of each piece beside its digest. A host that has an old payload
// finds in one pass which pieces are in it, at any offset. An equal sum is only a hint, and the
// digest decides. A hostile text with equal sums costs checks, so the finder gives few offsets for
// a sum.
//
// The sum of n bytes is n T[b[0]] + (n-1) T[b[1]] + … + 1 T[b[n-1]], modulo 2^64. T has a random
// number for each byte. rsync uses such a sum, too: the second one of Fletcher (1982). Pure.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

namespace libsync {

using RollingSum = std::uint64_t;

/// Sums the bytes of a block that come in parts.
class RollingSummer {
 public:
  void add(std::string_view bytes);
  [[nodiscard]] RollingSum sum() const { return second_; }

 private:
  std::uint64_t first_ = 0;
  std::uint64_t second_ = 0;
};

/// Finds blocks of one length in a text, by their sums.
class BlockFinder {
 public:
  struct Block {
    std::size_t number;    ///< Its index among the sums.
    std::uint64_t offset;  ///< Where the text may have it.
  };

  /// `length`: bytes of each block, at least one. A sum of zero is unknown, and never found.
  BlockFinder(std::uint64_t length, const std::vector<RollingSum>& sums);

  /// Begins anew at this offset of the text.
  void begin(std::uint64_t offset);

  /// The next bytes of the text. `entering` are the bytes themselves. `leaving` are the bytes
  /// `length` before them; where fewer have come, they are unused. Both have the same length.
  /// Appends what may be there to `found`: for each sum the first `kMostOffsets` offsets, the
  /// blocks of equal sums together.
  void add(std::string_view entering, std::string_view leaving, std::vector<Block>& found);

  /// Most offsets that are given for a sum. More of them cost more checks than a pull saves.
  static constexpr unsigned kMostOffsets = 2;

 private:
  struct Wanted {
    std::vector<std::size_t> numbers;
    unsigned left = kMostOffsets;
  };

  /// The block that ends here may be wanted.
  void meet(std::vector<Block>& found);

  std::uint64_t length_;
  std::uint64_t offset_ = 0;  // The next byte lies there.
  std::uint64_t held_ = 0;    // Bytes in the block now, `length_` at most.
  std::uint64_t first_ = 0;
  std::uint64_t second_ = 0;
  // Sorted, so that hostile sums make no search long.
  std::map<RollingSum, Wanted> wanted_;
  // A bit for each value of the highest bits of a sum, and one for the bits below them.
  std::vector<std::uint64_t> filter_;
  std::vector<std::uint64_t> second_filter_;
  // The second sum loses this for each value of a byte that leaves.
  std::vector<std::uint64_t> leaves_;
};

}  // namespace libsync
