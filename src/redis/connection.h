#pragma once

// One connection to Redis, and what it answers, as values.
//
// redis_connection.cpp is the only file that sees hiredis. It connects when it is first needed,
// with bounded times for connecting and for every command; it authenticates, selects the database,
// and connects again after any break: hiredis cannot use a context that has failed, and its own
// redisReconnect forgets the command's time limit. Arguments go out by length, never through a
// format string.
//
// Not thread-safe. Failure (redis) for everything that is wrong with the connection or with the
// server as a whole; an error that a command or a function answers is a value.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libsync/core/redis_server.h"

namespace libsync {

struct RedisError {
  std::string text;
};

/// What Redis answered: nil, a number, a text (bulk or status), an error, or an array of these.
struct RedisValue {
  using Array = std::vector<RedisValue>;
  std::variant<std::monostate, std::int64_t, std::string, RedisError, Array> value;

  [[nodiscard]] const std::string* text() const { return std::get_if<std::string>(&value); }
  [[nodiscard]] const std::int64_t* number() const { return std::get_if<std::int64_t>(&value); }
  [[nodiscard]] const Array* array() const { return std::get_if<Array>(&value); }
  [[nodiscard]] const RedisError* error() const { return std::get_if<RedisError>(&value); }
};

using RedisCommand = std::vector<std::string>;

class RedisConnection {
 public:
  explicit RedisConnection(RedisServer server);
  ~RedisConnection();
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;

  /// Sends a command and waits for its answer. If the connection broke, it is made anew and the
  /// command sent once more: so only commands that may be repeated go through here.
  [[nodiscard]] RedisValue ask(const RedisCommand& command);

  /// Sends a command whose answer will come some time later; descriptor() is then readable.
  void send(const RedisCommand& command);

  /// The answer to what was sent, if it is here; never blocks. After a break: nothing, and
  /// descriptor() is -1.
  [[nodiscard]] std::optional<RedisValue> received();

  /// -1 when not connected.
  [[nodiscard]] int descriptor() const;

  /// The local address of the connection, as text; nothing for a unix socket.
  [[nodiscard]] std::optional<std::string> local_address();

  /// Closes the connection; the next use opens it again.
  void close();

 private:
  struct Context;

  void connect();
  [[nodiscard]] std::optional<RedisValue> try_ask(const RedisCommand& command);
  void append(const RedisCommand& command);

  RedisServer server_;
  std::unique_ptr<Context> context_;
  std::string last_fault_;
};

}  // namespace libsync
