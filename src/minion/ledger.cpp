#include "minion/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "libsync/core/pieces.h"
#include "libsync/core/verdict.h"
#include "store/spool.h"

namespace libsync {

void PullLedger::add(TransferId id, Claim claim, PullsManifest manifest, Promise promise) {
  Pull pull{.claim = std::move(claim), .promise = promise};
  pull.awaits_manifest = manifest == PullsManifest::yes;
  for (const auto& staged : pull.claim.pieces) {
    pull.awaited.insert(staged.piece);
    in_flight_.insert(staged.piece);
  }
  pulls_.emplace(id, std::move(pull));
}

Arrived PullLedger::arrived(const FileArrived& file) {
  const auto found = pulls_.find(file.id);
  if (found == pulls_.end()) return NotAwaited{};
  Pull& pull = found->second;
  if (file.name == "manifest" && pull.awaits_manifest) {
    if (!pull.being_judged.insert(std::nullopt).second) return NotAwaited{};
    return ManifestArrived{};
  }
  for (const auto& staged : pull.claim.pieces) {
    if (file.name == piece_name(staged.piece) && pull.awaited.contains(staged.piece)) {
      if (!pull.being_judged.insert(staged.piece).second) return NotAwaited{};
      return PieceArrived{staged};
    }
  }
  return NotAwaited{};
}

std::optional<Address> PullLedger::judged(const Judgement& judgement) {
  for (auto& [id, pull] : pulls_) {
    if (pull.being_judged.erase(judgement.piece) == 0) continue;
    if (judgement.verdict == Verdict::bad) pull.was_corrupt = true;
    if (judgement.verdict != Verdict::good) return std::nullopt;
    if (judgement.piece) {
      pull.awaited.erase(*judgement.piece);
      in_flight_.erase(*judgement.piece);
    } else {
      pull.awaits_manifest = false;
    }
    return pull.claim.source;
  }
  return std::nullopt;
}

void PullLedger::ended(const TransferEnded& end) {
  const auto found = pulls_.find(end.id);
  if (found != pulls_.end()) found->second.end = end;
}

std::optional<CompletedPull> PullLedger::completed() const {
  for (const auto& [id, pull] : pulls_) {
    if (!pull.end || !pull.being_judged.empty()) continue;
    CompletedPull over{id, pull.claim, PullEnd::good, ""};
    const auto& source = pull.claim.source.text();
    if (pull.was_corrupt) {
      over.end = PullEnd::corrupt;
      over.detail = fmt::format("{} sent wrong bytes: look at its disk and memory", source);
    } else if (!pull.awaited.empty() || pull.awaits_manifest) {
      const bool ended_well = pull.end->end == PullEnd::good;
      if (ended_well && pull.promise == Promise::none) return over;
      over.end = ended_well ? PullEnd::missing : pull.end->end;
      over.detail = ended_well
                        ? fmt::format("{} sent less than was claimed: look at its spool", source)
                        : pull.end->detail;
    }
    return over;
  }
  return std::nullopt;
}

void PullLedger::forget(TransferId id) {
  in_flight_ = in_flight(id);
  pulls_.erase(id);
}

void PullLedger::forget_all() {
  while (!pulls_.empty()) forget(pulls_.begin()->first);
}

PieceSet PullLedger::in_flight(const std::optional<TransferId>& without) const {
  auto pieces = in_flight_;
  if (const auto pull = without ? pulls_.find(*without) : pulls_.end(); pull != pulls_.end()) {
    for (const auto piece : pull->second.awaited) pieces.erase(piece);
  }
  return pieces;
}

bool PullLedger::is_manifest_on_the_way() const {
  return std::any_of(pulls_.begin(), pulls_.end(),
                     [](const auto& item) { return item.second.awaits_manifest; });
}

bool PullLedger::is_any_running() const {
  return std::any_of(pulls_.begin(), pulls_.end(),
                     [](const auto& item) { return !item.second.end; });
}

std::size_t PullLedger::claims() const {
  return static_cast<std::size_t>(std::count_if(pulls_.begin(), pulls_.end(), [](const auto& item) {
    return item.second.promise == Promise::given;
  }));
}

std::vector<Token> PullLedger::tokens() const {
  std::vector<Token> all;
  for (const auto& [id, pull] : pulls_) {
    if (pull.promise == Promise::given) all.push_back(pull.claim.token);
  }
  return all;
}

}  // namespace libsync
