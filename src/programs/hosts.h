#pragma once

// `sync-master hosts`: the addresses of some hosts, for other programs.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libsync/core/address.h"
#include "libsync/observer.h"

namespace libsync {

/// Which hosts: seen in the last ten minutes; silent; finished; failed; missing, that is expected
/// and not finished; without a feed, that is serving nobody.
enum class HostFilter { seen, silent, finished, failed, missing, no_feed };

/// Nothing, unless `text` is a word of host_filter_rule().
[[nodiscard]] std::optional<HostFilter> parse_host_filter(std::string_view text);

/// The words, for people.
[[nodiscard]] std::string host_filter_rule();

/// The hosts of the fleet, or of the run in progress. Text from Redis, unchecked.
[[nodiscard]] std::vector<std::string> hosts_of(const Status& status, HostFilter filter);

/// The hosts of the run that ended last. Nobody knows any more which ones were silent or had no
/// feed, and all of them count as seen.
[[nodiscard]] std::vector<std::string> hosts_of_last_run(const Status& status, HostFilter filter);

/// Those that are addresses in one of the networks, in their order, each once. A minion may have
/// written anything into Redis, and scripts will connect to these.
[[nodiscard]] std::vector<Address> usable_addresses(const std::vector<std::string>& hosts,
                                                    const std::vector<Network>& networks);

}  // namespace libsync
