
-- The functions with which the master begins, watches and ends a run, and the status for people.
-- libsync.lua explains the form of arguments and answers.

-- Deletes all keys of a run except sync:run and `lookup`.
local function clear(k)
  redis.call('DEL', k.queue, k.running, k.finished)
  for _, name in ipairs(OF_A_RUN) do redis.call('DEL', k[name]) end
end

-- The hosts that wait for a run, to pull along trees. The origin has no seat.
local function lingering(k, origin, now)
  redis.call('ZREMRANGEBYSCORE', k.lingering, '-inf', now)
  local hosts = redis.call('ZRANGE', k.lingering, 0, -1)
  leave_out(hosts, origin)
  return hosts
end

-- Wakes all minions except the seated ones, which wake_seated() wakes in turn.
local function wake_all(k, seated, now)
  local has_seat = {}
  for _, host in ipairs(seated) do has_seat[host] = true end
  for _, host in ipairs(redis.call('ZRANGEBYSCORE', k.minions, now - SEEN_MS, '+inf')) do
    if not has_seat[host] then wake(k, host) end
  end
end

do

-- Corrects times that outlive runs, since the clock of Redis may have stepped back.
local function settle_times(k, now)
  for _, host in ipairs(redis.call('ZRANGEBYSCORE', k.minions, now + 1, '+inf')) do
    redis.call('ZADD', k.minions, now, host)
  end
  redis.call('ZREMRANGEBYSCORE', k.lingering, now + SEEN_MS, '+inf')
end

