#include "redis/server_facts.h"

#include <fmt/format.h>

#include "libsync/core/escaped_text.h"
#include "libsync/core/lines.h"
#include "redis/answer.h"
#include "redis/connection.h"

namespace libsync {
namespace {

// The value of a field in INFO: lines of NAME:VALUE, which end with \r\n.
std::optional<std::string_view> field_of(std::string_view info, std::string_view name) {
  for (const auto whole : lines_of(info)) {
    const auto line = trimmed(whole);
    if (line.starts_with(name) && line.substr(name.size()).starts_with(":")) {
      return line.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

RightsAnswer read_rights(const RedisValue& answer) {
  AnswerReader reader(answer);
  if (reader.text() != "RIGHTS") throw_not_understood("the answer to rights");
  RightsAnswer rights{.digest = reader.text()};
  rights.version = escaped(reader.text());
  while (!reader.at_end()) rights.missing.push_back(escaped(reader.text()));
  return rights;
}

// Nothing if Redis has no such function.
std::optional<RightsAnswer> ask_rights(RedisConnection& redis, const std::string& prefix,
                                       Role role) {
  const auto answer = redis.ask({"FCALL", fmt::format("{}_rights", kLibrary), "0", prefix, "",
                                 role == Role::master ? "master" : "minion"});
  const auto* const error = answer.error();
  if (error == nullptr) return read_rights(answer);
  if (error->text.find("Function not found") == std::string::npos) {
    throw_not_understood(escaped(error->text));
  }
  // Before its first tick a master needs these two. Redis refuses to load a text that is empty.
  if (role == Role::master) {
    static_cast<void>(redis.ask({"FUNCTION", "LIST", "LIBRARYNAME", std::string(kLibrary)}));
    static_cast<void>(redis.ask({"FUNCTION", "LOAD", ""}));
  }
  return std::nullopt;
}

Eviction ask_eviction(RedisConnection& redis) {
  const auto answer = redis.ask({"INFO", "memory"});
  if (const auto* const text = answer.text()) {
    if (auto eviction = read_eviction(*text)) return *std::move(eviction);
  }
  throw_not_understood("the answer to INFO memory");
}

}  // namespace

std::optional<Eviction> read_eviction(std::string_view info) {
  const auto policy = field_of(info, "maxmemory_policy");
  if (!policy) return std::nullopt;
  const auto limit = field_of(info, "maxmemory").value_or("");
  return Eviction{escaped(*policy), parse_number<std::uint64_t>(limit).value_or(0)};
}

ServerFacts server_facts(const RedisCoordinatorOptions& options, Role role) {
  ServerFacts facts;
  RedisConnection redis(options.server);
  try {
    // A server without users refuses the first command, not the log-in.
    static_cast<void>(redis.local_address());
    static_cast<void>(redis.ask({"PING"}));
  } catch (const Failure& failure) {
    facts.connect_fault = failure;
    return facts;
  }
  try {
    facts.rights = ask_rights(redis, options.prefix, role);
  } catch (const Failure& failure) {
    facts.rights_fault = failure;
  }
  try {
    facts.eviction = ask_eviction(redis);
  } catch (const Failure& failure) {
    facts.eviction_fault = failure;
  }
  return facts;
}

}  // namespace libsync
