
-- The functions that are called, one by one. How arguments and answers look: libsync.lua.

-- Everything of a run but sync:run and `lookup`.
local function clear(k)
  redis.call('DEL', k.queue, k.running, k.finished)
  for _, name in ipairs(OF_A_RUN) do redis.call('DEL', k[name]) end
end

-- Begins a run. Args: run, path, name, fingerprint, bytes, piece_bytes, pieces, manifest digest,
-- sparse (0/1), origin, origin kind (master: its spool is filled by the master; minion: by a push), the
-- master's id, origin's slots, restore (1: write `task` too, after Redis lost its data), spread (auto, claims, trees),
-- expected count (0: those named, or else those seen lately), then the expected hosts.
-- BEGUN host … (who is expected by name) · SAME (it is the current run already) · BUSY run path
-- (another one is, or this one from another origin)
local function begin(_, a)
  local k, now = call_of(a)
  local origin, slots = a[12], tonumber(a[15])
  if k.of and (k.of.id ~= a[3] or k.of.origin ~= origin or k.of.origin_kind ~= a[13]) then
    return {'BUSY', k.of.id, redis.call('HGET', k.run, 'path')}
  end
  if k.of then
    if a[13] == 'master' then redis.call('HSET', k.slots, origin, slots) end
    return {'SAME'}
  end
  clear(k)
  local expected = tonumber(a[18])
  local hosts = {}
  for i = 19, #a do hosts[#hosts + 1] = a[i] end
  if expected == 0 and #hosts == 0 then
    hosts = redis.call('ZRANGEBYSCORE', k.minions, now - SEEN_MS, '+inf')
  end
  for _, host in ipairs(hosts) do redis.call('SADD', k.expected, host) end
  local known, trees = math.max(expected, #hosts), 0
  if a[17] == 'trees' or (a[17] == 'auto' and known >= TREES_FROM and tonumber(a[9]) >= TREES_PIECES) then
    trees, slots = TREES, math.min(slots, TREES_UPLOADS)
  end
  redis.call('HSET', k.run, 'id', a[3], 'state', 'staging', 'path', a[4], 'name', a[5],
             'fingerprint', a[6], 'bytes', a[7], 'piece_bytes', a[8], 'pieces', a[9],
             'manifest', a[10], 'sparse', a[11], 'origin', origin, 'origin_kind', a[13], 'master', a[14],
             'announced', blank(tonumber(a[9])), 'fresh', blank(tonumber(a[9])), 'left', 0,
             'expected', expected, 'known', known, 'trees', trees, 'started', now, 'joined', now, 'reaped', now,
             'mended', now)
  redis.call('HSET', k.slots, origin, slots)
  if a[16] == '1' then redis.call('SET', k.task, a[4], 'NX') end
  redis.call('ZREMRANGEBYSCORE', k.minions, '-inf', now - FORGOTTEN_MS)
  for _, host in ipairs(redis.call('ZRANGEBYSCORE', k.minions, now - SEEN_MS, '+inf')) do wake(k, host) end
  note(k, 'event', 'begun', 'run', a[3], 'path', a[4])
  table.insert(hosts, 1, 'BEGUN')
  return hosts
end

-- Announces pieces. Args: run, final (1: these were the last, and the source has not changed), then
-- piece, digest, piece, digest, …   STAGED
local function stage(_, a)
  local k, now = call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  local pieces, fresh = {}, {}
  local copies = counts_of(k, 'copies')
  for i = 5, #a, 2 do
    local piece = tonumber(a[i])
    redis.call('HSET', k.digests, piece, a[i + 1])
    pieces[#pieces + 1] = piece
    if count_of(copies, piece) == 0 then fresh[#fresh + 1] = piece end
  end
  local announced = with_pieces(k.of.announced, pieces, true)
  redis.call('HSET', k.run, 'announced', announced)
  mark_fresh(k, fresh, true)
  if a[4] == '1' then redis.call('HSET', k.run, 'state', 'staged', 'staged', now) end
  if k.of.origin_kind == 'master' then
    set_have(k, k.of.origin, announced)
    offer_and_wake(k, k.of.origin, now)
  else
    wake(k, k.of.origin)
  end
  return {'STAGED'}
end

-- A minion's tick is there. Args: host, fresh (1: the tick has just begun, so whatever an earlier
-- one of this address still claims is given back).
-- NONE run-ended-last, or '' · RUN finished(0/1) suspect(0/1) field value …
local function join(_, a)
  local k, now = call_of(a)
  local host = a[3]
  redis.call('ZADD', k.minions, now, host)
  if not k.of then
    return {'NONE', redis.call('HGET', k.last, 'run') or ''}
  end
  if a[4] == '1' then release_all(k, host, now) end
  if redis.call('SADD', k.expected, host) == 1 then redis.call('HSET', k.run, 'joined', now) end
  local answer = {'RUN', redis.call('HEXISTS', k.done, host), is_suspect(k, host)}
  for _, value in ipairs(redis.call('HGETALL', k.run)) do answer[#answer + 1] = value end
  return answer
end

-- Args: run, piece …   DIGESTS piece digest … (of those that have been announced)
local function digests(_, a)
  local k = call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  local answer = {'DIGESTS'}
  if #a < 4 then return answer end
  local digests = redis.call('HMGET', k.digests, unpack(a, 4))
  for i = 4, #a do
    if digests[i - 3] then
      answer[#answer + 1] = a[i]
      answer[#answer + 1] = digests[i - 3]
    end
  end
  return answer
end

-- Args as hold has them.
local function take_report(k, a, now)
  local host = a[4]
  hold(k, host, a[5])
  -- On the master's own host the master answers for the spool.
  if not is_masters_spool(k, host) then
    redis.call('HSET', k.slots, host, is_aside(k, host) and 0 or a[6])
    if a[8] == '1' then trust(k, host, now) end
  end
  redis.call('SADD', k.expected, host)
  redis.call('HSET', k.progress, host, a[7])
  reap(k, now)
  offer_and_wake(k, host, now)
end

-- What a host can serve, and how far it is. Args: run, host, bitmap, upload slots, pieces in place,
-- verified (1: it has hashed its spool anew, so suspicion is over).   VIEW state sources finished suspect
local function hold_function(_, a)
  local k, now = call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  take_report(k, a, now)
  return {'VIEW', view(k, a[4])}
end

-- As hold, for a host that pulls along the trees: it also says how its pulls from parents ended, where that is worth
-- saying, and whose digests it knows. Args: those of hold, bitmap of these pieces, then source, outcome, detail, …
-- FOLLOWED state sources finished suspect pause-in-ms parents, then a parent for each tree, piece digest …
local function follow(_, a)
  local k, now = call_of(a)
  local host = a[4]
  if not is_current(k, a[3]) then return {'STALE'} end
  local parents, seat = parents_of(k, host, now)
  for i = 10, #a, 3 do judge_parent(k, host, parents, a[i], a[i + 1], a[i + 2], now) end
  take_report(k, a, now)
  if redis.call('HEXISTS', k.done, host) == 0 then redis.call('SADD', k.running, host) end
  local answer = {'FOLLOWED', view(k, host)}
  answer[#answer + 1] = pause_of(k, seat)
  answer[#answer + 1] = #parents
  for i = 1, #parents do answer[#answer + 1] = parents[i] end
  return append_digests(k, answer, unknown_pieces(k, a[9]))
end

-- Args: run, host, token, most pieces (0: the manifest alone), bitmap of what it can serve, bitmap of
-- what it does not want.
-- CLAIMED token source state sources finished suspect piece digest … · WAIT state sources finished suspect patience-in-s
local function claim_function(_, a)
  local k, now = call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  reap(k, now)
  if hold(k, a[4], a[7]) then offer(k, a[4], now) end
  local woken_by = redis.call('HGET', k.woken, a[4])
  if woken_by then redis.call('HDEL', k.woken, a[4]) end
  local search = {told = woken_by, more = woken_by and SAMPLE_MORE or SAMPLE_MOST}
  return claim(k, a[4], a[5], tonumber(a[6]), a[7], a[8], 'first', search, now)
end

-- A claim is over. Args: run, host, token, outcome (good, busy, unreachable, refused, missing, corrupt, local),
-- detail, bitmap of what it can serve, pieces in place, next token ('' for none), most pieces, bitmap
-- of what it does not want. Answers as claim, or as hold without a next token.
local function complete(_, a)
  local k, now = call_of(a)
  local host = a[4]
  if not is_current(k, a[3]) then return {'STALE'} end
  reap(k, now)
  if hold(k, host, a[8]) then offer(k, host, now) end
  redis.call('HSET', k.progress, host, a[9])
  local source
  if string.match(redis.call('HGET', k.claims, a[5]) or '', '^(%S+)') == host then
    local _
    _, source = release(k, a[5], now)
    if a[6] == 'good' then
      absolve(k, host, source)
    elseif a[6] == 'local' then
      redis.call('HSET', k.errors, host, string.sub(a[7], 1, ERROR_BYTES))
    else
      accuse(k, host, source, a[6], a[7], now)
    end
  end
  local answer
  if a[10] == '' then
    answer = {'VIEW', view(k, host)}
  else
    answer = claim(k, host, a[10], tonumber(a[11]), a[8], a[12], 'next', {more = SAMPLE_MORE}, now)
  end
  -- Only now, so that nobody is woken for a slot that this host has just taken again.
  if source then wake_waiting(k, source, now) end
  wake_waiting(k, host, now)
  return answer
end

-- Args: run, host, token …   VIEW state sources finished suspect lost-token …
local function renew(_, a)
  local k, now = call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  redis.call('ZADD', k.minions, now, a[4])
  local answer = {'VIEW', view(k, a[4])}
  for i = 5, #a do
    if redis.call('HEXISTS', k.claims, a[i]) == 1 then
      redis.call('ZADD', k.leases, 'XX', now + LEASE_MS, a[i])
    else
      answer[#answer + 1] = a[i]
    end
  end
  return answer
end

-- The host has published. Needs no lease. Args: run, host, manifest digest.
-- FINISHED · EARLY (the run is not staged) · OTHER (it published something else)
local function finish(_, a)
  local k, now = call_of(a)
  local host = a[4]
  if not is_current(k, a[3]) then return {'STALE'} end
  if k.of.state ~= 'staged' then return {'EARLY'} end
  if k.of.manifest ~= a[5] then return {'OTHER'} end
  if redis.call('HSETNX', k.done, host, now) == 1 then note(k, 'event', 'finished', 'host', host) end
  redis.call('SADD', k.finished, host)
  redis.call('SADD', k.expected, host)
  redis.call('HSET', k.progress, host, k.of.pieces)
  wait_no_more(k, host)
  if redis.call('HEXISTS', k.pulls, host) == 0 then redis.call('SREM', k.running, host) end
  redis.call('HDEL', k.errors, host)
  return {'FINISHED'}
end

-- The host stops. Args: run, host, how (claims: give back what it claims; all: it also has nothing to
-- serve and has not finished), reason ('' for none).   LEFT
local function leave(_, a)
  local k, now = call_of(a)
  local host = a[4]
  if not is_current(k, a[3]) then return {'STALE'} end
  release_all(k, host, now)
  redis.call('SREM', k.running, host)
  wait_no_more(k, host)
  if a[6] ~= '' then redis.call('HSET', k.errors, host, string.sub(a[6], 1, ERROR_BYTES)) end
  if a[5] == 'all' then
    hold(k, host, blank(tonumber(k.of.pieces)))
    redis.call('HDEL', k.done, host)
    redis.call('HDEL', k.progress, host)
    redis.call('SREM', k.finished, host)
    offer(k, host, now)
  end
  return {'LEFT'}
end

local function laggards_of(k)
  local late = {}
  for _, host in ipairs(redis.call('SMEMBERS', k.expected)) do
    if redis.call('HEXISTS', k.done, host) == 0 then late[#late + 1] = host end
  end
  table.sort(late)
  return late
end

-- How many hosts are expected: those named, seen or joined, or the number from the configuration if
-- that is more.
local function expected_count(k)
  return math.max(redis.call('SCARD', k.expected), tonumber(redis.call('HGET', k.run, 'expected') or 0))
end

-- Ends the run: all keys of it go in this one step. Args: run, outcome, reason, forget (1: `task` goes
-- too, unless the operator has set another path).   ENDED laggard …
local function end_function(_, a)
  local k, now = call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  local answer = {'ENDED'}
  for _, host in ipairs(laggards_of(k)) do answer[#answer + 1] = host end
  local run = run_fields(k, 'path', 'started', 'bytes')
  redis.call('DEL', k.last)
  redis.call('HSET', k.last, 'run', a[3], 'path', run[1], 'outcome', a[4], 'reason', a[5],
             'finished', redis.call('HLEN', k.done), 'expected', expected_count(k), 'bytes', run[3],
             'started', run[2], 'ended', now)
  if a[6] == '1' and redis.call('GET', k.task) == run[1] then redis.call('DEL', k.task) end
  note(k, 'event', 'ended', 'run', a[3], 'outcome', a[4])
  for _, host in ipairs(redis.call('ZRANGEBYSCORE', k.minions, now - SEEN_MS, '+inf')) do wake(k, host) end
  clear(k)
  redis.call('DEL', k.run, k.lookup)
  return answer
end

-- Takes a task out that cannot be distributed. Args: path, reason.   REFUSED · CHANGED (it is another now)
local function refuse(_, a)
  local k, now = call_of(a)
  if redis.call('GET', k.task) ~= a[3] then return {'CHANGED'} end
  redis.call('DEL', k.task, k.lookup)
  redis.call('HSET', k.last, 'path', a[3], 'outcome', 'refused', 'reason', a[4], 'ended', now)
  note(k, 'event', 'refused', 'path', a[3])
  return {'REFUSED'}
end

-- Another task waits for this run to end. Args: run.   VIEW
local function overtake(_, a)
  local k, now = call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  redis.call('HSETNX', k.run, 'overtaken', now)
  return {'VIEW'}
end

-- What the lingering master asks five times a second. No args.
-- LOOK task-or-'' now finished expected suspect-origin(0/1), then known joined started overtaken id state
-- path origin master of the run, or nothing
local function watch(_, a)
  local k, now = call_of(a)
  local run = run_fields(k, 'known', 'joined', 'started', 'overtaken', 'id', 'state', 'path', 'origin',
                         'master')
  local answer = {'LOOK', redis.call('GET', k.task) or '', now, redis.call('HLEN', k.done), 0, 0}
  if not run[5] then return answer end
  answer[5] = expected_count(k)
  local doubt = (is_masters_spool(k, k.of.origin) and 'verify ' or 'undelivered ') .. k.of.origin
  answer[6] = redis.call('HEXISTS', k.blame, doubt)
  for i = 1, 9 do answer[6 + i] = run[i] or '' end
  return answer
end

-- Pieces are not, or not rightly, where the origin's own minion was to find them. Args: run, host, reason.
-- VIEW
local function doubt(_, a)
  local k = call_of(a)
  local host = a[4]
  if not is_current(k, a[3]) then return {'STALE'} end
  if k.of.origin ~= host then return {'VIEW'} end
  redis.call('HSET', k.errors, host, string.sub(a[5], 1, ERROR_BYTES))
  if is_masters_spool(k, host) then
    suspect(k, host, 'doubt')
  else
    redis.call('HSET', k.blame, 'undelivered ' .. host, '1')
  end
  return {'VIEW'}
end

-- The master has hashed the origin's spool anew, or has pushed to it again: all of it is good. Args: run.
-- VIEW state sources finished suspect
local function vouch(_, a)
  local k, now = call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  local origin = k.of.origin
  if is_masters_spool(k, origin) then
    set_have(k, origin, k.of.announced)
    redis.call('ZREM', k.quarantine, origin)
    redis.call('HDEL', k.blame, 'strike ' .. origin)
    trust(k, origin, now)
  else
    redis.call('HDEL', k.blame, 'undelivered ' .. origin)
  end
  offer_and_wake(k, origin, now)
  wake(k, origin)
  return {'VIEW', view(k, origin)}
end

-- Everything that a person wants to see. No args. Two arrays of fields and values (sync:run,
-- sync:last), now, sources free, hosts expected, pieces announced, then a host an array:
-- address pieces-in-place claims uploads finished-at-or-'' error-or-'' last-seen-or-'' expected(0/1)
local function status(_, a)
  local k, now = call_of(a)
  local hosts, names = {}, {}
  local function add(host)
    if not hosts[host] then
      hosts[host] = {}
      names[#names + 1] = host
    end
  end
  for _, name in ipairs({'progress', 'pulls', 'uploads', 'done', 'errors', 'waiting'}) do
    local all = redis.call('HGETALL', k[name])
    for i = 1, #all, 2 do
      add(all[i])
      hosts[all[i]][name] = all[i + 1]
    end
  end
  local seen = redis.call('ZRANGEBYSCORE', k.minions, now - SEEN_MS, '+inf', 'WITHSCORES')
  for i = 1, #seen, 2 do
    add(seen[i])
    hosts[seen[i]].seen = seen[i + 1]
  end
  for _, host in ipairs(redis.call('SMEMBERS', k.expected)) do
    add(host)
    hosts[host].expected = '1'
  end
  table.sort(names)
  local answer = {redis.call('HGETALL', k.run), redis.call('HGETALL', k.last), now,
                  redis.call('SCARD', k.queue), expected_count(k), redis.call('HLEN', k.digests),
                  redis.call('GET', k.task) or ''}
  for _, host in ipairs(names) do
    local h = hosts[host]
    answer[#answer + 1] = {host, h.progress or '0', h.pulls or '0', h.uploads or '0', h.done or '',
                           h.errors or '', h.seen or '', h.expected or '0'}
  end
  return answer
end

redis.register_function('libsync1_begin', begin)
redis.register_function('libsync1_stage', stage)
redis.register_function('libsync1_join', join)
redis.register_function('libsync1_hold', hold_function)
redis.register_function('libsync1_follow', follow)
redis.register_function('libsync1_claim', claim_function)
redis.register_function('libsync1_complete', complete)
redis.register_function('libsync1_renew', renew)
redis.register_function('libsync1_finish', finish)
redis.register_function('libsync1_leave', leave)
redis.register_function('libsync1_end', end_function)
redis.register_function('libsync1_refuse', refuse)
redis.register_function('libsync1_overtake', overtake)
redis.register_function('libsync1_doubt', doubt)
redis.register_function('libsync1_vouch', vouch)
redis.register_function{function_name = 'libsync1_digests', callback = digests, flags = {'no-writes'}}
redis.register_function{function_name = 'libsync1_watch', callback = watch, flags = {'no-writes'}}
redis.register_function{function_name = 'libsync1_status', callback = status, flags = {'no-writes'}}