-- Begins a run.
--
--   Args:    run, path, name, fingerprint, bytes, piece_bytes, pieces, manifest,
--            sparse (0/1), origin,
--            origin kind (master: the master fills its spool; minion: a push does),
--            the master's id, origin's slots,
--            restore (1: write `task` again, after Redis lost its data),
--            spread (auto, claims, trees),
--            rule of expected hosts (expected.lua; 0 without hosts: those seen lately),
--            bytes of the manifest, expected host …
--   Answers: BEGUN host …    hosts that are expected by name
--            SAME            it is the current run already
--            BUSY run path   another run is current, or this one has another origin or manifest
local function begin(_, a)
  local k, now = call_of(a)
  local origin, slots = a[12], tonumber(a[15])
  if k.of and (k.of.id ~= a[3] or k.of.origin ~= origin or k.of.origin_kind ~= a[13] or k.of.manifest ~= a[10]) then
    return {'BUSY', k.of.id, redis.call('HGET', k.run, 'path')}
  end
  if k.of then
    if has_trees(k) then slots = math.min(slots, TREES_UPLOADS) end
    if a[13] == 'master' then
      redis.call('HSET', k.slots, origin, slots)
      redis.call('HSET', k.run, 'slots', slots)
    end
    return {'SAME'}
  end
  clear(k)
  local rule, hosts = a[18], {}
  settle_times(k, now)
  for i = 20, #a do hosts[#hosts + 1] = a[i] end
  if rule == '0' and #hosts == 0 then
    hosts = redis.call('ZRANGEBYSCORE', k.minions, now - SEEN_MS, '+inf')
  end
  for _, host in ipairs(hosts) do redis.call('SADD', k.expected, host) end
  local known, trees = math.max(tonumber(rule) or 0, #hosts), 0
  if a[17] == 'trees' or (a[17] == 'auto' and known >= TREES_FROM and tonumber(a[9]) >= TREES_PIECES) then
    trees, slots = TREES, math.min(slots, TREES_UPLOADS)
  end
  redis.call('HSET', k.run, 'id', a[3], 'state', 'staging', 'path', a[4], 'name', a[5],
             'fingerprint', a[6], 'bytes', a[7], 'piece_bytes', a[8], 'pieces', a[9],
             'manifest', a[10], 'manifest_bytes', a[19], 'sparse', a[11], 'origin', origin,
             'origin_kind', a[13], 'master', a[14], 'announced', blank(tonumber(a[9])),
             'expected', rule, 'known', known, 'trees', trees, 'slots', slots, 'started', now)
  redis.call('HSET', k.course, 'fresh', blank(tonumber(a[9])), 'joined', now, 'reaped', now,
             'mended', now, 'woken_at', now, 'clock', k.clock, 'reached', now)
  redis.call('HSET', k.slots, origin, slots)
  if a[16] == '1' then redis.call('SET', k.task, a[4], 'NX') end
  forget(k, now)
  local seated = trees > 0 and lingering(k, origin, now) or {}
  give_seats(k, seated)
  redis.call('HSET', k.run, 'seated', #seated)
  k.of = run_of(k, RUN_FIELDS)
  wake_seated(k, now)
  wake_all(k, seated, now)
  note(k, 'event', 'begun', 'run', a[3], 'path', a[4])
  table.insert(hosts, 1, 'BEGUN')
  return hosts
end

-- Announces pieces.
--
--   Args:    run, final (1: these were the last, and the payload has not changed),
--            piece, digest, piece, digest, …
--   Answers: STAGED
--
-- A Redis that restarts from an older snapshot may have lost pieces. Then the run stays in staging;
-- the master sees that and announces all of them again.
local function stage(_, a)
  local k, now = call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  wake_seated(k, now)
  local pieces, fresh = {}, {}
  local copies = counts_of(k, 'copies')
  for i = 5, #a, 2 do
    local piece = tonumber(a[i])
    redis.call('SETRANGE', k.digests, piece * DIGEST_BYTES, a[i + 1])
    pieces[#pieces + 1] = piece
    if count_of(copies, piece) == 0 then fresh[#fresh + 1] = piece end
  end
  local announced = with_pieces(k.of.announced, pieces, true)
  redis.call('HSET', k.run, 'announced', announced)
  mark_fresh(k, fresh, true)
  if a[4] == '1' and #members_of(announced) == tonumber(k.of.pieces) then
    redis.call('HSET', k.run, 'state', 'staged', 'staged', now)
    k.of.state = 'staged'
  end
  if k.of.origin_kind == 'master' then
    set_have(k, k.of.origin, announced)
    offer_and_wake(k, k.of.origin, now)
  else
    wake(k, k.of.origin)
  end
  return {'STAGED'}
end

-- Ends the run and deletes all its keys.
--
--   Args:    run, outcome, reason,
--            forget (1: delete `task` too, unless the operator has set another path)
--   Answers: ENDED missing host …
local function end_function(_, a)
  local k, now = call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  while admit(k, ADMITTED_AT_ONCE) > 0 do end
  local answer = {'ENDED'}
  for _, host in ipairs(missing_of(k)) do answer[#answer + 1] = host end
  local run = redis.call('HMGET', k.run, 'path', 'started', 'bytes')
  redis.call('DEL', k.last)
  redis.call('HSET', k.last, 'run', a[3], 'path', run[1], 'outcome', a[4], 'reason', a[5],
             'finished', finished_count(k), 'expected', expected_count(k), 'bytes', run[3],
             'silent', table.concat(silent_of(k), ' '), 'started', run[2], 'ended', now)
  if a[6] == '1' and redis.call('GET', k.task) == run[1] then redis.call('DEL', k.task) end
  note(k, 'event', 'ended', 'run', a[3], 'outcome', a[4])
  wake_all(k, {}, now)
  clear(k)
  redis.call('DEL', k.run, k.lookup)
  return answer
end

-- Removes a task that cannot be distributed. If it waited for a run, `task` becomes the path of
-- that run again, because a missing `task` cancels the run.
--
--   Args:    path, reason
--   Answers: REFUSED
--            CHANGED   `task` is another path by now
local function refuse(_, a)
  local k, now = call_of(a)
  if redis.call('GET', k.task) ~= a[3] then return {'CHANGED'} end
  local running = redis.call('HGET', k.run, 'path')
  if running then
    redis.call('SET', k.task, running)
    redis.call('DEL', k.lookup)
  else
    redis.call('DEL', k.task, k.lookup)
  end
  redis.call('HDEL', k.last, 'finished', 'expected', 'bytes')
  redis.call('HSET', k.last, 'path', a[3], 'outcome', 'refused', 'reason', a[4], 'ended', now)
  note(k, 'event', 'refused', 'path', a[3])
  return {'REFUSED'}
end

-- Another task waits for this run to end, or none waits any more.
--
--   Args:    run, task or ''
--   Answers: VIEW
local function overtake(_, a)
  local k, now = call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  if a[4] == '' then
    redis.call('HDEL', k.run, 'overtaken', 'waiting')
  else
    redis.call('HSETNX', k.run, 'overtaken', now)
    redis.call('HSET', k.run, 'waiting', a[4])
  end
  return {'VIEW'}
end

-- The state of the run, which a lingering master asks for five times a second.
--
--   Args:    none
--   Answers: LOOK task-or-'' now finished expected suspect-origin(0/1),
--            and if there is a run: known joined started overtaken id state path waiting master
--            manifest hosts-to-admit
local function watch(_, a)
  local k, now = reading_call_of(a)
  local run = redis.call('HMGET', k.run, 'started', 'overtaken', 'id', 'state', 'path', 'waiting',
                         'master', 'manifest')
  local answer = {'LOOK', redis.call('GET', k.task) or '', now, 0, 0, 0}
  if not k.of then return answer end
  answer[4], answer[5] = finished_count(k), expected_count(k)
  local doubt = (is_masters_spool(k, k.of.origin) and 'verify ' or 'undelivered ') .. k.of.origin
  answer[6] = redis.call('HEXISTS', k.blame, doubt)
  answer[7], answer[8] = k.of.known, k.of.joined
  for i = 1, 8 do answer[8 + i] = run[i] or '' end
  answer[17] = redis.call('SCARD', k.joined)
  return answer
end

-- The master has reverified the origin's spool, or has pushed to it again: all of it is good.
--
--   Args:    run
--   Answers: VIEW state sources finished suspect
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

-- A snapshot for people. It names every host that the run knows.
--
--   Args:    none
--   Answers: fields and values of sync:run, the same of sync:last, now, free sources,
--            expected hosts, announced pieces, task-or-'',
--            and for each host: address pieces-in-place claims uploads finished-at-or-''
--            error-or-'' last-seen-or-'' expected(0/1) running(0/1)
local function status(_, a)
  local k, now = reading_call_of(a)
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
  for _, name in ipairs({'expected', 'joined'}) do
    for _, host in ipairs(redis.call('SMEMBERS', k[name])) do
      add(host)
      hosts[host].expected = '1'
    end
  end
  for _, host in ipairs(redis.call('SMEMBERS', k.running)) do
    if hosts[host] then hosts[host].running = '1' end
  end
  table.sort(names)
  local answer = {redis.call('HGETALL', k.run), redis.call('HGETALL', k.last), now,
                  redis.call('SCARD', k.queue), expected_count(k), k.of and #members_of(k.of.announced) or 0,
                  redis.call('GET', k.task) or ''}
  for _, host in ipairs(names) do
    local h = hosts[host]
    answer[#answer + 1] = {host, h.progress or '0', h.pulls or '0', h.uploads or '0', h.done or '',
                           h.errors or '', h.seen or '', h.expected or '0', h.running or '0'}
  end
  return answer
end

register('begin', begin)
register('stage', stage)
register('end', end_function)
register('refuse', refuse)
register('overtake', overtake)
register('vouch', vouch)
register('watch', watch, {'no-writes'})
register('status', status, {'no-writes'})

end
