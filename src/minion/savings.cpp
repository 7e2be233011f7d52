#include "minion/savings.h"

#include <algorithm>

namespace libsync {
namespace {

// A piece that saves less than this part of its bytes is poor: ./tests/bench/delta
constexpr std::uint64_t kLeastPart = 10;
// Poor pieces in a row after which the host stops. It has as many in flight at once.
constexpr unsigned kTries = 4;
// Pieces that it leaves out then; each later pause is twice as long.
constexpr unsigned kFirstPause = 8;
constexpr unsigned kLongestPause = 128;

}  // namespace

bool Savings::should_fill() {
  if (poor_ < kTries) return true;
  if (left_out_ < pause_) {
    ++left_out_;
    return false;
  }
  left_out_ = 0;
  return true;
}

void Savings::arrived(std::uint64_t piece_bytes, std::uint64_t wire_bytes) {
  const auto saved = piece_bytes - std::min(piece_bytes, wire_bytes);
  if (saved * kLeastPart >= piece_bytes) {
    poor_ = 0;
    pause_ = 0;
  } else if (++poor_ >= kTries) {
    pause_ = std::clamp(2 * pause_, kFirstPause, kLongestPause);
  }
}

}  // namespace libsync
