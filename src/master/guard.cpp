#include "master/guard.h"

#include "master/staging.h"
#include "os/random.h"

namespace libsync {
namespace {

// Interval between two comparisons. A guard, not tuned: a wrong value lasts no longer than this.
constexpr Duration kCompareEvery{10'000};

}  // namespace

std::vector<std::string> RunGuard::compare(const RunRecord& owner, Instant now) {
  due_ = now + kCompareEvery;
  if (owner.standing != Standing::running) return {};
  if (!run_ || run_->id != owner.run) run_ = records_.describe(owner, terms_.origin);
  const auto spool = records_.spool_of(owner.run);
  if (!run_ || !spool) return {};
  // The number or the inventory may have changed since the run began.
  const auto expected = expected_of(terms_, owner);
  if (!has_expected_) {
    has_expected_ = std::holds_alternative<Done>(coordinator_.expect(owner.run, expected));
  }
  const auto record = read_staging_record(*spool);
  run_->state = record.is_complete ? RunState::staged : RunState::staging;
  std::vector<StagedPiece> recorded;
  for (const auto& [piece, staged] : record.digests) recorded.push_back(staged);
  const auto outcome = coordinator_.repair(*run_, random_name<RunId>(), recorded, expected);
  const auto* const repaired = std::get_if<Repaired>(&outcome);
  if (repaired == nullptr) return {};
  static_cast<void>(coordinator_.admit(repaired->run));
  if (repaired->run != owner.run) records_.rename(owner, repaired->run);
  return repaired->keys;
}

}  // namespace libsync
