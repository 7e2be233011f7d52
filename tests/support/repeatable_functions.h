#pragma once

// The functions as a run that must replay loads them. A caller passes the clock of Redis. Random
// draws depend on a seed alone, and Redis returns hashes and sets in the order of their names. An
// unread wake-up does not expire, because the time of its expiry is real.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "timed_functions.h"

namespace libsync::test {

/// The text of the functions with two lines replaced.
[[nodiscard]] inline std::string repeatable_functions(std::uint64_t seed, std::string source) {
  constexpr std::string_view kLine = "\nlocal function server() return redis end\n";
  constexpr std::string_view kServer = R"lua(
local server
do
  local is_seeded = false

  local function sorted(call, command, key)
    local members = call(command, key)
    table.sort(members)
    return members
  end

  -- Up to `count` members at random.
  local function drawn(members, count)
    count = math.min(count, #members)
    for i = 1, count do
      local other = math.random(i, #members)
      members[i], members[other] = members[other], members[i]
    end
    for i = #members, count + 1, -1 do members[i] = nil end
    return members
  end

  local function with_values(call, key, fields)
    local all = {}
    for i, field in ipairs(fields) do all[2 * i - 1], all[2 * i] = field, call('HGET', key, field) end
    return all
  end

  local instead = {
    HGETALL = function(call, key) return with_values(call, key, sorted(call, 'HKEYS', key)) end,
    HKEYS = function(call, key) return sorted(call, 'HKEYS', key) end,
    SMEMBERS = function(call, key) return sorted(call, 'SMEMBERS', key) end,
    SRANDMEMBER = function(call, key, count) return drawn(sorted(call, 'SMEMBERS', key), count) end,
    SPOP = function(call, key, count)
      local members = drawn(sorted(call, 'SMEMBERS', key), count)
      if #members > 0 then call('SREM', key, unpack(members)) end
      return members
    end,
    HRANDFIELD = function(call, key, count, is_with_values)
      local fields = drawn(sorted(call, 'HKEYS', key), count)
      return is_with_values and with_values(call, key, fields) or fields
    end,
    EXPIRE = function(call, key, seconds)
      return tonumber(seconds) > 0 and 1 or call('EXPIRE', key, seconds)
    end}

  server = function()
    local call = redis.call
    if not is_seeded then math.randomseed(SEED) end
    is_seeded = true
    return {call = function(command, key, ...)
      local other = instead[command]
      if other then return other(call, key, ...) end
      return call(command, key, ...)
    end, pcall = redis.pcall}
  end
end
)lua";
  std::string text = timed_functions(CallersTime::clock, std::move(source));
  const auto at = text.find(kLine);
  if (at == std::string::npos) throw std::logic_error("the functions have no line to replace");
  std::string with(kServer);
  constexpr std::string_view kSeed = "SEED";
  // Redis draws from 31 bits.
  with.replace(with.find(kSeed), kSeed.size(), std::to_string(seed % 0x7fffffffU));
  return text.replace(at, kLine.size(), with);
}

}  // namespace libsync::test
