// A Minion deletes what no run needs any more: spools, replaced versions, and what was discarded.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "minion/keeping.h"
#include "minion/minion.h"
#include "os/files.h"
#include "store/replaced.h"
#include "store/state_folder.h"

namespace libsync {

namespace {

// A run that began later may still go on: a Redis that fell back to an older snapshot forgot it.
bool is_of_former_run(const Spool& spool, const RunRecord& owner, const RunInfo& run) {
  const bool is_its = owner.run == run.id || spool.fingerprint() == run.fingerprint;
  return !is_its && owner.begun_ms <= run.begun_ms;
}

}  // namespace

void Minion::sweep(const RunInfo& run, const std::optional<Spool>& kept) {
  sweep_if([&](const Spool& spool, const RunRecord& owner) {
    return is_of_former_run(spool, owner, run) &&
           !(kept && kept->fingerprint() == spool.fingerprint());
  });
}

// A spool whose payload is published here has nothing that the published copy lacks.
std::optional<Spool> Minion::former_spool(const RunInfo& run) const {
  std::vector<Spool> spools;
  std::vector<OldName> names;
  for (const auto& [spool, owner] : state_.spools_of(Role::minion, config_.host.prefix)) {
    const auto name = owner.task.name();
    const bool may_be_used = config_.basis == BasisRule::automatic ||
                             (config_.basis == BasisRule::same_name && name == run.task.name());
    if (!may_be_used || !is_of_former_run(spool, owner, run) || is_spent(spool, owner)) continue;
    spools.push_back(spool);
    names.push_back({name, EntryKind::file, static_cast<std::int64_t>(owner.begun_ms)});
  }
  const auto chosen = choose_basis(run.task.name(), EntryKind::file, names);
  return chosen ? std::optional(spools[*chosen]) : std::nullopt;
}

// Does the same for the run that ended last. The pieces of a payload that is not published here
// stay until another run begins, since the same task may be set again.
void Minion::sweep_ended(const RunId& ended, std::uint64_t begun_ms) {
  if (swept_ == ended) return;
  sweep_if([&](const Spool& spool, const RunRecord& owner) {
    if (owner.begun_ms > begun_ms) return false;
    if (is_spent(spool, owner)) return true;
    static_cast<void>(spool.discard_tree());  // It is a second copy of the pieces.
    return false;
  });
  swept_ = ended;
}

bool Minion::is_spent(const Spool& spool, const RunRecord& owner) const {
  const auto recorded_at = spool.recorded_at(Role::minion);
  if (recorded_at && is_old(*recorded_at, clock_.wall())) return true;
  const auto manifest = read_file(spool.manifest_path(), Manifest::max_bytes);
  return manifest &&
         state_.receipts().has(config_.host.repo / owner.task.name(), digest_of(*manifest));
}

void Minion::sweep_if(const std::function<bool(const Spool&, const RunRecord&)>& is_over) {
  for (const auto& [spool, owner] : state_.spools_of(Role::minion, config_.host.prefix)) {
    if (is_over(spool, owner)) spool.leave(Role::minion);
  }
  for (const auto& stray :
       state_.strays(Role::minion, config_.host.prefix, clock_.wall(), stop_.token())) {
    const bool is_useless = stray.is_old || (stray.record && is_over(stray.spool, *stray.record));
    if (is_useless) stray.spool.leave(Role::minion);
    if (!are_strays_named_ || is_useless) {
      spdlog::warn("{}: {}", stray.why,
                   is_useless ? "deleting it"
                              : "nothing here can use it, and it stays for a week "
                                "or until another run has begun");
    }
  }
  are_strays_named_ = true;
  delete_discarded();
}

void Minion::sweep_replaced() {
  const ReplacedVersions replaced(state_.path());
  const auto owed = state_.receipts().hook_owed();
  const auto now = clock_.wall();
  for (const auto& version : replaced.all()) {
    const auto& record = version.record;
    ReplacedFacts facts;
    if (version.since)
      facts.age = std::chrono::floor<std::chrono::milliseconds>(now - *version.since);
    facts.is_run_over = record && record->prefix == config_.host.prefix &&
                        record->run != evidence_.going_on &&
                        record->begun_ms <= evidence_.over_until_ms;
    facts.is_hook_owed = owed && (!record || record->task.name() == *owed);
    if (!is_kept(config_.keep_replaced, facts)) {
      replaced.discard(version);
    } else if (!version.since) {
      ReplacedVersions::stamp(version, now);
    }
  }
}

void Minion::delete_discarded() {
  sweep_replaced();
  for (const auto& why : sweeper_.sweep()) spdlog::warn("{}", why);
}

}  // namespace libsync
