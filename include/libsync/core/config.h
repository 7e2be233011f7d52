#pragma once

// The configuration of the programs, checked and in types.
//
// The programs fill these structs from the command line and the configuration file. No other code
// reads an option. The man pages explain each one.
//
// Durations, sizes and lists are parsed here, because their spelling is the same everywhere.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libsync/core/address.h"
#include "libsync/core/basis.h"
#include "libsync/core/ownership.h"
#include "libsync/core/redis_server.h"
#include "libsync/core/spread.h"
#include "libsync/core/time.h"

namespace libsync {

/// Accepts an integer with ms, s, m or h, of at most a year. Without a unit it means seconds.
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text);

/// Accepts an integer of at least 1 with K, M or G (powers of 1024). Without a unit it means bytes.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

/// Whether rsync understands `text` as its --bwlimit: a number with a unit such as `50m`, `1.5GiB`
/// or `600k`. Without a unit it means KiB in a second. rsync itself refuses rates below 512 bytes.
[[nodiscard]] bool is_bandwidth_limit(std::string_view text);

/// Options that both programs have.
struct HostConfig {
  RedisServer redis;
  std::string prefix;              ///< Put in front of every Redis key.
  std::optional<Address> address;  ///< Nothing: the local address of the connection to Redis.
  std::filesystem::path repo = "/data1/repo";
  std::string module = "repo";  ///< The rsync module that exports the repo, on every host.
  std::uint16_t rsync_port = 873;
  std::string rsync_user;                           ///< Empty: none.
  std::filesystem::path rsync_password_file;        ///< Empty: none.
  std::vector<Network> peers = private_networks();  ///< A source outside of these is refused.
  Duration linger{0};                               ///< 0: one pass.
  std::optional<unsigned> slots;                    ///< Nothing: see slots.h.
};

struct MinionConfig {
  HostConfig host;
  std::string bandwidth_limit;  ///< As rsync's --bwlimit; empty: none.
  std::string after_publish;    ///< Empty: none.
  /// How long a replaced version stays; nothing: until the run ends, ten minutes at most.
  std::optional<Duration> keep_replaced;
  Ownership ownership = Ownership::own;
  BasisRule basis = BasisRule::automatic;
};

/// The piece size: `auto`, `whole`, or a number of bytes.
struct PieceSize {
  enum class Kind { automatic, whole, fixed };
  Kind kind = Kind::automatic;
  std::uint64_t bytes = 0;  ///< Only if fixed.
};

/// Nothing, unless `text` is `auto`, `whole` or a SIZE.
[[nodiscard]] std::optional<PieceSize> parse_piece_size(std::string_view text);

/// Nothing, unless `text` is `auto`, `claims` or `trees`.
[[nodiscard]] std::optional<Spread> parse_spread(std::string_view text);

/// Nothing, unless `text` is `auto`, `same-name` or `none`.
[[nodiscard]] std::optional<BasisRule> parse_basis_rule(std::string_view text);

struct MasterConfig {
  HostConfig host;
  std::vector<std::filesystem::path> source_roots;
  std::size_t minions = 0;         ///< 0: not given.
  std::vector<Address> inventory;  ///< Empty: not given.
  PieceSize piece_size;
  Spread spread = Spread::automatic;
  std::optional<Address> push_to;            ///< The host that gets a push and is the origin.
  std::string push_module = "libsync-push";  ///< Its writable rsync module.
  /// With one of these, the run may end without every host. Each that is given must hold.
  std::optional<unsigned> quorum_percent;
  std::optional<Duration> deadline;
  Duration grace =
      std::chrono::minutes(15);  ///< Longest time that a run goes on while a task waits.
};

/// The addresses of an inventory: one on each line, `#` begins a comment. The refusal names the
/// line that is no address.
[[nodiscard]] std::variant<std::vector<Address>, Refusal> parse_inventory(std::string_view text);

}  // namespace libsync
