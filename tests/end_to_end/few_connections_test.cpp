// Daemons that accept two connections at once. A refused pull waits, and accuses nobody.

#include <gmock/gmock.h>

#include <sstream>
#include <string>
#include <vector>

#include "fleet.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// Prints the pulls that failed, and the reasons, of each host of a report.
constexpr auto kFaults =
    "import json, sys\n"
    "for host in json.load(sys.stdin)['hosts']:\n"
    "  print('failed', host['pulls_failed'], [host[key] for key in host if 'error' in key])\n";

class FewConnections : public Fleet {
 protected:
  // Each host, the master included, has a daemon with `max connections = 2`.
  void start_fleet_of(int count) {
    add_hosts(count);
    limit(master());
    for (auto* const host : minions()) limit(*host);
  }

  static void limit(Host& host) {
    const auto file = host.folder() / "rsyncd.conf";
    ASSERT_EQ(
        run({"sed", "-i", "s/^max connections = 20/max connections = 2/", file.string()}).status,
        0);
    ASSERT_THAT(content_of(file), HasSubstr("\nmax connections = 2\n"));
    host.stop_daemon();
    host.start_daemon();
  }

  // Warnings and errors.
  static std::vector<std::string> complaints_in(const std::string& log) {
    std::vector<std::string> complaints;
    std::istringstream lines(log);
    for (std::string line; std::getline(lines, line);) {
      if (line.find("warning: ") != std::string::npos ||
          line.find("error: ") != std::string::npos) {
        complaints.push_back(line);
      }
    }
    return complaints;
  }

  // Small pieces, so that many pulls end, and the next ones begin at once.
  void distribute(const std::string& spread) {
    const auto payload = source_root() / "payload";
    write_file(payload, random_bytes(24'000'000, 7));
    start_master({"--minions", std::to_string(minions().size()), "--piece-size", "128K", "--spread",
                  spread});
    start_minions();
    set_task(payload);
    wait_for_end();
    for (const auto* const host : minions()) {
      expect_published(*host, payload);
      EXPECT_THAT(complaints_in(host->log()), IsEmpty());
    }
    EXPECT_THAT(complaints_in(master().log()), IsEmpty());
    const auto report = master().run("sync-master", {"report", "--json"});
    EXPECT_EQ(report.status, 0) << report.errors;
    std::string expected;
    for (std::size_t host = 0; host < minions().size(); ++host) expected += "failed 0 []\n";
    EXPECT_EQ(run({"python3", "-c", kFaults}, report.output).output, expected) << report.output;
  }
};

TEST_F(FewConnections, AreEnoughForClaims) {
  start_fleet_of(4);
  distribute("claims");
}

TEST_F(FewConnections, AreEnoughForTrees) {
  start_fleet_of(4);
  distribute("trees");
}

}  // namespace
}  // namespace libsync::test
