#include "minion/savings.h"

#include <algorithm>

namespace libsync {
namespace {

// A piece that saves less than this part of its bytes is poor: ./tests/bench/delta
constexpr std::uint64_t kLeastPart = 10;
// Poor pieces in a row after which the host stops, if old bytes have been of use before.
constexpr unsigned kTries = 4;
// The same, if the old payload has whole pieces. Those that it lacks are often wholly new, and some
// are new in part: ./tests/bench/delta header
constexpr unsigned kTriesIfAlike = 16;
// Pieces that it leaves out then; each later pause is twice as long. A piece without savings needs
// the processor time of three: ./tests/bench/delta --cpu 5
constexpr unsigned kFirstPause = 32;
constexpr unsigned kLongestPause = 256;

}  // namespace

bool Savings::should_fill(Likeness likeness) {
  is_alike_ = likeness == Likeness::shown;
  if (!is_poor_ && (is_good_ || is_alike_)) return true;
  if (is_trying_) return false;
  if (left_out_ < pause_) {
    ++left_out_;
    return false;
  }
  left_out_ = 0;
  is_trying_ = true;
  return true;
}

unsigned Savings::most_poor() const {
  if (is_alike_) return kTriesIfAlike;
  return is_good_ ? kTries : 1;
}

void Savings::arrived(std::uint64_t piece_bytes, std::uint64_t wire_bytes) {
  is_trying_ = false;
  const auto saved = piece_bytes - std::min(piece_bytes, wire_bytes);
  if (saved * kLeastPart >= piece_bytes) {
    is_good_ = true;
    is_poor_ = false;
    poor_ = 0;
    pause_ = 0;
  } else if (++poor_ >= most_poor()) {
    is_good_ = false;
    is_poor_ = true;
    pause_ = std::clamp(2 * pause_, kFirstPause, kLongestPause);
  }
}

}  // namespace libsync
