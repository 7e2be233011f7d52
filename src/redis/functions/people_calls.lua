
-- The functions that people call. They change nothing, and no program decides anything by them.

do

local HOSTS_ASKED = 32  -- A sample: 1 ms with 4,096 pieces (./tests/bench/micro --benchmark_filter=Call).

-- A minion may have written anything into sync:moves.
local MOVES = {'placed', 'last', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', '15'}

-- The pieces that all hosts have placed, those of the last LATELY_S, and ms since the last one or nil.
local function moves_of(k)
  local all, lately = redis.call('HMGET', k.moves, unpack(MOVES)), 0
  local most = number_of(k.of.pieces) * math.max(1, expected_count(k))
  local now_s = math.floor(k.now / 1000)
  for i = 3, #MOVES do
    local second, pieces = string.match(all[i] or '', '^(%d+) (%d+)$')
    local age = now_s - number_of(second)
    if second and age >= 0 and age < LATELY_S then lately = lately + number_of(pieces) end
  end
  local moved = number_of(all[2])
  local is_right = moved >= number_of(k.of.started) and moved <= k.now
  return math.max(0, math.min(number_of(all[1]), most)), math.min(lately, most), is_right and k.now - moved or nil
end

-- The last text about work, if it may still hold: a host renews it every 15 s, and the master every 10 s.
local function said_lately(k, said)
  local at, text = string.match(said or '', '^(%d+) (.+)$')
  local age = k.now - number_of(at)
  return text and age >= 0 and age <= 30000 and string.sub(text, 1, ERROR_BYTES) or ''
end

-- The work of the master, and the host that was the last to name its own, with that.
local function works_of(k)
  local said = redis.call('HMGET', k.moves, 'master', 'work')
  return said_lately(k, said[1]), said_lately(k, said[2])
end

-- Announced pieces that none of a few hosts has, the origin left out. In a run with trees, pieces that
-- come from other hosts reach all within seconds.
local function lone_in_trees(k)
  local words, lone = words_of(k.of.announced), {}
  local some = redis.call('HSCAN', k.have, 0, 'COUNT', HOSTS_ASKED)[2]
  for i = 1, math.min(#some, 2 * HOSTS_ASKED), 2 do
    local have = some[i] ~= k.of.origin and words_of(some[i + 1]) or {}
    for at = 1, #words do words[at] = bit.band(words[at], bit.bnot(have[at] or 0)) end
  end
  for _, word in ipairs(words) do append_pieces(lone, 0, word) end
  return #lone
end

-- Announced pieces that one source alone has.
local function of_one_source(k)
  if has_trees(k) then return lone_in_trees(k) end
  local copies, lone = counts_of(k, 'copies'), 0
  for _, piece in ipairs(members_of(k.of.announced)) do
    if count_of(copies, piece) <= 1 then lone = lone + 1 end
  end
  return lone
end

-- How the run stands, without its hosts.
--
--   Args:    none
--   Answers: PULSE task-or-'' clock, path outcome reason finished expected ended run of sync:last,
--            and if there is a run: id path finished expected bytes pieces placed
--            placed-in-the-last-LATELY_S ms-since-the-last-or-'' pieces-of-one-source
--            host-and-its-work-or-'' ms-since-its-begin; without a run: what the master works at, if anything
local function pulse(_, a)
  local k = reading_call_of(a)
  local answer = {'PULSE', task_of(k) or '', k.clock}
  local last = redis.call('HMGET', k.last, 'path', 'outcome', 'reason', 'finished', 'expected', 'ended', 'run')
  for i = 1, 7 do answer[3 + i] = last[i] or '' end
  local work, work_of_host = works_of(k)
  if not k.of then
    answer[11] = work ~= '' and work or nil
    return answer
  end
  if work ~= '' then work_of_host = 'the master ' .. work end
  local run = redis.call('HMGET', k.run, 'path', 'bytes')
  local placed, lately, moved_ago = moves_of(k)
  local rest = {k.of.id, run[1] or '', finished_count(k), expected_count(k), run[2] or '', k.of.pieces,
                placed, lately, moved_ago or '', of_one_source(k), work_of_host,
                math.max(0, k.now - number_of(k.of.started))}
  for i = 1, #rest do answer[10 + i] = rest[i] end
  return answer
end

register('pulse', pulse, {'no-writes'})

end

do

-- The digest of this whole text: embed.cmake.
local TEXT = '@DIGEST@'

-- The rights that a role needs, as cron/redis-users.conf grants them.
local NEEDED = {
  master = {
    functions = 'begin stage end refuse expect admit awaited overtake vouch watch repair wake ' ..
                'status pulse hosts rights',
    commands = 'time function|list function|load get getrange type set del unlink rename exists ' ..
                'expire incr setrange hget hmget hset hsetnx hdel hexists hgetall hkeys hvals hlen ' ..
                'hincrby hrandfield hscan sscan zscan sadd srem spop smembers scard srandmember ' ..
                'sismember smismember zadd zrem zscore zmscore zrange zrangebyscore zcount ' ..
                'zremrangebyscore lpush xadd',
    reads = '',
    writes = 'task lookup synchronize_queue running_queue finished_queue sync:digests ' ..
                'sync:course sync:joined sync:have sync:copies sync:coming sync:hungry sync:slots ' ..
                'sync:uploads sync:pulls sync:claims sync:leases sync:pace sync:waiting sync:woken ' ..
                'sync:seats sync:seat_of sync:expected sync:done sync:progress sync:moves ' ..
                'sync:blame sync:quarantine sync:errors sync:others sync:ticking sync:unfed ' ..
                'sync:hooks sync:accounts sync:totals sync:run sync:minions sync:ids sync:lingering ' ..
                'sync:events sync:last ' ..
                'sync:last_expected sync:last_others sync:last_done sync:last_errors ' ..
                'sync:last_hooks sync:last_accounts sync:last_totals sync:last_progress sync:wake:*'},
  minion = {
    functions = 'join hold follow claim complete renew finish leave doubt fault account digests ' ..
                'status pulse awaited hosts rights',
    commands = 'time blpop get getrange type exists expire setrange hget hmget hset hsetnx hdel ' ..
                'hexists hgetall hkeys hvals hlen hincrby hrandfield hscan sscan zscan sadd srem ' ..
                'smembers scard srandmember sismember zadd zrem zscore zrange zrangebyscore zcount ' ..
                'lpush xadd',
    reads = 'task sync:run sync:digests sync:expected sync:others sync:last sync:last_expected ' ..
                'sync:last_others sync:last_done sync:last_errors',
    writes = 'synchronize_queue running_queue finished_queue sync:course sync:joined ' ..
                'sync:ticking sync:have sync:copies sync:coming sync:hungry sync:slots sync:uploads ' ..
                'sync:pulls sync:claims sync:leases sync:pace sync:waiting sync:woken sync:wake:* ' ..
                'sync:seats sync:seat_of sync:done sync:progress sync:moves sync:blame ' ..
                'sync:quarantine sync:errors sync:unfed sync:hooks sync:last_hooks sync:accounts ' ..
                'sync:totals sync:last_accounts sync:last_totals sync:minions sync:ids sync:lingering sync:events'}}

-- The rights that the caller lacks for a role, as rules of Redis' access control lists.
--
--   Args:    master or minion
--   Answers: RIGHTS digest-of-this-text version-of-Redis, and each rule that is missing
local function rights(_, a)
  local prefix, needed, api = a[1], NEEDED[a[3]], server()
  if not needed then error('ERR no such role', 0) end
  local answer = {'RIGHTS', TEXT, api.REDIS_VERSION or ''}
  local function need(rule, ...)
    local may = api.acl_check_cmd(...)
    if not may then answer[#answer + 1] = rule end
    return may
  end
  for name in string.gmatch(needed.functions, '%S+') do
    need('+fcall|libsync1_' .. name, 'FCALL', 'libsync1_' .. name, '0')
  end
  -- Without arguments there is no key, so the command alone decides.
  local may = {}
  for name in string.gmatch(needed.commands, '%S+') do
    local command, verb = string.match(name, '^(%w+)|?(%w*)$')
    if verb == '' then may[name] = need('+' .. name, command) else need('+' .. name, command, verb) end
  end
  -- The keys are tried by these two commands.
  if not (may.hget and may.hset) then return answer end
  for name in string.gmatch(needed.reads, '%S+') do
    need('%R~' .. prefix .. name, 'HGET', prefix .. name, 'field')
  end
  for name in string.gmatch(needed.writes, '%S+') do
    local key, rule = prefix .. string.gsub(name, '*', 'x'), '~' .. prefix .. name
    if need(rule, 'HGET', key, 'field') then need(rule, 'HSET', key, 'field', 'value') end
  end
  return answer
end

register('rights', rights, {'no-writes'})

end
