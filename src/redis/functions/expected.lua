
-- The functions that the master calls, and first what they share: the hosts that a run waits for.
--
-- sync:run expected holds the rule:
--
--   named   the hosts of an inventory, and no others
--   N > 0   N hosts, whoever they are. A host beyond these counts only while it is not silent
--   0       the hosts seen when the run began, and those that join. A host that was silent for
--           SEEN_MS counts no more
--
-- Hosts that join are in sync:joined until the master judges them. sync:expected has the hosts that
-- count by name. sync:others has those that do not: by the rule `named` a host that is not in the
-- inventory, else a silent host. That one counts again once Redis hears of it.
--
-- A host that has another address by now (ids.lua) counts by that one alone, except by the rule
-- `named`.

local JUDGED_AT_ONCE = 500  -- Hosts that one call moves because they are silent, or no more.

local function is_named(k)
  return k.of ~= nil and k.of.expected == 'named'
end

-- The answers of HMGET or ZMSCORE about these members, as a table of member -> answer.
local function answers_of(command, key, members)
  local answers = {}
  for first = 1, #members, ARGUMENTS_AT_ONCE do
    local last = math.min(first + ARGUMENTS_AT_ONCE - 1, #members)
    local some = command(key, unpack(members, first, last))
    for i = first, last do answers[members[i]] = some[i - first + 1] end
  end
  return answers
end

local function values_of(key, fields)
  return answers_of(function(...) return redis.call('HMGET', ...) end, key, fields)
end

local function finish_times(k, hosts)
  return values_of(k.done, hosts)
end

local function times_seen(k, hosts)
  return answers_of(function(...) return redis.call('ZMSCORE', ...) end, k.minions, hosts)
end

local function set_of(members)
  local set = {}
  for _, member in ipairs(members) do set[member] = true end
  return set
end

-- Number of hosts that have finished and count.
local function finished_count(k)
  local finished = redis.call('HLEN', k.done)
  if finished == 0 then return 0 end
  local others = redis.call('SMEMBERS', k.others)
  for _, time in pairs(finish_times(k, others)) do
    if time then finished = finished - 1 end
  end
  return finished
end

-- Number of hosts that must finish.
local function expected_count(k)
  local hosts = redis.call('SCARD', k.expected)
  if is_named(k) then return hosts end
  return math.max(hosts + redis.call('SCARD', k.joined), tonumber(k.of and k.of.expected) or 0)
end

-- Those of the hosts that have another address by now, as a table of host -> true.
local function moved_among(k, hosts)
  local ids, known, moved = values_of(k.ids, hosts), {}, {}
  for _, id in pairs(ids) do known[#known + 1] = id or nil end
  local addresses = values_of(k.ids, known)
  for host, id in pairs(ids) do
    local at = id and addresses[id]
    if at and at ~= host then moved[host] = true end
  end
  return moved
end

-- Judges hosts that have joined, and those that have moved. A minion may have written anything into sync:joined.
local function admit(k, most)
  local hosts = redis.call('SPOP', k.joined, most)
  local moved = is_named(k) and {} or moved_among(k, hosts)
  for _, host in ipairs(hosts) do
    if #host <= ADDRESS_BYTES and string.match(host, '^[%x.:]+$') then
      if not is_named(k) then
        redis.call(moved[host] and 'SREM' or 'SADD', k.expected, host)
        redis.call('SREM', k.others, host)
      elseif redis.call('SISMEMBER', k.expected, host) == 0 then
        redis.call('SADD', k.others, host)
      end
    end
  end
  return #hosts
end

-- The silent ones among hosts, as a table of host -> true. A host that Redis has lost counts as seen
-- now.
local function silent_among(k, hosts)
  local silent, seen = {}, times_seen(k, hosts)
  local is_counted = tonumber(k.of.expected) and tonumber(k.of.expected) > 0
  for host, time in pairs(seen) do
    if not time then
      redis.call('ZADD', k.minions, 'NX', k.now, host)
    elseif k.now - time > SEEN_MS
           or is_counted and k.now - time > SILENT_MS and redis.call('SISMEMBER', k.ticking, host) == 1 then
      silent[host] = true
    end
  end
  return silent
end

-- Moves silent hosts to sync:others, and back those that are silent no more. Returns how many.
local function judge_silence(k)
  local moved = 0
  local expected, others = redis.call('SMEMBERS', k.expected), redis.call('SMEMBERS', k.others)
  for host in pairs(silent_among(k, expected)) do
    if moved < JUDGED_AT_ONCE and redis.call('HEXISTS', k.done, host) == 0 then
      redis.call('SREM', k.expected, host)
      redis.call('SADD', k.others, host)
      note(k, 'event', 'silent', 'host', host)
      moved = moved + 1
    end
  end
  local silent = silent_among(k, others)
  for _, host in ipairs(others) do
    if moved < JUDGED_AT_ONCE and (not silent[host] or redis.call('HEXISTS', k.done, host) == 1) then
      redis.call('SREM', k.others, host)
      redis.call('SADD', k.expected, host)
      moved = moved + 1
    end
  end
  return moved
end

-- Adds hosts of the run to sync:joined that neither key names, since one of the keys was lost. With
-- an inventory most named hosts may never come, so the sizes of the keys show nothing.
local function find_lost(k)
  local known_count = redis.call('SCARD', k.expected) + redis.call('SCARD', k.others)
  if not is_named(k) and known_count >= redis.call('HLEN', k.progress) then return end
  local known = set_of(redis.call('SMEMBERS', k.expected))
  for _, host in ipairs(redis.call('SMEMBERS', k.others)) do known[host] = true end
  for _, name in ipairs({'progress', 'done'}) do
    for _, host in ipairs(redis.call('HKEYS', k[name])) do
      if not known[host] then redis.call('SADD', k.joined, host) end
    end
  end
end

-- The hosts that a run waited for and that have not finished, sorted.
local function missing_of(k)
  local hosts, late = redis.call('SMEMBERS', k.expected), {}
  if not is_named(k) then
    for _, name in ipairs({'others', 'joined'}) do
      for _, host in ipairs(redis.call('SMEMBERS', k[name])) do hosts[#hosts + 1] = host end
    end
  end
  for host, time in pairs(finish_times(k, hosts)) do
    if not time then late[#late + 1] = host end
  end
  table.sort(late)
  return late
end

-- The hosts that Redis knows and that were silent before the run and since, sorted. With an
-- inventory or a number the operator has said which hosts count.
local function silent_of(k)
  local silent = {}
  if k.of.expected ~= '0' then return silent end
  local hosts = redis.call('ZRANGEBYSCORE', k.minions, k.now - FORGOTTEN_MS, k.now - SEEN_MS)
  local expected, others = set_of(redis.call('SMEMBERS', k.expected)), set_of(redis.call('SMEMBERS', k.others))
  for host, time in pairs(finish_times(k, hosts)) do
    if not (time or expected[host] or others[host]) then silent[#silent + 1] = host end
  end
  table.sort(silent)
  return silent
end

do

-- The master judges the hosts that have joined, and those that are silent. It calls again until none
-- is left.
--
--   Args:    run
--   Answers: ADMITTED hosts-that-are-left
local function admit_function(_, a)
  local k, now = call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  local left = 0
  admit(k, ADMITTED_AT_ONCE)
  if now - tonumber(redis.call('HGET', k.run, 'judged') or 0) >= MEND_MS then
    find_lost(k)
    if not is_named(k) then left = judge_silence(k) end
    if left < JUDGED_AT_ONCE then
      redis.call('HSET', k.run, 'judged', now)
      left = 0
    end
  end
  return {'ADMITTED', left + redis.call('SCARD', k.joined)}
end

-- From now on the run waits for these hosts.
--
--   Args:    run, rule (named, or a number), host …
--   Answers: EXPECTED
local function expect(_, a)
  local k = call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  if a[4] ~= k.of.expected then redis.call('HSET', k.run, 'expected', a[4]) end
  k.of.expected = a[4]
  while admit(k, ADMITTED_AT_ONCE) > 0 do end
  local wanted, now_expected = {}, redis.call('SMEMBERS', k.expected)
  for i = 5, #a do wanted[#wanted + 1] = a[i] end
  local is_wanted, is_expected, dropped = set_of(wanted), set_of(now_expected), {}
  for _, host in ipairs(now_expected) do
    if not is_wanted[host] then dropped[#dropped + 1] = host end
  end
  local progress, finished = values_of(k.progress, dropped), finish_times(k, dropped)
  local failed = values_of(k.errors, dropped)
  for _, host in ipairs(dropped) do
    local is_there = progress[host] or finished[host] or failed[host]
                     or redis.call('SISMEMBER', k.ticking, host) == 1
    if is_named(k) or not is_there then redis.call('SREM', k.expected, host) end
    if is_named(k) and is_there then redis.call('SADD', k.others, host) end
  end
  local is_other, moved = set_of(redis.call('SMEMBERS', k.others)), moved_among(k, wanted)
  for _, host in ipairs(wanted) do
    if is_named(k) and is_other[host] then redis.call('SREM', k.others, host) end
    if not is_expected[host] and (is_named(k) or not (is_other[host] or moved[host])) then redis.call('SADD', k.expected, host) end
  end
  redis.call('HSET', k.run, 'judged', 0)
  return {'EXPECTED'}
end

-- The hosts that the run waits for.
--
--   Args:    none
--   Answers: AWAITED '' if there is no run
--            AWAITED run finished expected number-of-missing missing-host … known-silent-host …
local function awaited(_, a)
  local k = reading_call_of(a)
  if not k.of then return {'AWAITED', ''} end
  local missing = missing_of(k)
  local answer = {'AWAITED', k.of.id, finished_count(k), expected_count(k), #missing}
  for _, hosts in ipairs({missing, silent_of(k)}) do
    for _, host in ipairs(hosts) do answer[#answer + 1] = host end
  end
  return answer
end

register('expect', expect)
register('admit', admit_function)
register('awaited', awaited, {'no-writes'})

end
