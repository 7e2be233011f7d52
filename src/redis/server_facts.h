#pragma once

// Facts about a Redis server for `check`: whether it lets a role work.
//
// All calls only read. A fault is a value here, because each fact stands for a line of its own.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libsync/core/failure.h"
#include "libsync/core/run_record.h"
#include "redis/connection.h"
#include "redis/coordinator.h"

namespace libsync {

/// The answer of the function `rights`.
struct RightsAnswer {
  std::string digest;                ///< The text of the functions that Redis holds.
  std::string version;               ///< The version of Redis, escaped.
  std::vector<std::string> missing;  ///< Rules of access that the role needs. Escaped.
};

/// How Redis frees memory when it is full.
struct Eviction {
  std::string policy;              ///< Escaped.
  std::uint64_t memory_limit = 0;  ///< 0: none.
};

struct ServerFacts {
  std::optional<Failure> connect_fault;  ///< With it all the rest is unknown.
  /// Nothing if `rights_fault` says why, or if Redis holds no functions of this version.
  std::optional<RightsAnswer> rights;
  std::optional<Failure> rights_fault;
  std::optional<Eviction> eviction;  ///< Nothing if `eviction_fault` says why.
  std::optional<Failure> eviction_fault;
};

/// The facts that a host of this role sees.
[[nodiscard]] ServerFacts server_facts(const RedisCoordinatorOptions& options, Role role);

/// The policy and the limit in the text that INFO answers. Nothing if it has no policy.
[[nodiscard]] std::optional<Eviction> read_eviction(std::string_view info);

}  // namespace libsync
