// The account that a host gives of its part in a run, at each way in which a download ends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <functional>
#include <string>

#include "download_fixture.h"

namespace libsync::test {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

class AccountOfADownload : public DownloadTest {
 protected:
  /// The account that this host has given, once the run has ended.
  [[nodiscard]] HostAccount given() {
    if (shared.run()) {
      static_cast<void>(shared.end(run->id, "complete", "", TaskAfter::stays));
    }
    const auto account = shared.last_account();
    for (const auto& host : account.value().hosts) {
      if (host.address == kSelf) return host;
    }
    ADD_FAILURE() << "it is not in the account";
    return {.address = kSelf};
  }
  /// Calls with this verb are refused, as Redis does without a right.
  void refuse(const std::string& refused) {
    coordinator->faults.at_call = [refused](std::string_view verb) {
      if (verb == refused) throw Failure(ExitStatus::redis, Remedy::operator_acts, "NOPERM");
    };
  }
  /// The last call before this one was of the verb.
  [[nodiscard]] std::string call_before(const std::string& verb) const {
    const auto& verbs = coordinator->faults.verbs();
    const auto found = std::find(verbs.begin(), verbs.end(), verb);
    return found == verbs.begin() || found == verbs.end() ? "" : *std::prev(found);
  }
  void pull_some() {
    begin();
    announce(0, 5);  // The origin delivers nothing.
    start();
    step_until([this] { return !transfer.pulls_of(piece_name(0)).empty(); });
  }
};

TEST_F(AccountOfADownload, IsGivenBeforeTheHostFinishes) {
  begin_staged();
  static_cast<void>(publish());
  EXPECT_EQ(coordinator->faults.calls_of("give_account"), 1U);
  EXPECT_EQ(call_before("finish"), "give_account");
  const auto account = given();
  EXPECT_TRUE(account.has_account);
  EXPECT_EQ(account.pulls.pieces, 5U);
  EXPECT_EQ(account.pulls.wire_bytes, 4500 + run->manifest_bytes);
  EXPECT_EQ(account.pulls.failed, 0U);
  EXPECT_EQ(account.pulls.twice, 0U);
  EXPECT_EQ(account.shares, (std::vector<Share>{{kOrigin, 5}}));
  for (const auto& time : {account.joined, account.first_byte, account.last_byte, account.in_place,
                           account.published}) {
    EXPECT_TRUE(time);
  }
  EXPECT_LE(account.joined, account.first_byte);
  EXPECT_LE(account.first_byte, account.last_byte);
  EXPECT_LE(account.last_byte, account.in_place);
  EXPECT_LE(account.in_place, account.published);
}

// Its daemon accepts each pull, and sends nothing: other pulls bring the pieces.
TEST_F(AccountOfADownload, CountsThePullsThatCameSecond) {
  begin_staged();
  offer(kPeer, {0, 1, 2, 3, 4});
  static_cast<void>(publish());
  const auto account = given();
  EXPECT_GT(account.pulls.twice, 0U);
  EXPECT_EQ(account.pulls.failed, 0U) << "its source is at no fault";
  EXPECT_EQ(account.reason, "");
}

TEST_F(AccountOfADownload, CountsThePullsThatFailed) {
  begin_staged();
  transfer.end_as(3, PullEnd::refused, 0);
  static_cast<void>(publish());
  const auto account = given();
  EXPECT_EQ(account.pulls.failed, 1U);
  EXPECT_EQ(account.pulls.twice, 0U) << "nothing came from elsewhere";
  EXPECT_THAT(account.reason, HasSubstr("the test has this transfer fail"));
}

TEST_F(AccountOfADownload, CountsWrongBytes) {
  begin_staged();
  spoil(kOrigin, "manifest");
  static_cast<void>(publish());
  EXPECT_GE(given().pulls.failed, 1U);
  EXPECT_THAT(given().reason, HasSubstr("wrong bytes in the manifest"));
}

TEST_F(AccountOfADownload, IsGivenByAHostThatStops) {
  pull_some();
  download->give_up("the operator said so");
  const auto account = given();
  EXPECT_TRUE(account.has_account);
  EXPECT_FALSE(account.in_place);
  EXPECT_EQ(account.error, "the operator said so");
}

TEST_F(AccountOfADownload, WithoutTheRightToItTheHostPublishes) {
  refuse("give_account");
  begin_staged();
  static_cast<void>(publish());
  EXPECT_FALSE(given().has_account);
}

TEST_F(AccountOfADownload, WithoutTheRightToItAHostThatStopsLeaves) {
  refuse("give_account");
  pull_some();
  download->give_up("the operator said so");
  EXPECT_EQ(shared.run()->claims_of(kSelf), 0U);
}

// Each call waits for 2 s if Redis is away. So there is one alone, as without an account.
TEST_F(AccountOfADownload, WithoutRedisAHostThatStopsWaitsOnce) {
  pull_some();
  coordinator->faults.break_off();
  EXPECT_THROW(download->give_up(""), Failure);
  EXPECT_EQ(coordinator->faults.failed(), 1U);
}

TEST_F(AccountOfADownload, WithoutRedisAHostThatIsAboutToFinishWaitsOnce) {
  begin_staged();
  start();
  coordinator->faults.at_call = [this](std::string_view verb) {
    if (verb == "give_account") coordinator->faults.break_off();
  };
  step_until_failure();
  EXPECT_EQ(coordinator->faults.failed(), 1U);
  EXPECT_EQ(coordinator->faults.calls_of("finish"), 0U);
  coordinator->faults.at_call = nullptr;
  coordinator->faults.recover();
  EXPECT_TRUE(std::holds_alternative<Published>(finish().value()));
  EXPECT_TRUE(given().has_account);
}

// --- Ticks ---

class AccountOfATick : public testing::Test, protected MinionWorld {
 protected:
  [[nodiscard]] std::optional<HostAccount> given() {
    const auto account = shared.last_account();
    for (const auto& host : account.value().hosts) {
      if (host.address == kSelf) return host;
    }
    return std::nullopt;
  }
  void end_run(const std::string& outcome) {
    static_cast<void>(shared.end(run->id, outcome, "", TaskAfter::stays));
  }
};

TEST_F(AccountOfATick, IsGivenToARunThatEndsBeforeTheHostFinishes) {
  for (const std::string outcome : {"cancelled", "superseded", "deadline"}) {
    SCOPED_TRACE(outcome);
    MinionWorld world;
    world.begin();
    world.announce(0, 5);  // The origin delivers nothing.
    int waits = 0;
    world.clock.at_wait = [&] {
      if (++waits == 6) {
        static_cast<void>(world.shared.end(world.run->id, outcome, "", TaskAfter::stays));
      }
    };
    EXPECT_EQ(world.tick(), ExitStatus::done);
    const auto account = world.shared.last_account().value();
    EXPECT_EQ(account.outcome, outcome);
    EXPECT_EQ(account.accounts, 1U) << "it comes after the end";
  }
}

TEST_F(AccountOfATick, AHostThatFailsGivesTheReasonOfItsPulls) {
  begin_staged();
  transfer.silence(kOrigin);
  EXPECT_EQ(tick(), ExitStatus::no_source);
  end_run("deadline");
  const auto account = given();
  ASSERT_TRUE(account);
  EXPECT_TRUE(account->has_account);
  EXPECT_GT(account->pulls.failed, 0U);
  EXPECT_THAT(account->reason, HasSubstr("the test has this transfer fail"));
  EXPECT_NE(account->error, "");
}

TEST_F(AccountOfATick, ATickWithoutRedisWaitsAsOftenAsEver) {
  begin_staged();
  transfer.silence(kOrigin);
  coordinator->faults.at_call = [this](std::string_view verb) {
    if (verb == "give_account") coordinator->faults.break_off();
  };
  EXPECT_EQ(tick(), ExitStatus::redis);
  EXPECT_EQ(coordinator->faults.failed(), 1U);
}

}  // namespace
}  // namespace libsync::test
