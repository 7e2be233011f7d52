// The promises of master_coordinator.h about vouching, ending and refusing, for the fake and for
// Redis.

#include "contract_fixture.h"

namespace libsync::test {
namespace {

using testing::UnorderedElementsAre;
using namespace std::chrono_literals;

class EndingContract : public Contract {};

INSTANTIATE_TEST_SUITE_P(Of, EndingContract, all_backends(), name_of_backend);

// --- vouch ---

TEST_P(EndingContract, VouchEndsTheSuspicionOfTheOriginsSpool) {
  const auto info = begin();
  stage_all(info);
  const auto first = granted(info, host(2), pieces({}));
  static_cast<void>(complete(info, host(2), first.token, PullEnd::missing, pieces({})));
  EXPECT_TRUE(standing().origin_is_suspect);
  EXPECT_TRUE(std::holds_alternative<Wait>(claim(info, host(3), pieces({})))) << "it is held back";
  EXPECT_TRUE(std::holds_alternative<Done>(master().vouch(info.id)));
  EXPECT_FALSE(standing().origin_is_suspect);
  EXPECT_EQ(granted(info, host(3), pieces({})).source, origin());
}

TEST_P(EndingContract, VouchEndsTheDoubtOfAPushedOrigin) {
  const auto info = begin(0, {}, Spread::claims, OriginKind::minion);
  stage_all(info);
  static_cast<void>(report(info, origin(), pieces({0}), 2));
  minion(origin()).doubt(info.id, origin(), "3 pieces are missing");
  EXPECT_TRUE(standing().origin_is_suspect);
  EXPECT_EQ(granted(info, host(2), pieces({})).source, origin()) << "what it has is good";
  EXPECT_TRUE(std::holds_alternative<Done>(master().vouch(info.id)));
  EXPECT_FALSE(standing().origin_is_suspect);
}

// --- end ---

TEST_P(EndingContract, EndNamesTheMissingAndLeavesNothingOfTheRun) {
  backend_->set_task(std::string(kTask));
  const auto info = begin(2, {0, {"10.0.0.5", "10.0.0.6", "10.0.0.7"}});
  stage_all(info);
  static_cast<void>(granted(info, host(5), pieces({})));
  EXPECT_EQ(finish(info, host(6)), FinishOutcome::finished);
  static_cast<void>(master().discover());
  backend_->advance(4s);
  const auto outcome = master().end(info.id, "deadline", "why", TaskAfter::goes);
  ASSERT_TRUE(std::holds_alternative<Ended>(outcome));
  EXPECT_THAT(std::get<Ended>(outcome).missing, UnorderedElementsAre("10.0.0.5", "10.0.0.7"));
  EXPECT_EQ(backend_->task(), std::nullopt);
  EXPECT_EQ(backend_->lookups(), 0U);
  EXPECT_FALSE(master().watch().run);
  EXPECT_EQ(minion(host(5)).state_of(info.id), std::nullopt);
  const auto after = status();
  EXPECT_FALSE(after.run);
  ASSERT_TRUE(after.last);
  EXPECT_EQ(after.last->path, kTask);
  EXPECT_EQ(after.last->outcome, "deadline");
  EXPECT_EQ(after.last->reason, "why");
  EXPECT_EQ(after.last->finished, 1U);
  EXPECT_EQ(after.last->expected, 3U);
  EXPECT_EQ(after.last->bytes, info.cut.stream_bytes);
  EXPECT_EQ(after.last->took, 4s);
  // A later run begins without any trace of this one.
  const auto next = begin();
  EXPECT_EQ(status().run.value().announced, 0U);
  EXPECT_FALSE(joined(host(6)).is_finished);
  EXPECT_TRUE(std::holds_alternative<Wait>(claim(next, host(5), pieces({}))));
}

TEST_P(EndingContract, EndLeavesATaskThatIsNotTheRunsOrIsToStay) {
  backend_->set_task(std::string(kOtherTask));
  static_cast<void>(master().end(begin().id, "complete", "", TaskAfter::goes));
  EXPECT_EQ(backend_->task(), kOtherTask);
  backend_->set_task(std::string(kTask));
  static_cast<void>(master().end(begin().id, "complete", "", TaskAfter::stays));
  EXPECT_EQ(backend_->task(), kTask);
}

TEST_P(EndingContract, EndWakesTheHostsThatListen) {
  const auto info = begin();
  static_cast<void>(join(host(2)));
  EXPECT_TRUE(is_left_alone(host(2)));
  static_cast<void>(master().end(info.id, "complete", "", TaskAfter::stays));
  EXPECT_TRUE(is_woken(host(2)));
  const auto outcome = join(host(2));
  const auto& none = std::get<NoRun>(outcome);
  EXPECT_EQ(none.ended, info.id);
  EXPECT_GT(none.ended_begun_ms, 0U);
}

// --- refuse ---

TEST_P(EndingContract, RefuseRemovesATaskAndRecordsWhy) {
  backend_->set_task("/etc/shadow");
  static_cast<void>(master().discover());
  EXPECT_TRUE(master().refuse("/etc/shadow", "outside"));
  EXPECT_EQ(backend_->task(), std::nullopt);
  EXPECT_EQ(backend_->lookups(), 0U);
  ASSERT_TRUE(status().last);
  EXPECT_EQ(status().last->path, "/etc/shadow");
  EXPECT_EQ(status().last->outcome, "refused");
  EXPECT_EQ(status().last->reason, "outside");
  EXPECT_FALSE(master().refuse("/etc/shadow", "outside")) << "it is removed already";
}

TEST_P(EndingContract, RefuseLeavesATaskThatWasSetMeanwhile) {
  backend_->set_task(std::string(kOtherTask));
  EXPECT_FALSE(master().refuse("/etc/shadow", "outside"));
  EXPECT_EQ(backend_->task(), kOtherTask);
}

TEST_P(EndingContract, RefusingATaskThatWaitsDoesNotCancelTheRun) {
  begin();
  backend_->set_task("/etc/shadow");
  EXPECT_TRUE(master().refuse("/etc/shadow", "outside"));
  EXPECT_EQ(backend_->task(), kTask);
}

// --- All verbs ---

TEST_P(EndingContract, AVerbForAnotherRunChangesNothing) {
  backend_->set_task(std::string(kTask));
  const auto info = begin();
  stage(info, {0});
  for (const auto& other : {random_name<RunId>(), RunId()}) {
    EXPECT_TRUE(std::holds_alternative<Stale>(
        master().stage(other, {{1, piece_digest(1)}}, RunState::staged)));
    EXPECT_TRUE(std::holds_alternative<Stale>(master().vouch(other)));
    EXPECT_TRUE(
        std::holds_alternative<Stale>(master().end(other, "complete", "", TaskAfter::goes)));
  }
  EXPECT_EQ(standing().id, info.id);
  EXPECT_EQ(status().run.value().announced, 1U);
  EXPECT_EQ(backend_->task(), kTask);
}

TEST_P(EndingContract, EndMayBeRepeated) {
  const auto info = begin();
  static_cast<void>(master().end(info.id, "complete", "", TaskAfter::goes));
  EXPECT_TRUE(
      std::holds_alternative<Stale>(master().end(info.id, "complete", "", TaskAfter::goes)));
  ASSERT_TRUE(status().last);
  EXPECT_EQ(status().last->outcome, "complete");
}

}  // namespace
}  // namespace libsync::test
