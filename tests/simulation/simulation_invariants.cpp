// The invariants of the state during a run with faults (simulation.h).

#include <fmt/format.h>

#include <set>
#include <sstream>
#include <stdexcept>

#include "simulation.h"

namespace libsync::simulation {
namespace {

using Counts = std::map<std::string, std::int64_t>;

[[noreturn]] void broken(const std::string& what) {
  throw std::runtime_error("the functions or the puller are wrong: " + what);
}

std::string text_of(const Counts& counts) {
  std::string text;
  for (const auto& [name, count] : counts) text += fmt::format(" {}:{}", name, count);
  return text;
}

void require_same(const std::string& key, const Counts& there, const Counts& right) {
  if (there != right) broken(key + " is" + text_of(there) + ", and should be" + text_of(right));
}

// Packed counts, two bytes a piece.
Counts unpacked(const std::string& text) {
  Counts counts;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    const auto count =
        256 * static_cast<unsigned char>(text[i]) + static_cast<unsigned char>(text[i + 1]);
    if (count != 0) counts[std::to_string(i / 2)] = count;
  }
  return counts;
}

}  // namespace

std::map<std::string, std::string> Simulation::hash_of(const std::string& key) {
  std::map<std::string, std::string> all;
  const auto answer = redis_.ask({"HGETALL", key});
  if (answer.array() == nullptr) return all;
  for (std::size_t i = 0; i + 1 < answer.array()->size(); i += 2) {
    const auto* const name = (*answer.array())[i].text();
    const auto* const value = (*answer.array())[i + 1].text();
    if (name != nullptr && value != nullptr) all.emplace(*name, *value);
  }
  return all;
}

void Simulation::check_state() {
  check_counts();
  check_finished();
  check_seats();
}

void Simulation::check_counts() {
  Counts uploads;
  Counts pulls;
  Counts coming;
  const auto claims = hash_of("sync:claims");
  for (const auto& [token, claim] : claims) {
    std::istringstream words(claim);
    std::string puller;
    std::string source;
    std::string granted;
    words >> puller >> source >> granted;
    ++pulls[puller];
    ++uploads[source];
    for (std::string piece; std::getline(words >> std::ws, piece, ',');) ++coming[piece];
    if (puller == source) broken(puller + " pulls from itself");
    if (redis_.ask({"ZSCORE", "sync:leases", token}).text() == nullptr)
      broken("a claim has no lease: " + claim);
  }
  // A lease whose claim Redis has lost lapses, and ends when a host calls next.
  const auto reached = redis_.ask({"HGET", "sync:course", "reached"});
  const auto leases = redis_.ask(
      {"ZCOUNT", "sync:leases", reached.text() == nullptr ? "0" : *reached.text(), "+inf"});
  if (*leases.number() > static_cast<std::int64_t>(claims.size())) broken("a lease has no claim");
  const auto counts_of = [&](const std::string& key) {
    Counts counts;
    for (const auto& [name, value] : hash_of(key)) {
      if (const auto count = std::stoll(value); count != 0) counts.emplace(name, count);
    }
    return counts;
  };
  require_same("sync:uploads", counts_of("sync:uploads"), uploads);
  require_same("sync:pulls", counts_of("sync:pulls"), pulls);
  check_copies(coming);
}

// A run with trees counts neither.
void Simulation::check_copies(const Counts& coming) {
  const auto trees = redis_.ask({"HGET", "sync:run", "trees"});
  if (trees.text() == nullptr || *trees.text() != "0") return;
  Counts copies;
  for (const auto& [host, bitmap] : hash_of("sync:have")) {
    for (std::size_t piece = 0; piece < 8 * bitmap.size(); ++piece) {
      if ((static_cast<unsigned char>(bitmap[piece / 8]) >> (piece % 8) & 1U) != 0)
        ++copies[std::to_string(piece)];
    }
  }
  const auto counts_of = [&](const std::string& key) {
    const auto answer = redis_.ask({"GET", key});
    return unpacked(answer.text() == nullptr ? "" : *answer.text());
  };
  require_same("sync:copies", counts_of("sync:copies"), copies);
  require_same("sync:coming", counts_of("sync:coming"), coming);
}

void Simulation::check_finished() {
  for (const auto& [host, when] : hash_of("sync:done")) {
    const auto found = numbers_.find(host);
    if (found == numbers_.end()) broken("an unknown host has finished: " + host);
    const auto& finished = *hosts_[found->second];
    for (PieceNumber piece = 0; piece < run_.cut.pieces(); ++piece) {
      if (finished.in_payload(piece) != content_of(piece))
        broken(fmt::format("{} has finished without piece {}", host, piece));
    }
  }
}

void Simulation::check_seats() {
  std::set<std::int64_t> seats;
  const auto seat_of = hash_of("sync:seat_of");
  const auto host_at = hash_of("sync:seats");
  for (const auto& [host, seat] : seat_of) {
    const auto found = host_at.find(seat);
    const bool is_set_aside = seat.starts_with('-');
    if (!is_set_aside && (found == host_at.end() || found->second != host))
      broken(host + " has seat " + seat + " in sync:seat_of alone");
  }
  for (const auto& [seat, host] : host_at) {
    seats.insert(std::stoll(seat));
    const auto found = seat_of.find(host);
    if (found == seat_of.end() || found->second != seat)
      broken(host + " has seat " + seat + " in sync:seats alone");
  }
  if (!seats.empty() && *seats.rbegin() + 1 != static_cast<std::int64_t>(seats.size()))
    broken("the seats have gaps");
}

}  // namespace libsync::simulation
