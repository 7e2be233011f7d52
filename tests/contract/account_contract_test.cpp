// The promises about the accounts of a run (run_account.h), for the fake and for Redis.

#include "contract_fixture.h"

namespace libsync::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;

class AccountContract : public Contract {
 protected:
  static OwnAccount own() {
    return {.joined_ago = 9s,
            .first_byte_ago = 8s,
            .last_byte_ago = 2s,
            .in_place_ago = 1s,
            .pulls = {399, 4, 1, 2, 1000},
            .shares = {{origin(), 3}, {host(3), 1}},
            .reason = "it was refused\n<script>\xff"};
  }
  void give(const RunInfo& info, const Address& by, const OwnAccount& account) {
    minion(by).give_account(info.id, by, account);
  }
  void end(const RunInfo& info, const std::string& outcome = "deadline") {
    EXPECT_TRUE(
        std::holds_alternative<Ended>(master().end(info.id, outcome, "why", TaskAfter::stays)));
  }
  [[nodiscard]] RunAccount last() {
    const auto account = master().last_account();
    EXPECT_TRUE(account);
    return account.value_or(RunAccount{.run = random_name<RunId>()});
  }
  [[nodiscard]] HostAccount last_of(const Address& one) {
    for (const auto& known : last().hosts) {
      if (known.address == one) return known;
    }
    ADD_FAILURE() << one.text() << " is not in the account";
    return {.address = one};
  }
};

INSTANTIATE_TEST_SUITE_P(Of, AccountContract, all_backends(), name_of_backend);

TEST_P(AccountContract, IsThatOfTheRunThatEndedLast) {
  EXPECT_FALSE(master().last_account());
  const auto info = begin(2, {0, {"10.0.0.2", "10.0.0.3", "10.0.0.4"}});
  stage_all(info);
  EXPECT_FALSE(master().last_account()) << "it is under way";
  backend_->advance(1s);
  static_cast<void>(joined(host(2)));
  static_cast<void>(joined(host(3)));
  backend_->advance(9s);
  static_cast<void>(report(info, host(3), pieces({0}), 1));
  minion(host(3)).leave(info.id, host(3), Retreat::claims_only, "no space");
  give(info, host(2), own());
  EXPECT_EQ(finish(info, host(2)), FinishOutcome::finished);
  backend_->advance(2s);
  end(info);
  const auto account = last();
  EXPECT_EQ(account.run, info.id);
  EXPECT_EQ(account.path, kTask);
  EXPECT_EQ(account.outcome, "deadline");
  EXPECT_EQ(account.reason, "why");
  EXPECT_EQ(account.cut, info.cut);
  EXPECT_GT(account.begun_ms, 0U);
  EXPECT_EQ(account.took, 12s);
  EXPECT_EQ(account.finished, 1U);
  EXPECT_EQ(account.expected, 3U);
  EXPECT_FALSE(account.has_trees);
  EXPECT_EQ(account.origin, origin());
  EXPECT_EQ(account.accounts, 1U);
  EXPECT_EQ(account.total, (Pulls{399, 4, 1, 2, 0}));
  EXPECT_EQ(account.left_out, 0U);
  EXPECT_THAT(account.hosts, ElementsAre(HostAccount{.address = host(2),
                                                     .is_expected = true,
                                                     .has_come = true,
                                                     .has_account = true,
                                                     .placed = 4,
                                                     .joined = 1s,
                                                     .first_byte = 2s,
                                                     .last_byte = 8s,
                                                     .in_place = 9s,
                                                     .published = 10s,
                                                     .pulls = own().pulls,
                                                     .shares = own().shares,
                                                     .error = "",
                                                     .reason = own().reason},
                                         HostAccount{.address = host(3),
                                                     .is_expected = true,
                                                     .has_come = true,
                                                     .placed = 1,
                                                     .joined = 1s,
                                                     .error = "no space"},
                                         HostAccount{.address = host(4), .is_expected = true}));
}

