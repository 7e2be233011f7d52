// The promises of expect(), admit() and awaited(), for the fake and for Redis.

#include <fmt/format.h>

#include "contract_fixture.h"

namespace libsync::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;

class ExpectedContract : public Contract {
 protected:
  [[nodiscard]] Awaited awaited() {
    const auto found = master().awaited();
    EXPECT_TRUE(found);
    return found.value_or(Awaited{});
  }
  void pass(const RunInfo& info, Duration time) {
    backend_->advance(time);
    EXPECT_TRUE(std::holds_alternative<Done>(master().admit(info.id)));
  }
};

INSTANTIATE_TEST_SUITE_P(Of, ExpectedContract, all_backends(), name_of_backend);

TEST_P(ExpectedContract, OnlyTheHostsOfAnInventoryCount) {
  const auto info = begin(2, {0, {"10.0.0.5", "10.0.0.6"}, Unnamed::does_not_count});
  stage_all(info);
  EXPECT_EQ(finish(info, host(5)), FinishOutcome::finished);
  EXPECT_EQ(finish(info, host(9)), FinishOutcome::finished);
  pass(info, 20min);
  EXPECT_EQ(standing().finished, 1U);
  EXPECT_EQ(standing().expected, 2U);
  EXPECT_THAT(awaited().missing, ElementsAre("10.0.0.6"));
}

TEST_P(ExpectedContract, AHostBeyondTheNumberCountsUntilItIsSilent) {
  const auto info = begin(2, {1, {}});
  stage_all(info);
  static_cast<void>(join(host(8)));
  static_cast<void>(join(host(9)));
  EXPECT_EQ(finish(info, host(8)), FinishOutcome::finished);
  pass(info, 30s);
  EXPECT_EQ(standing().expected, 2U);
  pass(info, 10s);
  EXPECT_EQ(standing().expected, 1U);
  EXPECT_EQ(standing().finished, 1U);
  EXPECT_THAT(awaited().missing, ElementsAre("10.0.0.9"));
  static_cast<void>(report(info, host(9), pieces({0}), 1));
  pass(info, 10s);
  EXPECT_EQ(standing().expected, 2U) << "it is back";
}

TEST_P(ExpectedContract, AHostThatWasNeverNamedCountsForTenSilentMinutes) {
  master().load_functions();
  static_cast<void>(join(host(4)));
  backend_->advance(11min);
  static_cast<void>(join(host(5)));
  static_cast<void>(join(host(6)));
  const auto info = begin();
  stage_all(info);
  EXPECT_EQ(finish(info, host(5)), FinishOutcome::finished);
  pass(info, 10min);
  EXPECT_EQ(standing().expected, 2U);
  pass(info, 10s);
  EXPECT_EQ(standing().expected, 1U);
  EXPECT_THAT(awaited().missing, ElementsAre("10.0.0.6"));
  EXPECT_THAT(awaited().silent, ElementsAre("10.0.0.4"));
  const auto ended = master().end(info.id, "complete", "", TaskAfter::goes);
  EXPECT_THAT(std::get<Ended>(ended).missing, ElementsAre("10.0.0.6"));
  EXPECT_THAT(status().last.value().silent, ElementsAre("10.0.0.4"));
  EXPECT_FALSE(master().awaited());
}

TEST_P(ExpectedContract, AnotherExpectationCountsAtOnce) {
  const auto info = begin(2, {4, {}});
  stage_all(info);
  static_cast<void>(join(host(5)));
  EXPECT_EQ(finish(info, host(5)), FinishOutcome::finished);
  EXPECT_TRUE(std::holds_alternative<Done>(
      master().expect(info.id, {0, {"10.0.0.6"}, Unnamed::does_not_count})));
  EXPECT_EQ(standing().finished, 0U);
  EXPECT_EQ(standing().expected, 1U);
  EXPECT_TRUE(std::holds_alternative<Done>(master().expect(info.id, {1, {}})));
  EXPECT_TRUE(std::holds_alternative<Done>(master().admit(info.id)));
  EXPECT_EQ(standing().finished, 1U);
  EXPECT_EQ(standing().expected, 1U);
  EXPECT_THAT(awaited().missing, IsEmpty());
  EXPECT_TRUE(std::holds_alternative<Stale>(master().expect(random_name<RunId>(), {1, {}})));
}

// More hosts than a page of the shared state holds, and than one call changes.
TEST_P(ExpectedContract, ManyHostsAreNamedWhole) {
  std::vector<std::string> hosts;
  for (unsigned i = 0; i < 4500; ++i) {
    hosts.push_back(fmt::format("10.1.{}.{}", 100 + i / 100, 100 + i % 100));
  }
  const std::vector<std::string> first(hosts.begin(), hosts.begin() + 2500);
  const std::vector<std::string> second(hosts.begin() + 2200, hosts.end());
  const auto info = begin(2, {0, first, Unnamed::does_not_count});
  stage_all(info);
  EXPECT_EQ(awaited().missing, first);
  EXPECT_GE(status().hosts.size(), first.size());
  EXPECT_TRUE(
      std::holds_alternative<Done>(master().expect(info.id, {0, second, Unnamed::does_not_count})));
  EXPECT_EQ(awaited().missing, second);
  EXPECT_EQ(finish(info, *Address::parse(second.at(7))), FinishOutcome::finished);
  const auto ended = master().end(info.id, "deadline", "", TaskAfter::goes);
  EXPECT_EQ(std::get<Ended>(ended).missing.size(), second.size() - 1);
}

}  // namespace
}  // namespace libsync::test
