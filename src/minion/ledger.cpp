#include "minion/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace libsync {

void Ledger::add(TransferId id, Assignment assignment) {
  Pull pull{.assignment = std::move(assignment)};
  pull.awaits_manifest = pull.assignment.manifests == Manifests::one;
  for (const auto& staged : pull.assignment.pieces) {
    pull.awaited.insert(staged.piece);
    if (pull.assignment.attempt == Attempt::second) continue;  // It is in flight.
    pieces_.move(staged.piece, PieceState::in_flight);
  }
  pulls_.emplace(id, std::move(pull));
}

Arrived Ledger::arrived(const FileArrived& file) {
  const auto found = pulls_.find(file.id);
  if (found == pulls_.end()) return NotAwaited{};
  Pull& pull = found->second;
  if (file.name == "manifest" && pull.awaits_manifest) {
    if (!pull.judging.insert(std::nullopt).second) return NotAwaited{};
    return ManifestArrived{};
  }
  for (const auto& staged : pull.assignment.pieces) {
    if (file.name != piece_name(staged.piece) || !pull.awaited.contains(staged.piece)) continue;
    if (pull.judging.contains(staged.piece)) return NotAwaited{};
    if (pieces_.state(staged.piece) == PieceState::judging) {
      pull.delivered.insert(staged.piece);
      return NotAwaited{};
    }
    pull.judging.insert(staged.piece);
    pieces_.move(staged.piece, PieceState::judging);
    return PieceArrived{staged, pull.assignment.attempt};
  }
  return NotAwaited{};
}

Judged Ledger::judged(const Judgement& judgement) {
  for (auto& [id, pull] : pulls_) {
    if (pull.judging.erase(judgement.piece) == 0) continue;
    if (judgement.verdict == Verdict::bad) pull.was_corrupt = true;
    if (judgement.verdict != Verdict::good) {
      if (judgement.piece) pieces_.move(*judgement.piece, PieceState::in_flight);
      return {};
    }
    Judged good{pull.assignment.source, {}};
    if (judgement.piece) {
      pull.awaited.erase(*judgement.piece);
      good.superseded = supersede(*judgement.piece);
    } else {
      pull.awaits_manifest = false;
    }
    return good;
  }
  return {};
}

std::vector<TransferId> Ledger::supersede(PieceNumber piece) {
  std::vector<TransferId> running;
  for (auto& [id, pull] : pulls_) {
    if (pull.awaited.erase(piece) == 0) continue;
    pull.delivered.erase(piece);
    if (!std::exchange(pull.is_superseded, true)) ++superseded_;
    if (!pull.end) running.push_back(id);
  }
  return running;
}

std::optional<PieceArrived> Ledger::next_delivered() {
  for (auto& [id, pull] : pulls_) {
    for (const auto& staged : pull.assignment.pieces) {
      if (pieces_.state(staged.piece) != PieceState::in_flight) continue;
      if (pull.delivered.erase(staged.piece) == 0) continue;
      pull.judging.insert(staged.piece);
      pieces_.move(staged.piece, PieceState::judging);
      return PieceArrived{staged, pull.assignment.attempt};
    }
  }
  return std::nullopt;
}

std::vector<PieceNumber> Ledger::awaited(TransferId id) const {
  const auto found = pulls_.find(id);
  if (found == pulls_.end()) return {};
  return {found->second.awaited.begin(), found->second.awaited.end()};
}

std::vector<Address> Ledger::sources_of(PieceNumber piece) const {
  std::vector<Address> sources;
  for (const auto& [id, pull] : pulls_) {
    if (pull.awaited.contains(piece)) sources.push_back(pull.assignment.source);
  }
  return sources;
}

std::size_t Ledger::second_attempts() const {
  return static_cast<std::size_t>(std::count_if(pulls_.begin(), pulls_.end(), [](const auto& item) {
    return item.second.assignment.attempt == Attempt::second;
  }));
}

bool Ledger::is_superseded(TransferId id) const {
  const auto found = pulls_.find(id);
  return found != pulls_.end() && found->second.is_superseded;
}

void Ledger::ended(const TransferEnded& end) {
  const auto found = pulls_.find(end.id);
  if (found != pulls_.end()) found->second.end = end;
}

void Ledger::settle(TransferId id, Pull& pull) {
  OverPull over{id, pull.assignment, PullEnd::good, ""};
  const auto& source = pull.assignment.source.text();
  const bool lacks = !pull.awaited.empty() || pull.awaits_manifest;
  const bool ended_well = pull.end && pull.end->end == PullEnd::good;
  if (pull.was_corrupt) {
    over.end = PullEnd::corrupt;
    over.detail = fmt::format("{} sent wrong bytes: check its disk and memory", source);
  } else if (pull.is_superseded) {
    over.end = PullEnd::good;
  } else if (lacks && !ended_well) {
    over.end = pull.end->end;
    over.detail = pull.end->detail;
  } else if (lacks && pull.assignment.token) {  // A parent need not have the pieces.
    over.end = PullEnd::missing;
    over.detail = fmt::format("{} sent less than was claimed: check its spool", source);
  }
  for (const auto piece : std::exchange(pull.awaited, {})) {
    if (sources_of(piece).empty()) pieces_.move(piece, PieceState::wanted);
  }
  pull.awaits_manifest = false;
  pull.over = std::move(over);
}

std::optional<OverPull> Ledger::first_over(bool (*wanted)(const Assignment&)) {
  for (auto& [id, pull] : pulls_) {
    const bool has_brought_all = pull.awaited.empty() && !pull.awaits_manifest;
    if (!pull.end && (!has_brought_all || pull.is_superseded)) continue;
    if (!pull.judging.empty() || !pull.delivered.empty()) continue;
    if (!wanted(pull.assignment)) continue;
    if (!pull.over) settle(id, pull);
    return pull.over;
  }
  return std::nullopt;
}

std::optional<OverPull> Ledger::over_claim() {
  return first_over([](const Assignment& assignment) { return assignment.token.has_value(); });
}

std::optional<OverPull> Ledger::over_seat() {
  return first_over([](const Assignment& assignment) { return !assignment.token.has_value(); });
}

void Ledger::forget(TransferId id) { pulls_.erase(id); }

std::size_t Ledger::claims() const {
  return static_cast<std::size_t>(std::count_if(pulls_.begin(), pulls_.end(), [](const auto& item) {
    return item.second.assignment.token.has_value();
  }));
}

bool Ledger::awaits_manifest() const {
  return std::any_of(pulls_.begin(), pulls_.end(),
                     [](const auto& item) { return item.second.awaits_manifest; });
}

bool Ledger::is_any_running() const {
  return std::any_of(pulls_.begin(), pulls_.end(),
                     [](const auto& item) { return !item.second.end; });
}

std::vector<Token> Ledger::tokens() const {
  std::vector<Token> all;
  for (const auto& [id, pull] : pulls_) {
    if (pull.assignment.token) all.push_back(*pull.assignment.token);
  }
  return all;
}

}  // namespace libsync
