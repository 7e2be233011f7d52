// The promises of join() about ids, for the fake and for Redis.

#include "contract_fixture.h"

namespace libsync::test {
namespace {

using testing::ElementsAre;
using namespace std::chrono_literals;

class IdContract : public Contract {
 protected:
  /// A tick that lingers, or one that ends if it has nothing to do.
  JoinOutcome join_as(const HostId& id, const Address& at, Duration stays = 24s) {
    return minion(at).join(at, id, Arrival::first_of_tick, SeatWish::wanted, stays);
  }
  [[nodiscard]] bool joins(const HostId& id, const Address& at, Duration stays = 24s) {
    const auto outcome = join_as(id, at, stays);
    return std::holds_alternative<Joined>(outcome) || std::holds_alternative<NoRun>(outcome);
  }
  /// How long ago the other host was seen that has this address.
  [[nodiscard]] std::optional<std::chrono::milliseconds> used(const HostId& id, const Address& at) {
    const auto outcome = join_as(id, at);
    const auto* const used = std::get_if<AddressInUse>(&outcome);
    return used != nullptr ? std::optional(used->seen_ago) : std::nullopt;
  }
  /// Where the other host is that has this id.
  [[nodiscard]] std::string copied(const HostId& id, const Address& at) {
    const auto outcome = join_as(id, at);
    const auto* const used = std::get_if<IdInUse>(&outcome);
    return used != nullptr ? used->where : "";
  }
  [[nodiscard]] std::size_t expected(const RunInfo& info) {
    EXPECT_TRUE(std::holds_alternative<Done>(master().admit(info.id)));
    return standing().expected;
  }

  const HostId one_ = random_name<HostId>();
  const HostId other_ = random_name<HostId>();
};

INSTANTIATE_TEST_SUITE_P(Of, IdContract, all_backends(), name_of_backend);

TEST_P(IdContract, ALiveHostKeepsItsAddress) {
  const auto info = begin(2, {1, {}});
  stage_all(info);
  EXPECT_TRUE(joins(one_, host(5)));
  const auto claim = granted(info, host(5), pieces({}));
  backend_->advance(7s);
  EXPECT_EQ(used(other_, host(5)), 7s);
  EXPECT_EQ(status_of(host(5)).claims, 1U) << "the claims of the first stay";
  EXPECT_EQ(status_of(host(5)).seen_ago, 7s);
  EXPECT_TRUE(joins(one_, host(5)));
  EXPECT_EQ(finish(info, host(5)), FinishOutcome::finished);
  backend_->advance(150s);
  EXPECT_EQ(used(other_, host(5)), 150s);
  backend_->advance(1s);
  EXPECT_TRUE(joins(other_, host(5)));
  EXPECT_EQ(used(one_, host(5)), 0s);
}

TEST_P(IdContract, AHostThatDiedInTheRunKeepsItsAddressFor30Seconds) {
  static_cast<void>(begin(2, {1, {}}));
  EXPECT_TRUE(joins(one_, host(5)));
  backend_->advance(30s);
  EXPECT_EQ(used(other_, host(5)), 30s);
  backend_->advance(1s);
  EXPECT_TRUE(joins(other_, host(5)));
}

TEST_P(IdContract, AnIdAtTwoLiveAddressesIsACopy) {
  master().load_functions();
  EXPECT_TRUE(joins(one_, host(5)));
  EXPECT_EQ(copied(one_, host(6)), "10.0.0.5");
  const auto info = begin();
  EXPECT_TRUE(joins(one_, host(5)));
  backend_->advance(30s);
  EXPECT_EQ(copied(one_, host(6)), "10.0.0.5");
  EXPECT_TRUE(joins(other_, host(6)));
  EXPECT_EQ(expected(info), 2U);
}

TEST_P(IdContract, OfTwoCopiesThatNeverMeetTheFirstLearnsIt) {
  master().load_functions();
  EXPECT_TRUE(joins(one_, host(5), 0s));
  EXPECT_TRUE(joins(one_, host(6), 0s));
  backend_->advance(1min);
  EXPECT_EQ(copied(one_, host(5)), "10.0.0.6");
  EXPECT_TRUE(joins(other_, host(5)));
  EXPECT_TRUE(joins(one_, host(6)));
}

TEST_P(IdContract, AHostThatDiedAndMovedIsExpectedAtItsNewAddress) {
  master().load_functions();
  EXPECT_TRUE(joins(one_, host(5)));
  const auto info = begin();
  stage_all(info);
  EXPECT_TRUE(joins(one_, host(5)));
  static_cast<void>(granted(info, host(5), pieces({})));
  EXPECT_EQ(expected(info), 1U);
  backend_->advance(31s);
  EXPECT_TRUE(joins(one_, host(6)));
  EXPECT_EQ(expected(info), 1U);
  EXPECT_EQ(status_of(host(5)).claims, 0U);
  EXPECT_THAT(master().awaited().value_or(Awaited{}).missing, ElementsAre("10.0.0.6"));
  EXPECT_EQ(finish(info, host(6)), FinishOutcome::finished);
  EXPECT_EQ(standing().finished, 1U);
  EXPECT_EQ(standing().expected, 1U);
  EXPECT_TRUE(joins(other_, host(5))) << "the former address is free";
  EXPECT_EQ(expected(info), 2U);
}

TEST_P(IdContract, AFinishedHostWhoseTickHasEndedMovesAtOnce) {
  const auto info = begin(2, {1, {}});
  stage_all(info);
  EXPECT_TRUE(joins(one_, host(5)));
  EXPECT_EQ(finish(info, host(5)), FinishOutcome::finished);
  EXPECT_TRUE(joins(one_, host(5), 0s));
  EXPECT_TRUE(joins(one_, host(6)));
  EXPECT_EQ(expected(info), 1U);
  EXPECT_EQ(standing().finished, 0U) << "it has to finish there";
  EXPECT_EQ(finish(info, host(6)), FinishOutcome::finished);
  EXPECT_EQ(standing().finished, 1U);
}

TEST_P(IdContract, AnInventoryKeepsItsAddresses) {
  const auto info = begin(2, {0, {"10.0.0.5", "10.0.0.7"}, Unnamed::does_not_count});
  stage_all(info);
  EXPECT_TRUE(joins(one_, host(5)));
  EXPECT_EQ(finish(info, host(5)), FinishOutcome::finished);
  EXPECT_TRUE(joins(one_, host(5), 0s));
  EXPECT_TRUE(joins(one_, host(6)));
  EXPECT_EQ(expected(info), 2U);
  EXPECT_EQ(standing().finished, 1U);
  EXPECT_THAT(master().awaited().value_or(Awaited{}).missing, ElementsAre("10.0.0.7"));
}

}  // namespace
}  // namespace libsync::test
