#pragma once

// Many hosts as one short text for people.

#include <cstddef>
#include <string>
#include <vector>

namespace libsync {

/// The hosts in the order of their numbers, each once. Those that differ in their last number alone
/// become one word: `10.0.1.[17-19,23] 10.0.2.4 fd00::[a-c]`. clush and pdsh read that form.
///
/// Text that is no address comes last, as it is: the caller has escaped it. After `most` numbers or
/// ranges of numbers, the text ends with the number of hosts that are left: `and 7 more`.
[[nodiscard]] std::string host_ranges(const std::vector<std::string>& hosts, std::size_t most);

}  // namespace libsync
