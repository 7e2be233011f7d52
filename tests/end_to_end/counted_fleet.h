#pragma once

// A fleet whose daemons count the bytes that they send.

#include <gmock/gmock.h>

#include <sstream>

#include "fleet.h"

namespace libsync::test {

class CountedFleet : public Fleet {
 protected:
  /// The bytes that the daemons of all hosts have sent, by their logs. A connection costs some
  /// hundred bytes.
  std::size_t sent_bytes() { return bytes_after("sent"); }

  /// The same of the bytes that they have received: requests, and the sums of old bytes.
  std::size_t received_bytes() { return bytes_after("received"); }

  std::size_t bytes_after(const std::string& verb) {
    std::size_t total = 0;
    auto hosts = minions();
    hosts.push_back(&master());
    for (const auto* const host : hosts) {
      std::istringstream words(content_of(host->folder() / "rsyncd.log"));
      for (std::string word; words >> word;) {
        std::size_t count = 0;
        if (word == verb && words >> count) total += count;
      }
    }
    return total;
  }

  void distribute(const std::filesystem::path& payload, const Words& options = {}) {
    Words all{"--minions", std::to_string(minions().size()), "--piece-size", "1M"};
    all.insert(all.end(), options.begin(), options.end());
    set_task(payload);
    ASSERT_EQ(master().run("sync-master", all).status, 0);
    for (const auto* const host : minions()) {
      const auto ran = host->run("sync-minion", minion_options_);
      EXPECT_EQ(ran.status, 0) << ran.output;
      last_output_ = ran.output;
    }
    EXPECT_THAT(master().run("sync-master", all).output, testing::HasSubstr("mission complete"));
    for (const auto* const host : minions()) expect_published(*host, payload);
  }

  Words minion_options_;
  std::string last_output_;
};

constexpr std::size_t kMegabyte = 1'048'576;

}  // namespace libsync::test
