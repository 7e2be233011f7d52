
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

-- Other files of functions use these.
local is_named, finished_count, expected_count, moved_among

do  -- Lua has room for 200 local names outside of blocks.

local JUDGED_AT_ONCE = 500  -- Hosts that one call moves because they are silent, or no more.

function is_named(k)
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

-- Number of hosts that have finished and count.
function finished_count(k)
  local finished = redis.call('HLEN', k.done)
  if finished == 0 then return 0 end
  local others = redis.call('SMEMBERS', k.others)
  for _, time in pairs(finish_times(k, others)) do
    if time then finished = finished - 1 end
  end
  return finished
end

-- Number of hosts that must finish.
function expected_count(k)
  local hosts = redis.call('SCARD', k.expected)
  if is_named(k) then return hosts end
  return math.max(hosts + redis.call('SCARD', k.joined), math.min(number_of(k.of and k.of.expected), MAX_HOSTS))
end

-- Those of the hosts that have another address by now, as a table of host -> true.
function moved_among(k, hosts)
  local ids, known, moved = values_of(k.ids, hosts), {}, {}
  for _, id in pairs(ids) do known[#known + 1] = id or nil end
  local addresses = values_of(k.ids, known)
  for host, id in pairs(ids) do
    local at = id and addresses[id]
    if at and at ~= host then moved[host] = true end
  end
  return moved
end

-- Judges hosts that have joined, and those that have moved. A minion may have written anything into
-- sync:joined.
local function admit(k, most)
  local hosts, addresses = redis.call('SPOP', k.joined, most), {}
  for _, host in ipairs(hosts) do
    if #host <= ADDRESS_BYTES and string.match(host, '^[%x.:]+$') then addresses[#addresses + 1] = host end
  end
  if #addresses == 0 then return end
  if not is_named(k) then
    local moved, here, elsewhere = moved_among(k, addresses), {}, {}
    for _, host in ipairs(addresses) do
      local list = moved[host] and elsewhere or here
      list[#list + 1] = host
    end
    call_with('SADD', k.expected, here)
    call_with('SREM', k.expected, elsewhere)
    redis.call('SREM', k.others, unpack(addresses))
    return
  end
  local named = redis.call('SMISMEMBER', k.expected, unpack(addresses))
  for i, host in ipairs(addresses) do
    if named[i] == 0 then redis.call('SADD', k.others, host) end
  end
end

-- The silent ones among hosts, as a table of host -> true. A host that Redis has lost counts as seen
-- now.
local function silent_among(k, hosts)
  local silent, seen = {}, times_seen(k, hosts)
  local is_counted = number_of(k.of.expected) > 0
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

-- Moves those of these hosts to sync:others that are silent, and back those that are silent no more.
local function judge_silence(k, name, hosts)
  local silent, finished, moved = silent_among(k, hosts), finish_times(k, hosts), {}
  local to = name == 'expected' and 'others' or 'expected'
  for _, host in ipairs(hosts) do
    local is_away = silent[host] and not finished[host]
    if (name == 'expected') == (is_away or false) then
      moved[#moved + 1] = host
      if is_away then note(k, 'event', 'silent', 'host', host) end
    end
  end
  if #moved == 0 then return end
  redis.call('SREM', k[name], unpack(moved))
  redis.call('SADD', k[to], unpack(moved))
end

-- Adds those of these hosts of the run to sync:joined that neither key names, since one was lost.
local function find_lost(k, hosts)
  local expected = redis.call('SMISMEMBER', k.expected, unpack(hosts))
  local others = redis.call('SMISMEMBER', k.others, unpack(hosts))
  for i, host in ipairs(hosts) do
    if expected[i] == 0 and others[i] == 0 then redis.call('SADD', k.joined, host) end
  end
end

-- The lists that the master walks when it judges, in this order. With an inventory most named hosts
-- may never come. So the sizes of the keys do not show that one was lost, and silence counts nothing.
local FIRST_TO_LAST = {progress = 'done', done = 'expected', expected = 'others', others = 'none'}

-- The list after `name` that the master has to walk, or nil. The first is after nil.
local function list_after(k, name)
  if not name then
    local known_count = redis.call('SCARD', k.expected) + redis.call('SCARD', k.others)
    name = not is_named(k) and known_count >= redis.call('HLEN', k.progress) and 'expected' or 'progress'
  else
    name = FIRST_TO_LAST[name]
  end
  if name == 'none' or is_named(k) and (name == 'expected' or name == 'others') then return nil end
  return name
end

-- Judges a page of a list. Returns how many hosts were on it, and the next cursor.
local function judge_page(k, name, cursor)
  local is_hash = name == 'progress' or name == 'done'
  local page = redis.call(is_hash and 'HSCAN' or 'SSCAN', k[name], cursor, 'COUNT', JUDGED_AT_ONCE)
  local hosts = {}
  for i = 1, #page[2], is_hash and 2 or 1 do hosts[#hosts + 1] = page[2][i] end
  if #hosts > 0 then
    if is_hash then find_lost(k, hosts) else judge_silence(k, name, hosts) end
  end
  return #hosts, page[1]
end

-- The master judges the hosts that have joined, and some of those that may be silent or lost. It
-- calls again until it has judged all of them.
--
--   Args:    run, page (that of the last answer; '' in the first call)
--   Answers: ADMITTED joined-hosts-that-are-left page    without a page after the last one
local function admit_function(_, a)
  local k, now = call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  admit(k, ADMITTED_AT_ONCE)
  local name, cursor = string.match(a[4] or '', '^(%l+) (%d+)$')
  if not (name and FIRST_TO_LAST[name]) then
    name, cursor = nil, '0'
    if now - number_of(redis.call('HGET', k.run, 'judged')) >= MEND_MS then
      redis.call('HSET', k.run, 'judged', now)
      name = list_after(k, nil)
    end
  end
  local judged, more = 0, nil
  while name and judged < JUDGED_AT_ONCE do
    more, cursor = judge_page(k, name, cursor)
    judged = judged + more
    if cursor == '0' then name = list_after(k, name) end
  end
  local left = redis.call('SCARD', k.joined)
  if name then return {'ADMITTED', left, name .. ' ' .. cursor} end
  return {'ADMITTED', left}
end

-- Those of these hosts that have been in the run.
local function active_among(k, hosts)
  local active = set_of({})
  local function add(answers, is_none)
    local rest = {}
    for i, host in ipairs(hosts) do
      if answers[i] == is_none then rest[#rest + 1] = host else active[host] = true end
    end
    hosts = rest
  end
  for _, name in ipairs({'progress', 'done', 'errors'}) do
    if #hosts > 0 then add(redis.call('HMGET', k[name], unpack(hosts)), false) end
  end
  if #hosts > 0 then add(redis.call('SMISMEMBER', k.ticking, unpack(hosts)), 0) end
  return active
end

-- Expects none of these hosts any more. By the rule `named` those that have been in the run become
-- others, else these stay expected.
local function drop(k, hosts)
  local active, dropped, others = active_among(k, hosts), {}, {}
  for _, host in ipairs(hosts) do
    if is_named(k) or not active[host] then dropped[#dropped + 1] = host end
    if is_named(k) and active[host] then others[#others + 1] = host end
  end
  if #others > 0 then redis.call('SADD', k.others, unpack(others)) end
  if #dropped > 0 then redis.call('SREM', k.expected, unpack(dropped)) end
end

-- From now on the run expects hosts by this rule, and it expects these hosts, or none of them any
-- more. The master compares the lists, and passes CHANGED_AT_ONCE hosts at most.
--
--   Args:    run, rule (named, or a number), add or drop, host …
--   Answers: EXPECTED
local function expect(_, a)
  local k = call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  if a[4] ~= k.of.expected then redis.call('HSET', k.run, 'expected', a[4]) end
  k.of.expected = a[4]
  admit(k, ADMITTED_AT_ONCE)
  local hosts = {unpack(a, 6, math.min(#a, 5 + CHANGED_AT_ONCE))}
  if #hosts > 0 and a[5] == 'drop' then
    drop(k, hosts)
  elseif #hosts > 0 then
    -- A silent host counts again once Redis hears of it.
    local are_others, added = redis.call('SMISMEMBER', k.others, unpack(hosts)), {}
    local moved = is_named(k) and {} or moved_among(k, hosts)
    for i, host in ipairs(hosts) do
      if is_named(k) or are_others[i] == 0 and not moved[host] then added[#added + 1] = host end
    end
    call_with('SADD', k.expected, added)
    call_with('SREM', k.others, added)
  end
  redis.call('HSET', k.run, 'judged', 0)
  return {'EXPECTED'}
end

-- How many hosts the run waits for. The function hosts lists them.
--
--   Args:    none
--   Answers: AWAITED '' if there is no run
--            AWAITED run finished expected rule
local function awaited(_, a)
  local k = reading_call_of(a)
  if not k.of then return {'AWAITED', ''} end
  return {'AWAITED', k.of.id, finished_count(k), expected_count(k), k.of.expected}
end

register('expect', expect)
register('admit', admit_function)
register('awaited', awaited, {'no-writes'})

end
