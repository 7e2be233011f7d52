// The outcome of a run, for people.

#include "libsync/core/outcome.h"

#include <gmock/gmock.h>

namespace libsync {
namespace {

TEST(Outcome, IsTheWordAndTheHostsWhoseHookFailed) {
  EXPECT_EQ(outcome_text("complete", {}), "complete");
  EXPECT_EQ(outcome_text("complete", {"10.0.1.4", "10.0.1.3", "fd00::1"}),
            "complete, hook failed on 10.0.1.[3-4] fd00::1");
  EXPECT_EQ(outcome_text("<b>\n", {"10.0.0.1"}), "<b>\\n, hook failed on 10.0.0.1");
}

TEST(Outcome, NamesFiftyHostsAndCountsTheRest) {
  std::vector<std::string> hosts;
  for (int i = 0; i < 60; ++i) hosts.push_back("10.0.0." + std::to_string(2 * i));
  EXPECT_THAT(outcome_text("quorum", hosts), testing::EndsWith("and 10 more"));
}

}  // namespace
}  // namespace libsync
