#include "faults.h"

#include <array>

namespace libsync::simulation {
namespace {

// Parts of all calls and files, in thousandths.
constexpr std::size_t kLost = 15;
constexpr std::size_t kAnswerLost = 30;
constexpr std::size_t kRepeated = 50;
constexpr std::size_t kRotten = 20;

}  // namespace

std::size_t Faults::below(std::size_t limit) {
  return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_);
}

double Faults::between(double least, double most) {
  return std::uniform_real_distribution<double>(least, most)(random_);
}

CallFate Faults::fate_of_call(double now) {
  if (are_over(now)) return CallFate::normal;
  const auto drawn = below(1000);
  if (drawn < kLost) return CallFate::lost;
  if (drawn < kAnswerLost) return CallFate::answer_lost;
  return drawn < kRepeated ? CallFate::repeated : CallFate::normal;
}

bool Faults::is_rotten(double now) { return !are_over(now) && below(1000) < kRotten; }

// Deaths and freezes are common, and Redis seldom loses everything.
Mishap Faults::next_mishap() {
  constexpr std::array kMishaps = {Mishap::death,       Mishap::death,    Mishap::death,
                                   Mishap::freeze,      Mishap::freeze,   Mishap::lost_key,
                                   Mishap::lost_key,    Mishap::intruder, Mishap::liar,
                                   Mishap::slow_uplink, Mishap::flush};
  return kMishaps.at(below(kMishaps.size()));
}

const std::vector<std::string>& keys_to_lose() {
  static const std::vector<std::string> kKeys = {
      "course",     "joined",  "have",     "copies", "coming", "hungry",   "slots",
      "uploads",    "pulls",   "claims",   "pace",   "leases", "waiting",  "woken",
      "seats",      "seat_of", "done",     "blame",  "errors", "progress", "minions",
      "quarantine", "digests", "expected", "run"};
  return kKeys;
}

}  // namespace libsync::simulation
