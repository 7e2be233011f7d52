#pragma once

// Where Redis is and as whom we speak to it: `--redis` and `--redis-password-file`, checked.

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
  std::string socket;  ///< Path of a unix socket.
  unsigned database = 0;
  std::string user;      ///< Empty: the default user.
  std::string password;  ///< Never shown, never logged.

  /// `redis://[user@]host[:port][/db]` or `unix:///path[?db=N]`; no password in it, since command
  /// lines are public.
  [[nodiscard]] static std::variant<RedisServer, Refusal> parse(std::string_view url);

  /// For messages: the URL, without the password.
  [[nodiscard]] std::string shown() const;
};

}  // namespace libsync
