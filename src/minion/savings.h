#pragma once

// Whether it pays to fill the files of pieces with old bytes before their pulls.
//
// Old bytes cost a copy, and the source searches for them in the new ones. That costs several times
// the processor time of a plain pull. So the host fills one piece and waits for the result, unless
// the old payload is known to be alike. It fills all while that pays. If several pieces in a row
// have saved little, it leaves out some and tries one again: another part may have changed less.
// Pure.

#include <cstdint>

namespace libsync {

/// Whether the old payload has whole pieces of the new one.
enum class Likeness { unknown, shown };

class Savings {
 public:
  /// Whether the next piece should begin with old bytes. Counts it.
  [[nodiscard]] bool should_fill(Likeness likeness);

  /// A piece that began with old bytes has arrived.
  void arrived(std::uint64_t piece_bytes, std::uint64_t wire_bytes);

  /// A piece that was to begin with old bytes has none.
  void left() { is_trying_ = false; }

 private:
  /// Poor pieces in a row after which it stops.
  [[nodiscard]] unsigned most_poor() const;

  bool is_alike_ = false;   // The old payload has whole pieces.
  bool is_good_ = false;    // A piece has saved much, and few poor ones came after it.
  bool is_poor_ = false;    // The last pieces have saved little.
  bool is_trying_ = false;  // One piece is on its way.
  unsigned poor_ = 0;       // Pieces in a row that saved little.
  unsigned pause_ = 0;      // Pieces to leave out after the last try.
  unsigned left_out_ = 0;   // Since then.
};

}  // namespace libsync
