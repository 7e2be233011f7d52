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

// Deaths and freezes are common, and Redis seldom loses everything. The last of the list lose
// something.
Mishap Faults::next_mishap() {
  constexpr std::array kMishaps = {
      Mishap::death,     Mishap::death,      Mishap::death,       Mishap::freeze,
      Mishap::freeze,    Mishap::one_way,    Mishap::slow_uplink, Mishap::bit_rot,
      Mishap::bit_rot,   Mishap::liar,       Mishap::clock_step,  Mishap::old_token,
      Mishap::old_token, Mishap::newer_task, Mishap::lost_key,    Mishap::lost_key,
      Mishap::intruder,  Mishap::flush,      Mishap::old_snapshot};
  constexpr std::size_t kLosses = 5;
  return kMishaps.at(below(kMishaps.size() - (does_redis_lose_ ? 0 : kLosses)));
}

std::string_view name_of(Mishap mishap) {
  constexpr std::array<std::string_view, 13> kNames = {
      "death",    "freeze",     "slow uplink", "one-way link", "bit rot",
      "liar",     "clock step", "old token",   "newer task",   "lost key",
      "intruder", "flush",      "old snapshot"};
  return kNames.at(static_cast<std::size_t>(mishap));
}

Scenario faulty_scenario(std::uint64_t seed) {
  constexpr double kPieceBytes = 1 << 20;
  Faults drawn(seed, 0);
  Scenario scenario;
  scenario.hosts = 3 + drawn.below(7);
  scenario.bytes = static_cast<double>(16 + drawn.below(49)) * kPieceBytes;
  scenario.rate = 2 * kPieceBytes;
  scenario.piece_bytes = static_cast<std::uint64_t>(kPieceBytes);
  scenario.staging_rate = drawn.below(2) == 0 ? 800e6 : scenario.rate;
  scenario.spread = drawn.below(2) == 0 ? Spread::claims : Spread::trees;
  scenario.seed = seed;
  scenario.faults_until = 2;
  return scenario;
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
