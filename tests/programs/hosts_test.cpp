#include "programs/hosts.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "status_values.h"

namespace libsync {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

// Hosts .1 to .5: finished, failed, silent, without a feed, never came.
Status fleet() {
  Status status;
  for (int i = 1; i <= 5; ++i)
    status.hosts.push_back(test::joined_host("10.0.0." + std::to_string(i)));
  status.hosts[0].finished_after = 1s;
  status.hosts[1].error = "full";
  status.hosts[2].seen_ago = 40s;
  status.hosts[3].feed_fault = "Unknown module";
  status.hosts[4].has_joined = false;
  status.hosts[4].seen_ago.reset();
  status.silent = {"10.0.0.9"};
  return status;
}

TEST(HostFilter, IsOneOfTheWordsOfItsRule) {
  EXPECT_EQ(host_filter_rule(), "seen, silent, finished, failed, missing or no-feed");
  EXPECT_EQ(parse_host_filter("no-feed"), HostFilter::no_feed);
  EXPECT_EQ(parse_host_filter("Seen"), std::nullopt);
  EXPECT_EQ(parse_host_filter(""), std::nullopt);
}

TEST(HostsOf, AreThoseInTheState) {
  const auto status = fleet();
  EXPECT_THAT(hosts_of(status, HostFilter::seen),
              ElementsAre("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"));
  EXPECT_THAT(hosts_of(status, HostFilter::silent), ElementsAre("10.0.0.3", "10.0.0.9"));
  EXPECT_THAT(hosts_of(status, HostFilter::finished), ElementsAre("10.0.0.1"));
  EXPECT_THAT(hosts_of(status, HostFilter::failed), ElementsAre("10.0.0.2"));
  EXPECT_THAT(hosts_of(status, HostFilter::missing),
              ElementsAre("10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"));
  EXPECT_THAT(hosts_of(status, HostFilter::no_feed), ElementsAre("10.0.0.4"));
}

TEST(HostsOfLastRun, AreThoseInTheState) {
  Status status;
  EXPECT_THAT(hosts_of_last_run(status, HostFilter::seen), IsEmpty());
  status.last.emplace();
  status.last->hosts = {
      {"10.0.0.1", true, ""}, {"10.0.0.2", false, "full"}, {"10.0.0.3", false, ""}};
  EXPECT_THAT(hosts_of_last_run(status, HostFilter::finished), ElementsAre("10.0.0.1"));
  EXPECT_THAT(hosts_of_last_run(status, HostFilter::failed), ElementsAre("10.0.0.2"));
  EXPECT_THAT(hosts_of_last_run(status, HostFilter::missing), ElementsAre("10.0.0.2", "10.0.0.3"));
}

// A minion can write any member into the keys that list hosts.
TEST(UsableAddresses, AreCanonicalAndInsideTheNetworks) {
  const std::vector<Network> networks = {Network::parse("10.0.0.0/8").value(),
                                         Network::parse("fd00::/8").value()};
  std::vector<std::string> texts;
  for (const auto& address :
       usable_addresses({"10.0.0.10", "10.0.0.2", "192.168.0.1", "-oProxyCommand=x", "10.0.0.2\n",
                         "10.0.0.2", "fd00::1", "010.0.0.3", "<script>", ""},
                        networks)) {
    texts.push_back(address.text());
  }
  EXPECT_THAT(texts, ElementsAre("10.0.0.2", "10.0.0.10", "fd00::1"));
}

}  // namespace
}  // namespace libsync
