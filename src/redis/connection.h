#pragma once

// One connection to Redis, with its answers as values.
//
// connection.cpp is the only file that sees hiredis. The first use connects, authenticates and
// selects the database. Connecting and every command are limited to two seconds each. The addresses
// of a name share that time. Each is tried, those of IPv4 first.
//
// After any break the next use makes a new connection. hiredis cannot use a context that has
// failed, and its own redisReconnect forgets the time limit of commands. Arguments go out by length
// and never pass through a format string.
//
// Errors: Failure (redis) means that the connection or the server as a whole is unusable. An error
// that a command or a function answers is a value. A connection belongs to one thread.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "libsync/core/redis_server.h"

struct redisReply;

namespace libsync {

/// An error answer, as Redis worded it.
struct RedisError {
  std::string text;
};

/// An answer of Redis: nil, a number, a text (bulk or status), an error, or an array of these.
struct RedisValue {
  using Array = std::vector<RedisValue>;
  std::variant<std::monostate, std::int64_t, std::string, RedisError, Array> value;

  [[nodiscard]] const std::string* text() const { return std::get_if<std::string>(&value); }
  [[nodiscard]] const std::int64_t* number() const { return std::get_if<std::int64_t>(&value); }
  [[nodiscard]] const Array* array() const { return std::get_if<Array>(&value); }
  [[nodiscard]] const RedisError* error() const { return std::get_if<RedisError>(&value); }
};

/// Nesting of an answer. Ours are flatter, and hiredis itself stops at 7.
inline constexpr int kDeepestAnswer = 8;

/// The answer that hiredis has read, as a value. An error stands for what lies deeper than `depth`.
[[nodiscard]] RedisValue to_value(const redisReply& reply, int depth = kDeepestAnswer);

/// How to give the users of a server the rules of this version.
inline constexpr std::string_view kRulesWayOut =
    "give the users the rules of this version, as the server's administrator: "
    "sed -n 's/ >[^ ]*//; s/^user m/acl setuser m/p' "
    "/usr/share/doc/sync-fanout/examples/redis-users.conf | redis-cli";

/// The command and its arguments.
using RedisCommand = std::vector<std::string>;

class RedisConnection {
 public:
  /// Does not connect yet.
  explicit RedisConnection(RedisServer server);
  ~RedisConnection();
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;

  /// Sends a command and waits for its answer. After a break it connects again and sends the
  /// command once more, so the command must be safe to repeat. It does not repeat a command that
  /// Redis has not answered in time, because Redis may still be at work on it.
  [[nodiscard]] RedisValue ask(const RedisCommand& command);

  /// Sends a command without waiting. descriptor() becomes readable when the answer arrives. After
  /// a break the command is lost, and descriptor() is -1.
  void send(const RedisCommand& command);

  /// The answer to send(), if it has arrived. Never blocks. Nothing after a break, and descriptor()
  /// is -1.
  [[nodiscard]] std::optional<RedisValue> received();

  /// -1 when not connected.
  [[nodiscard]] int descriptor() const;

  /// The local address of the connection as text; nothing for a unix socket. Connects if needed.
  [[nodiscard]] std::optional<std::string> local_address();

  /// Closes the connection; the next use opens it again.
  void close();

 private:
  struct Context;

  void connect();
  // Nothing after a break, with its reason in last_fault_.
  [[nodiscard]] std::optional<RedisValue> try_ask(const RedisCommand& command);
  void append(const RedisCommand& command);

  RedisServer server_;
  std::unique_ptr<Context> context_;
  std::string last_fault_;
  bool has_timed_out_ = false;  // The last fault was a Redis that did not answer in time.
  RedisCommand sent_;           // By send().
};

}  // namespace libsync