TEST_P(AccountContract, ALaterOneReplacesAllButTheFirstTimes) {
  const auto info = begin(2, {0, {"10.0.0.2"}});
  backend_->advance(10s);
  give(info, host(2), own());
  backend_->advance(10s);
  give(info, host(2), {.joined_ago = 5s, .last_byte_ago = 1s, .pulls = {7, 1, 0, 0, 9}});
  end(info);
  EXPECT_EQ(last_of(host(2)), (HostAccount{.address = host(2),
                                           .is_expected = true,
                                           .has_come = true,
                                           .has_account = true,
                                           .joined = 1s,
                                           .first_byte = 2s,
                                           .last_byte = 19s,
                                           .pulls = {7, 1, 0, 0, 9}}));
  EXPECT_EQ(last().accounts, 1U);
  EXPECT_EQ(last().total, (Pulls{7, 1, 0, 0, 0}));
}

TEST_P(AccountContract, AHostThatLearnsOfTheEndLateStillGivesItsOwn) {
  const auto info = begin(2, {0, {"10.0.0.2"}});
  backend_->advance(10s);
  end(info, "cancelled");
  backend_->advance(10s);
  give(info, host(2), own());
  EXPECT_EQ(last_of(host(2)).joined, 11s);
  EXPECT_TRUE(last_of(host(2)).has_account);
  EXPECT_EQ(last().accounts, 1U);
  // The next run leaves it alone until it ends itself.
  const auto next = begin(2, {0, {"10.0.0.3"}});
  give(info, host(2), {.joined_ago = 1s, .pulls = {8, 1, 0, 0, 9}});
  EXPECT_EQ(last().run, info.id);
  EXPECT_EQ(last().total.wire_bytes, 8U);
  end(next);
  EXPECT_EQ(last().run, next.id);
  EXPECT_EQ(last().accounts, 0U);
  EXPECT_EQ(last().hosts.size(), 1U);
}

TEST_P(AccountContract, OfNoRunOrOfAnotherIsForgotten) {
  const auto unknown = run();
  give(unknown, host(2), own());
  EXPECT_FALSE(master().last_account());
  const auto info = begin(2, {0, {"10.0.0.2"}});
  give(unknown, host(2), own());
  end(info);
  EXPECT_EQ(last().accounts, 0U);
  EXPECT_FALSE(last_of(host(2)).has_come);
}

TEST_P(AccountContract, OnlyHostsOfTheRunAreInIt) {
  const auto info = begin(2, {0, {"10.0.0.2"}, Unnamed::does_not_count});
  static_cast<void>(joined(host(9)));
  give(info, host(9), own());
  end(info);
  ASSERT_EQ(last().hosts.size(), 1U);
  EXPECT_EQ(last().hosts.front().address, host(2));
  EXPECT_EQ(last().accounts, 1U) << "the sums count everybody";
}

// The master admits hosts every now and then, and the run may end before.
TEST_P(AccountContract, AHostThatIsNotAdmittedYetIsInIt) {
  const auto info = begin(2, {1, {}});
  backend_->advance(1s);
  static_cast<void>(joined(host(2)));
  static_cast<void>(report(info, host(2), pieces({0, 1}), 1));
  end(info);
  EXPECT_EQ(
      last_of(host(2)),
      (HostAccount{
          .address = host(2), .is_expected = true, .has_come = true, .placed = 2, .joined = 1s}));
  give(info, host(3), own());
  EXPECT_TRUE(last_of(host(3)).is_expected) << "it learns late that it was over";
}

TEST_P(AccountContract, ARefusedTaskHidesIt) {
  backend_->set_task("/etc/shadow");
  end(begin());
  EXPECT_TRUE(master().last_account());
  EXPECT_TRUE(master().refuse("/etc/shadow", "outside"));
  EXPECT_FALSE(master().last_account());
}

TEST_P(AccountContract, WithoutFunctionsThereIsNone) {
  const auto info = begin();
  end(info);
  backend_->remove_functions();
  give(info, host(2), own());
  EXPECT_FALSE(master().last_account());
}

TEST_P(AccountContract, ARunInTreesSaysSo) {
  end(begin(2, {0, {"10.0.0.2"}}, Spread::trees));
  EXPECT_TRUE(last().has_trees);
}

}  // namespace
}  // namespace libsync::test
