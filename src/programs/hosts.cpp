#include "programs/hosts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "programs/progress.h"

namespace libsync {
namespace {

struct Word {
  std::string_view text;
  HostFilter filter;
};
constexpr std::array kWords = {
    Word{"seen", HostFilter::seen},         Word{"silent", HostFilter::silent},
    Word{"finished", HostFilter::finished}, Word{"failed", HostFilter::failed},
    Word{"missing", HostFilter::missing},   Word{"no-feed", HostFilter::no_feed},
};

bool matches(const HostStatus& host, HostFilter filter) {
  switch (filter) {
    case HostFilter::seen:
      return is_seen(host);
    case HostFilter::silent:
      return host.is_expected && group_of(host) == HostGroup::silent;
    case HostFilter::finished:
      return host.finished_after.has_value();
    case HostFilter::failed:
      return group_of(host) == HostGroup::failed;
    case HostFilter::missing:
      return host.is_expected && !host.finished_after;
    case HostFilter::no_feed:
      break;
  }
  return !host.feed_fault.empty();
}

bool matches(const LastHost& host, HostFilter filter) {
  switch (filter) {
    case HostFilter::seen:
      return true;
    case HostFilter::finished:
      return host.has_finished;
    case HostFilter::missing:
      return !host.has_finished;
    case HostFilter::failed:
      return !host.has_finished && !host.error.empty();
    case HostFilter::silent:
    case HostFilter::no_feed:
      break;
  }
  return false;
}

}  // namespace

std::optional<HostFilter> parse_host_filter(std::string_view text) {
  const auto* const word =
      std::find_if(kWords.begin(), kWords.end(), [&](const Word& one) { return one.text == text; });
  return word == kWords.end() ? std::nullopt : std::optional(word->filter);
}

std::string host_filter_rule() {
  std::string rule;
  for (const auto& word : kWords) {
    if (!rule.empty()) rule += &word == &kWords.back() ? " or " : ", ";
    rule += word.text;
  }
  return rule;
}

std::vector<std::string> hosts_of(const Status& status, HostFilter filter) {
  std::vector<std::string> hosts;
  for (const auto& host : status.hosts) {
    if (matches(host, filter)) hosts.push_back(host.address);
  }
  if (filter == HostFilter::silent) {
    hosts.insert(hosts.end(), status.silent.begin(), status.silent.end());
  }
  if (filter == HostFilter::missing && status.run) {
    hosts.insert(hosts.end(), status.run->missing.begin(), status.run->missing.end());
  }
  return hosts;
}

std::vector<std::string> hosts_of_last_run(const Status& status, HostFilter filter) {
  std::vector<std::string> hosts;
  if (!status.last) return hosts;
  for (const auto& host : status.last->hosts) {
    if (matches(host, filter)) hosts.push_back(host.address);
  }
  return hosts;
}

std::vector<Address> usable_addresses(const std::vector<std::string>& hosts,
                                      const std::vector<Network>& networks) {
  std::set<Address> addresses;
  for (const auto& host : hosts) {
    if (auto address = Address::parse(host); address && is_within(*address, networks)) {
      addresses.insert(*std::move(address));
    }
  }
  return {addresses.begin(), addresses.end()};
}

}  // namespace libsync
