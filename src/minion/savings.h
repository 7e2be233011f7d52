#pragma once

// Whether it pays to fill the files of pieces with old bytes before their pulls.
//
// Old bytes cost a copy, and the host sends sums of them to the source. If several pieces in a row
// have saved little, the host stops for some pieces and then tries one again. Another part of the
// payload may have changed less. Pure.

#include <cstdint>

namespace libsync {

class Savings {
 public:
  /// Whether the next piece should begin with old bytes. Counts it.
  [[nodiscard]] bool should_fill();

  /// A piece that began with old bytes has arrived.
  void arrived(std::uint64_t piece_bytes, std::uint64_t wire_bytes);

 private:
  unsigned poor_ = 0;      // Pieces in a row that saved little.
  unsigned pause_ = 0;     // Pieces to leave out after the last try.
  unsigned left_out_ = 0;  // Since then.
};

}  // namespace libsync
