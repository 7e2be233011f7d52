#pragma once

// What the command line and the configuration file say, checked and in types.
//
// The mains fill these; nothing else reads a flag. Durations and sizes are parsed here, because
// their spelling is the same everywhere.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libsync/core/address.h"
#include "libsync/core/ownership.h"
#include "libsync/core/redis_server.h"
#include "libsync/core/spread.h"
#include "libsync/core/time.h"

namespace libsync {

/// An integer with ms, s, m or h; bare, it is seconds. At most a year.
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text);

/// An integer with K, M or G (powers of 1024); bare, it is bytes. At least 1.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

/// What both programs need.
struct HostConfig {
  RedisServer redis;
  std::string prefix;
  std::optional<Address> address;
  std::filesystem::path repo = "/data1/repo";
  std::string module = "repo";
  std::uint16_t rsync_port = 873;
  std::string rsync_user;
  std::filesystem::path rsync_password_file;
  std::vector<Network> peers = private_networks();
  Duration linger{0};
  std::optional<unsigned> slots;
};

struct MinionConfig {
  HostConfig host;
  std::string bandwidth_limit;
  std::string after_publish;
  Ownership ownership = Ownership::own;
};

/// How a payload is cut: `auto`, `whole`, or bytes.
struct PieceSize {
  enum class Kind { automatic, whole, fixed };
  Kind kind = Kind::automatic;
  std::uint64_t bytes = 0;  ///< If fixed.
};

/// Nothing, unless `text` is `auto`, `whole` or a SIZE.
[[nodiscard]] std::optional<PieceSize> parse_piece_size(std::string_view text);

/// Nothing, unless `text` is `auto`, `claims` or `trees`.
[[nodiscard]] std::optional<Spread> parse_spread(std::string_view text);

struct MasterConfig {
  HostConfig host;
  std::vector<std::filesystem::path> source_roots;
  std::size_t minions = 0;         ///< `--minions`; 0: not given.
  std::vector<Address> inventory;  ///< `--inventory`; empty: not given.
  PieceSize piece_size;
  Spread spread = Spread::automatic;
  std::optional<Address> push_to;
  std::string push_module = "libsync-push";
  std::optional<unsigned> quorum_percent;
  std::optional<Duration> deadline;
  Duration grace = std::chrono::minutes(15);
};

/// The addresses of an inventory: one a line, `#` begins a comment. The refusal names the line.
[[nodiscard]] std::variant<std::vector<Address>, Refusal> parse_inventory(std::string_view text);

}  // namespace libsync
