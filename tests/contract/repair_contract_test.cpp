// The promises of admit() and repair(), for the fake and for Redis.

#include "contract_fixture.h"

namespace libsync::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class RepairContract : public Contract {
 protected:
  [[nodiscard]] static std::vector<StagedPiece> recorded() {
    std::vector<StagedPiece> all;
    for (PieceNumber piece = 0; piece < kContractPieces; ++piece) {
      all.push_back({piece, piece_digest(piece)});
    }
    return all;
  }
  [[nodiscard]] Repaired repaired(const RunInfo& info, const std::vector<StagedPiece>& digests,
                                  const Expected& expected = {}) {
    const auto outcome = master().repair(info, another_, digests, expected);
    EXPECT_TRUE(std::holds_alternative<Repaired>(outcome));
    const auto* const done = std::get_if<Repaired>(&outcome);
    return done == nullptr ? Repaired{info.id, {}} : *done;
  }

  const RunId another_ = random_name<RunId>();
};

INSTANTIATE_TEST_SUITE_P(Of, RepairContract, all_backends(), name_of_backend);

TEST_P(RepairContract, AHostThatJoinsCountsAndIsAdmittedOnce) {
  const auto info = begin(2, {0, {"10.0.0.5"}});
  static_cast<void>(join(host(5)));
  EXPECT_EQ(standing().newcomers, 0U);
  static_cast<void>(join(host(6)));
  EXPECT_EQ(standing().newcomers, 1U);
  EXPECT_EQ(standing().expected, 2U);
  EXPECT_TRUE(status_of(host(6)).is_expected);
  EXPECT_TRUE(std::holds_alternative<Done>(master().admit(info.id)));
  static_cast<void>(join(host(6)));
  EXPECT_EQ(standing().newcomers, 0U);
  EXPECT_EQ(standing().expected, 2U);
  EXPECT_TRUE(status_of(host(6)).is_expected);
  EXPECT_TRUE(std::holds_alternative<Stale>(master().admit(another_)));
}

TEST_P(RepairContract, ARunThatIsAsTheSpoolSaysStays) {
  auto info = begin();
  stage_all(info);
  EXPECT_EQ(finish(info, host(2)), FinishOutcome::finished);
  info.state = RunState::staged;
  const auto same = repaired(info, recorded());
  EXPECT_EQ(same.run, info.id);
  EXPECT_THAT(same.keys, IsEmpty());
  EXPECT_EQ(standing().finished, 1U);
  info.id = another_;
  EXPECT_TRUE(
      std::holds_alternative<Stale>(master().repair(info, random_name<RunId>(), recorded(), {})));
}

TEST_P(RepairContract, AnotherManifestGivesTheRunAnotherIdAndNoFinishedHost) {
  auto info = begin();
  stage_all(info);
  EXPECT_EQ(finish(info, host(2)), FinishOutcome::finished);
  info.state = RunState::staged;
  info.manifest = digest_of("what the spool says");
  const auto other = repaired(info, recorded());
  EXPECT_EQ(other.run, another_);
  EXPECT_THAT(other.keys, ElementsAre("sync:run"));
  EXPECT_EQ(standing().id, another_);
  EXPECT_EQ(standing().finished, 0U);
  EXPECT_EQ(finish(info, host(2)), FinishOutcome::stale);
  EXPECT_EQ(joined(host(2)).run.manifest, info.manifest);
}

TEST_P(RepairContract, AnotherDigestGivesTheRunAnotherIdAndThatDigest) {
  auto info = begin();
  stage_all(info);
  info.state = RunState::staged;
  auto digests = recorded();
  digests[2].digest = digest_of("what the spool says");
  const auto other = repaired(info, digests);
  EXPECT_EQ(other.run, another_);
  EXPECT_THAT(other.keys, ElementsAre("sync:digests"));
  const auto found = minion(host(2)).digests(another_, {2});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].digest, digests[2].digest);
}

TEST_P(RepairContract, ARunIsNotStagedBeforeItsSpoolIs) {
  auto info = begin();
  stage_all(info);
  info.state = RunState::staging;
  const auto early = repaired(info, recorded());
  EXPECT_EQ(early.run, info.id);
  EXPECT_THAT(early.keys, ElementsAre("sync:run"));
  EXPECT_EQ(standing().state, RunState::staging);
}

TEST_P(RepairContract, MissingExpectedHostsComeBack) {
  auto info = begin(2, {0, {"10.0.0.5"}});
  EXPECT_THAT(repaired(info, {}, {0, {"10.0.0.5", "10.0.0.6"}}).keys, ElementsAre("sync:expected"));
  EXPECT_EQ(standing().expected, 2U);
  EXPECT_TRUE(status_of(host(6)).is_expected);
}

}  // namespace
}  // namespace libsync::test
