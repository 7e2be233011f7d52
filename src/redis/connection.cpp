#include "redis/connection.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"

namespace libsync {
namespace {

// A healthy Redis answers in less than a millisecond. One that needs two seconds counts as
// unreachable, because the caller has other work meanwhile. A guard, not tuned.
constexpr timeval kConnectLimit{2, 0};
constexpr timeval kCommandLimit{2, 0};

// The least part of kConnectLimit that each address of a name gets. In a data centre a host answers
// in less than 10 ms. A guard, not tuned.
constexpr long kLeastPartUs = 250'000;

struct ReplyDeleter {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, ReplyDeleter>;

using Redis = std::unique_ptr<redisContext, decltype(&redisFree)>;

// The addresses of a host name. Nothing, and the reason in `fault`, if it has none. IPv4 comes
// first, as with hiredis: the local end of the connection is the address of a host without
// --address.
std::vector<std::string> addresses_of(const std::string& host, std::string& fault) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* raw = nullptr;
  const int error = getaddrinfo(host.c_str(), nullptr, &hints, &raw);
  if (error != 0) {
    fault = gai_strerror(error);
    return {};
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> found(raw, &freeaddrinfo);
  std::vector<std::string> all;
  for (const auto* next = found.get(); next != nullptr; next = next->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (getnameinfo(next->ai_addr, next->ai_addrlen, text.data(), text.size(), nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      all.emplace_back(text.data());
    }
  }
  std::stable_partition(all.begin(), all.end(), [](const std::string& address) {
    return address.find(':') == std::string::npos;
  });
  return all;
}

// Null, and the reason in `fault`, if the connection has failed.
Redis checked(redisContext* raw, std::string& fault) {
  Redis redis(raw, &redisFree);
  if (raw != nullptr && raw->err == 0) return redis;
  fault = raw == nullptr ? "no memory" : escaped(raw->errstr);
  return {nullptr, &redisFree};
}

// Tries every address of the name. hiredis itself would try IPv6 only for a name without IPv4.
Redis open_tcp(const RedisServer& server, std::string& fault) {
  const auto addresses = addresses_of(server.host, fault);
  const auto count = static_cast<long>(std::max<std::size_t>(1, addresses.size()));
  const long part = std::max(kLeastPartUs, kConnectLimit.tv_sec * 1'000'000 / count);
  std::string faults;
  for (const auto& address : addresses) {
    auto redis = checked(
        redisConnectWithTimeout(address.c_str(), server.port, {part / 1'000'000, part % 1'000'000}),
        fault);
    if (redis) return redis;
    if (count > 1) fault = address + ": " + fault;
    faults += faults.empty() ? fault : ", " + fault;
  }
  if (!faults.empty()) fault = faults;
  return {nullptr, &redisFree};
}

Redis open_socket(const RedisServer& server, std::string& fault) {
  return checked(redisConnectUnixWithTimeout(server.socket.c_str(), kConnectLimit), fault);
}

// An error about the server and not about the command: every other command would fail, too.
struct ServerError {
  std::string_view prefix;
  Remedy remedy;
  std::string_view way_out;
};

constexpr std::array kServerErrors = {
    ServerError{"NOAUTH", Remedy::operator_acts, "name its password with --redis-password-file"},
    ServerError{"WRONGPASS", Remedy::operator_acts,
                "correct --redis-password-file, or the user in --redis"},
    ServerError{"ERR invalid password", Remedy::operator_acts, "correct --redis-password-file"},
    ServerError{"ERR AUTH", Remedy::operator_acts, "correct --redis-password-file"},
    ServerError{"ERR Client sent AUTH", Remedy::operator_acts, "drop --redis-password-file"},
    ServerError{"NOPERM", Remedy::operator_acts, kRulesWayOut},
    ServerError{"ERR DB index", Remedy::operator_acts, "correct the db in --redis"},
    ServerError{"ERR unknown command", Remedy::operator_acts,
                "use Redis 7 or newer, or Valkey: older ones have no functions"},
    ServerError{"LOADING", Remedy::try_again, "it is starting: this passes by itself"},
    ServerError{"BUSY", Remedy::try_again, "a script holds it up: see SLOWLOG, SCRIPT KILL"},
    ServerError{"MASTERDOWN", Remedy::try_again, "name the server that is the master"},
    ServerError{"UNBLOCKED", Remedy::try_again, "it has become a replica: this passes by itself"},
    ServerError{"READONLY", Remedy::try_again, "name the server that is the master with --redis"},
    ServerError{"OOM", Remedy::try_again, "raise its maxmemory; its policy must be noeviction"},
    ServerError{"MISCONF", Remedy::try_again, "its disk is full or failing: free space there"},
    ServerError{"NOREPLICAS", Remedy::try_again, "bring its replicas back"},
    ServerError{"ERR max number of clients", Remedy::try_again, "raise its maxclients"},
};

// Redis names the key in no refusal, and the command in some. A function names both.
std::string named(const RedisError& error, const RedisCommand& command) {
  const bool is_complete = !error.text.starts_with("NOPERM this user");
  if (is_complete || command.size() < 2) return escaped(error.text);
  return fmt::format("{} ({} {})", escaped(error.text), command[0], escaped(command[1]));
}

void throw_if_about_server(const RedisValue& value, const RedisServer& server,
                           const RedisCommand& command) {
  const auto* const error = value.error();
  if (error == nullptr) return;
  for (const auto& known : kServerErrors) {
    if (error->text.starts_with(known.prefix)) {
      throw Failure(ExitStatus::redis, known.remedy,
                    fmt::format("Redis at {} refuses: {}: {}", server.shown(),
                                named(*error, command), known.way_out));
    }
  }
}

}  // namespace

RedisValue to_value(const redisReply& reply, int depth) {
  if (depth <= 0) return {RedisError{"an answer nested too deeply"}};
  switch (reply.type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      return {std::string(reply.str, static_cast<std::size_t>(reply.len))};
    case REDIS_REPLY_INTEGER:
      return {static_cast<std::int64_t>(reply.integer)};
    case REDIS_REPLY_ERROR:
      return {RedisError{std::string(reply.str, static_cast<std::size_t>(reply.len))}};
    case REDIS_REPLY_ARRAY: {
      RedisValue::Array array;
      array.reserve(reply.elements);
      for (std::size_t i = 0; i < reply.elements; ++i) {
        array.push_back(to_value(*reply.element[i], depth - 1));
      }
      return {std::move(array)};
    }
    default:
      return {std::monostate{}};
  }
}

struct RedisConnection::Context {
  Redis redis;
};

RedisConnection::RedisConnection(RedisServer server) : server_(std::move(server)) {}
RedisConnection::~RedisConnection() = default;

void RedisConnection::connect() {
  std::string fault;
  auto redis = server_.socket.empty() ? open_tcp(server_, fault) : open_socket(server_, fault);
  if (!redis) {
    throw Failure(ExitStatus::redis, Remedy::try_again,
                  fmt::format("Redis at {} is out of reach: {}: start it, or correct --redis",
                              server_.shown(), fault));
  }
  auto* const raw = redis.get();
  // A unix socket has no keep-alive, because its other end is on this host.
  if (redisSetTimeout(raw, kCommandLimit) != REDIS_OK ||
      (server_.socket.empty() && redisEnableKeepAlive(raw) != REDIS_OK)) {
    throw Failure(ExitStatus::redis, Remedy::try_again, "cannot set up the connection to Redis");
  }
  context_ = std::make_unique<Context>(Context{std::move(redis)});
  std::vector<RedisCommand> greetings;
  if (!server_.user.empty()) {
    greetings.push_back({"AUTH", server_.user, server_.password});
  } else if (!server_.password.empty()) {
    greetings.push_back({"AUTH", server_.password});
  }
  if (server_.database != 0) greetings.push_back({"SELECT", std::to_string(server_.database)});
  for (const auto& greeting : greetings) {
    const auto answer = try_ask(greeting);
    if (answer && answer->error() == nullptr) continue;
    close();
    if (answer) throw_if_about_server(*answer, server_, {greeting.front()});
    throw Failure(ExitStatus::redis, Remedy::try_again,
                  fmt::format("Redis at {} rejects the log-in: {}", server_.shown(),
                              answer ? escaped(answer->error()->text) : last_fault_));
  }
}

void RedisConnection::append(const RedisCommand& command) {
  std::vector<const char*> arguments;
  std::vector<std::size_t> lengths;
  arguments.reserve(command.size());
  lengths.reserve(command.size());
  for (const auto& argument : command) {
    arguments.push_back(argument.data());
    lengths.push_back(argument.size());
  }
  redisAppendCommandArgv(context_->redis.get(), static_cast<int>(command.size()), arguments.data(),
                         lengths.data());
}

std::optional<RedisValue> RedisConnection::try_ask(const RedisCommand& command) {
  append(command);
  void* raw = nullptr;
  if (redisGetReply(context_->redis.get(), &raw) != REDIS_OK || raw == nullptr) {
    // hiredis reports an expired time limit as EAGAIN of the socket.
    has_timed_out_ = context_->redis->err == REDIS_ERR_IO && errno == EAGAIN;
    last_fault_ = has_timed_out_ ? "no answer within 2 s" : escaped(context_->redis->errstr);
    close();
    return std::nullopt;
  }
  const Reply reply(static_cast<redisReply*>(raw));
  return to_value(*reply);
}

RedisValue RedisConnection::ask(const RedisCommand& command) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (!context_) connect();
    if (auto answer = try_ask(command)) {
      throw_if_about_server(*answer, server_, command);
      return std::move(*answer);
    }
    // Redis may still be at work on it.
    if (has_timed_out_) break;
  }
  throw Failure(
      ExitStatus::redis, Remedy::try_again,
      fmt::format("Redis at {} broke off: {}: see its log", server_.shown(), last_fault_));
}

void RedisConnection::send(const RedisCommand& command) {
  if (!context_) connect();
  sent_ = command;
  append(command);
  int done = 0;
  while (done == 0) {
    if (redisBufferWrite(context_->redis.get(), &done) != REDIS_OK) {
      last_fault_ = escaped(context_->redis->errstr);
      close();
      return;
    }
  }
}

std::optional<RedisValue> RedisConnection::received() {
  if (!context_) return std::nullopt;
  pollfd readable{context_->redis->fd, POLLIN, 0};
  void* raw = nullptr;
  if (redisGetReplyFromReader(context_->redis.get(), &raw) != REDIS_OK) {
    close();
    return std::nullopt;
  }
  if (raw == nullptr && poll(&readable, 1, 0) == 1) {
    if (redisBufferRead(context_->redis.get()) != REDIS_OK ||
        redisGetReplyFromReader(context_->redis.get(), &raw) != REDIS_OK) {
      close();
      return std::nullopt;
    }
  }
  if (raw == nullptr) return std::nullopt;
  const Reply reply(static_cast<redisReply*>(raw));
  auto answer = to_value(*reply);
  throw_if_about_server(answer, server_, sent_);
  return answer;
}

int RedisConnection::descriptor() const { return context_ ? context_->redis->fd : -1; }

std::optional<std::string> RedisConnection::local_address() {
  if (!server_.socket.empty()) return std::nullopt;
  if (!context_) connect();
  sockaddr_storage local{};
  socklen_t length = sizeof local;
  if (getsockname(context_->redis->fd, reinterpret_cast<sockaddr*>(&local), &length) != 0) {
    return std::nullopt;
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* const bytes =
      local.ss_family == AF_INET6
          ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(&local)->sin6_addr)
          : static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(&local)->sin_addr);
  if (inet_ntop(local.ss_family, bytes, text.data(), text.size()) == nullptr) return std::nullopt;
  return std::string(text.data());
}

void RedisConnection::close() { context_.reset(); }

}  // namespace libsync
