#pragma once

// The address of Redis and the user that logs in there: `--redis` and `--redis-password-file`.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "libsync/core/task.h"

namespace libsync {

struct RedisServer {
  std::string host = "127.0.0.1";  ///< A name or an address; empty for a unix socket.
  std::uint16_t port = 6379;
  std::string socket;  ///< The absolute path of a unix socket; empty for TCP.
  unsigned database = 0;
  std::string user;      ///< Empty: the default user.
  std::string password;  ///< Empty: none. No message ever shows it.

  /// Accepts `redis://[user@]host[:port][/[db]]` and `unix:///path[?db=N]`. A URL with a password
  /// is refused, because every user of the machine can read command lines.
  [[nodiscard]] static std::variant<RedisServer, Refusal> parse(std::string_view url);

  /// The URL for messages, without the password.
  [[nodiscard]] std::string shown() const;
};

}  // namespace libsync
