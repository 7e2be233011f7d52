#pragma once

// Accounts of runs as a fleet would give them, for the tests of what shows them.

#include <chrono>
#include <cmath>
#include <cstddef>
#include <string>

#include "libsync/core/run_account.h"

namespace libsync::test {

inline constexpr std::uint64_t kBegunMs = 1'764'489'006'250;

/// The n-th host: 10.0.1.1 and so on.
[[nodiscard]] inline Address nth_host(std::size_t n) {
  constexpr std::size_t kInANetwork = 250;
  return Address::parse("10.0." + std::to_string(1 + n / kInANetwork) + "." +
                        std::to_string(1 + n % kInANetwork))
      .value();
}

/// A host that has published, whose times and rate follow from its number.
[[nodiscard]] inline HostAccount published_host(std::size_t n) {
  const auto ms = [](double value) { return Duration(static_cast<std::int64_t>(value)); };
  const auto spread = static_cast<double>((n * 7919) % 1000) / 1000;
  HostAccount host{
      .address = nth_host(n), .is_expected = true, .has_come = true, .has_account = true};
  host.placed = 400;
  host.joined = ms(200 + 1500 * spread);
  host.first_byte = *host.joined + ms(150 + 900 * std::fmod(spread * 3, 1));
  host.last_byte = *host.first_byte + ms(9000 + 4000 * spread * spread);
  host.in_place = *host.last_byte + ms(300 + 500 * std::fmod(spread * 5, 1));
  host.published = *host.in_place + ms(400 + 300 * spread);
  host.pulls = {1'610'000'000, 400, n % 5, n % 3, 180'000'000 - 1'000'000 * (n % 40)};
  host.shares = {{nth_host(n + 1), 208}, {nth_host(n + 2), 192}};
  return host;
}

/// A complete run of so many hosts with a payload of 1.6 GB. The third host had a slow link.
[[nodiscard]] inline RunAccount complete_run(std::size_t hosts) {
  RunAccount account{.run = RunId::parse("3f2a9c01" + std::string(24, 'a')).value(),
                     .path = "/data1/model.7",
                     .outcome = "complete"};
  account.cut = {1'600'000'000, 4'000'000};
  account.begun_ms = kBegunMs;
  account.finished = hosts;
  account.expected = hosts;
  account.accounts = hosts;
  account.origin = nth_host(0);
  account.has_trees = hosts > 100;
  for (std::size_t n = 0; n < hosts; ++n) account.hosts.push_back(published_host(n));
  if (hosts > 2) {
    auto& slow = account.hosts[2];
    slow.last_byte = Duration(31'000);
    slow.in_place = Duration(31'400);
    slow.published = Duration(32'000);
    slow.pulls.bytes_per_second = 12'000'000;
    slow.reason = "rsync from 10.0.1.4 failed: timeout";
  }
  for (const auto& host : account.hosts) {
    account.total.wire_bytes += host.pulls.wire_bytes;
    account.total.pieces += host.pulls.pieces;
    account.total.failed += host.pulls.failed;
    account.total.twice += host.pulls.twice;
  }
  account.took = Duration(hosts > 2 ? 32'150 : 16'000);
  return account;
}

/// The same, ended by a deadline. Hosts from `from` on have not finished: one in three never came,
/// one in three failed for this reason, and the others were still pulling.
[[nodiscard]] inline RunAccount short_run(std::size_t hosts, std::size_t from,
                                          const std::string& reason) {
  auto account = complete_run(hosts);
  account.outcome = "deadline";
  account.finished = from;
  for (auto n = from; n < hosts; ++n) {
    auto& host = account.hosts[n];
    host.published.reset();
    host.in_place.reset();
    host.placed = 120;
    if (n % 3 == 0) host = {.address = host.address, .is_expected = true};
    if (n % 3 == 1) host.error = reason;
  }
  return account;
}

}  // namespace libsync::test
