#include "libsync/core/host_ranges.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <vector>

#include "libsync/core/address.h"

namespace libsync {
namespace {

// As inet_pton(3) and inet_ntop(3) write it.
std::string canonical(const std::string& text) {
  const int family = text.find(':') == std::string::npos ? AF_INET : AF_INET6;
  std::array<unsigned char, 16> bytes{};
  std::array<char, INET6_ADDRSTRLEN> shown{};
  if (inet_pton(family, text.c_str(), bytes.data()) != 1) return "no address: " + text;
  return inet_ntop(family, bytes.data(), shown.data(), shown.size());
}

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
      {{"::1.2.3.4", "::1.2.3.5", "::1.2.3.16"}, "::102:[304-305,310]"},
      {{"::1.2.3.4"}, "::1.2.3.4"},
  };
  for (const auto& [hosts, text] : rows) EXPECT_EQ(host_ranges(hosts, 100), text);
}

// Each host of a range is its prefix with a number behind it.
TEST(HostRanges, AreValidAddresses) {
  for (const auto* const text : {"::1.2.3.4", "::5", "fd00::", "fd00::1:0", "1:0:0:2::",
                                 "1::2:3:0:0", "2001:db8:1:2:3:4:0:7", "::1:2:3:4", "10.0.0.254"}) {
    const auto host = Address::parse(text);
    ASSERT_TRUE(host) << text;
    const bool is_ipv4 = host->bytes().size() == 4;
    std::array<unsigned char, 16> bytes{};
    std::copy(host->bytes().begin(), host->bytes().end(), bytes.begin());
    bytes[is_ipv4 ? 3 : 15] ^= 1U;
    std::array<char, INET6_ADDRSTRLEN> shown{};
    const std::string other =
        inet_ntop(is_ipv4 ? AF_INET : AF_INET6, bytes.data(), shown.data(), shown.size());
    const auto range = host_ranges({host->text(), other}, 9);
    const auto open = range.find('[');
    ASSERT_NE(open, std::string::npos) << range;
    const auto numbers = range.substr(open + 1, range.size() - open - 2);
    const auto last = numbers.substr(numbers.find_last_of("-,") + 1);
    const auto first = numbers.substr(0, numbers.find_first_of("-,"));
    std::set<std::string> read;
    for (const auto& number : {first, last}) read.insert(canonical(range.substr(0, open) + number));
    EXPECT_EQ(read, (std::set<std::string>{host->text(), other})) << range;
  }
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
