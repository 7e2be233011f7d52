#include "libsync/core/host_ranges.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace libsync {
namespace {

struct Row {
  std::vector<std::string> hosts;
  std::string text;
};

TEST(HostRanges, FoldHostsThatDifferInTheirLastNumber) {
  const std::vector<Row> rows = {
      {{}, ""},
      {{"10.0.1.17"}, "10.0.1.17"},
      {{"10.0.1.17", "10.0.1.17"}, "10.0.1.17"},
      {{"10.0.1.23", "10.0.1.18", "10.0.1.17", "10.0.1.19"}, "10.0.1.[17-19,23]"},
      {{"10.0.1.2", "10.0.1.10", "10.0.1.11"}, "10.0.1.[2,10-11]"},
      {{"10.0.10.1", "10.0.2.1", "9.0.0.1"}, "9.0.0.1 10.0.2.1 10.0.10.1"},
      {{"10.0.0.254", "10.0.0.255", "10.0.1.0", "10.0.1.1"}, "10.0.0.[254-255] 10.0.1.[0-1]"},
      {{"fd00::a", "fd00::b", "fd00::10", "10.0.0.1"}, "10.0.0.1 fd00::[a-b,10]"},
      {{"fd00::1:1", "fd00::1"}, "fd00::1 fd00::1:1"},
      {{"2001:db8:1:2:3:4:5:9", "2001:db8:1:2:3:4:5:a"}, "2001:db8:1:2:3:4:5:[9-a]"},
      {{"fd00::9", "fd00::"}, "fd00::[0,9]"},
  };
  for (const auto& [hosts, text] : rows) EXPECT_EQ(host_ranges(hosts, 100), text);
}

TEST(HostRanges, ShowTextThatIsNoAddressLast) {
  EXPECT_EQ(host_ranges({"zz", "10.0.0.1", "a.b:c", "999.0.0.1"}, 9),
            "10.0.0.1 999.0.0.1 a.b:c zz");
}

TEST(HostRanges, EndWithTheNumberOfTheHostsThatAreLeft) {
  const std::vector<std::string> hosts = {"10.0.1.1", "10.0.1.2", "10.0.1.4",
                                          "10.0.1.6", "10.0.2.1", "x"};
  EXPECT_EQ(host_ranges(hosts, 2), "10.0.1.[1-2,4] and 3 more");
  EXPECT_EQ(host_ranges(hosts, 4), "10.0.1.[1-2,4,6] 10.0.2.1 and 1 more");
  EXPECT_EQ(host_ranges(hosts, 5), "10.0.1.[1-2,4,6] 10.0.2.1 x");
}

}  // namespace
}  // namespace libsync
