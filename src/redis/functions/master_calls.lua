
-- The functions with which the master begins, watches and ends a run, and the status for people.
-- libsync.lua explains the form of arguments and answers.

-- Deletes all keys of a run except sync:run and `lookup`.
local function clear(k)
  local keys = {k.queue, k.running, k.finished}
  for _, name in ipairs(OF_A_RUN) do keys[#keys + 1] = k[name] end
  redis.call('UNLINK', unpack(keys))
end

-- Wakes up to MINIONS_AT_ONCE minions that were seen until `now`: those before `last` in the order in
-- which they were seen, the latest first. Without `last` these are the latest. Returns the `last` of
-- the next call, 0 at the end. A host that is seen meanwhile moves up, and no other one past `last`.
-- wake_seated() wakes the seated hosts of a run that begins, so `are_seated_left` leaves them out.
local function wake_minions(k, last, are_seated_left, now)
  last = last or redis.call('ZCOUNT', k.minions, now - SEEN_MS, now)
  local first = math.max(0, last - MINIONS_AT_ONCE)
  if last <= 0 then return 0 end
  local hosts = redis.call('ZRANGEBYSCORE', k.minions, now - SEEN_MS, '+inf', 'LIMIT', first, last - first)
  if #hosts == 0 then return 0 end
  local seats = are_seated_left and redis.call('HMGET', k.seat_of, unpack(hosts)) or {}
  for i, host in ipairs(hosts) do
    if not seats[i] then wake(k, host) end
  end
  return first
end

do  -- No other file uses what follows, and Lua allows 200 local names at a time.

-- Gives seats to a page of the hosts that wait for a run, to pull along trees. The origin has no
-- seat. Returns the number of hosts on the page.
local function seat_page(k, first)
  local page = redis.call('ZRANGE', k.lingering, first, first + CHANGED_AT_ONCE - 1)
  if #page == 0 then return 0 end
  local seats, hosts = redis.call('HMGET', k.seat_of, unpack(page)), {}
  for i, host in ipairs(page) do
    if not seats[i] and host ~= k.of.origin then hosts[#hosts + 1] = host end
  end
  give_seats(k, hosts, redis.call('HLEN', k.seats))
  k.of.seated = redis.call('HLEN', k.seats)
  redis.call('HSET', k.run, 'seated', k.of.seated)
  return #page
end

-- Goes on where begin, end and repair have stopped: seats the hosts that wait for the run, and then
-- wakes the other minions. Each call visits a page of them.
--
--   Args:    page (that of the last answer; '' in the first call),
--            begins (1: after begin)
--   Answers: WOKEN page    0 if all are woken
local function wake_function(_, a)
  local k, now = call_of(a)
  local begins = a[4] == '1' and k.of and has_trees(k)
  local seated = begins and (a[3] == '' and CHANGED_AT_ONCE or tonumber(string.match(a[3], '^seat (%d+)$')))
  if seated then
    if seat_page(k, seated) > 0 then return {'WOKEN', 'seat ' .. seated + CHANGED_AT_ONCE} end
    a[3] = ''
  end
  local last = tonumber(a[3])
  if not last and not begins then
    last = redis.call('ZCOUNT', k.minions, now - SEEN_MS, now) - MINIONS_AT_ONCE
  end
  return {'WOKEN', tostring(wake_minions(k, last, begins, now))}
end

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
--            bytes of the manifest, origin,
--            origin kind (master: the master fills its spool; minion: a push does),
--            the master's id, origin's slots,
--            restore (1: write `task` again, after Redis lost its data),
--            spread (auto, claims, trees),
--            rule of expected hosts (expected.lua; 0 without hosts: those seen lately),
--            expected host …
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
  for i = 19, #a do hosts[#hosts + 1] = a[i] end
  if rule == '0' and #hosts == 0 then
    hosts = redis.call('ZRANGEBYSCORE', k.minions, now - SEEN_MS, '+inf')
  end
  call_with('SADD', k.expected, hosts)
  local known, trees = math.max(tonumber(rule) or 0, #hosts), 0
  if a[17] == 'trees' or (a[17] == 'auto' and known >= TREES_FROM and tonumber(a[9]) >= TREES_PIECES) then
    trees, slots = TREES, math.min(slots, TREES_UPLOADS)
  end
  redis.call('HSET', k.run, 'id', a[3], 'state', 'staging', 'path', a[4], 'name', a[5],
             'fingerprint', a[6], 'bytes', a[7], 'piece_bytes', a[8], 'pieces', a[9],
             'manifest', a[10], 'manifest_bytes', a[11], 'origin', origin,
             'origin_kind', a[13], 'master', a[14], 'announced', blank(tonumber(a[9])),
             'expected', rule, 'known', known, 'trees', trees, 'seated', 0, 'slots', slots,
             'started', now)
  redis.call('HSET', k.course, 'fresh', blank(tonumber(a[9])), 'joined', now, 'reaped', now,
             'mended', now, 'woken_at', now, 'clock', k.clock, 'reached', now)
  redis.call('HSET', k.slots, origin, slots)
  if a[16] == '1' then redis.call('SET', k.task, a[4], 'NX') end
  forget(k, now)
  redis.call('ZREMRANGEBYSCORE', k.lingering, '-inf', now)
  k.of = run_of(k, RUN_FIELDS)
  local are_all_seated = trees == 0 or seat_page(k, 0) < CHANGED_AT_ONCE
  wake_seated(k, now)
  -- All waiting hosts get seats before any other minion is woken.
  if are_all_seated then wake_minions(k, nil, trees > 0, now) end
  note(k, 'event', 'begun', 'run', a[3], 'path', a[4])
  table.insert(hosts, 1, 'BEGUN')
  return hosts
end

-- The master works at its own disk. Only people see it.
local function show_work(k, text)
  if text == '' then
    redis.call('HDEL', k.moves, 'master')
  else
    redis.call('HSET', k.moves, 'master', string.format('%d %s', k.now, string.sub(text, 1, WORK_BYTES)))
  end
  return {'STAGED'}
end

-- Announces pieces.
--
--   Args:    run, final (1: these were the last, and the payload has not changed),
--            piece, digest, piece, digest, …
--            or '', work, and what the master works at, '' for no more
--   Answers: STAGED
--
-- A Redis that restarts from an older snapshot may have lost pieces. Then the run stays in staging;
-- the master sees that and announces all of them again.
local function stage(_, a)
  local k, now = call_of(a)
  if a[4] == 'work' then return show_work(k, a[5]) end
  if not is_current(k, a[3]) then return {'STALE'} end
  wake_seated(k, now)
  local pieces, fresh = {}, {}
  local copies = counts_of(k, 'copies')
  for i = 5, #a, 2 do
    local piece = tonumber(a[i])
    if piece < tonumber(k.of.pieces) and #a[i + 1] == DIGEST_BYTES then
      redis.call('SETRANGE', k.digests, piece * DIGEST_BYTES, a[i + 1])
      pieces[#pieces + 1] = piece
      if count_of(copies, piece) == 0 then fresh[#fresh + 1] = piece end
    end
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

-- Ends the run and deletes all its keys. The cost does not grow with the run: Redis frees the keys
-- beside its work. The caller has read before which hosts are missing or silent.
--
--   Args:    run, outcome, reason,
--            forget (1: delete `task` too, unless the operator has set another path),
--            silent hosts, for sync:last
--   Answers: ENDED finished expected bytes ms-since-it-began
local function end_function(_, a)
  local k, now = call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  local run = redis.call('HMGET', k.run, 'path', 'started', 'bytes', 'piece_bytes')
  local finished, expected = finished_count(k), expected_count(k)
  redis.call('UNLINK', k.last)
  redis.call('HSET', k.last, 'run', a[3], 'path', run[1], 'outcome', a[4], 'reason', a[5], 'run_outcome', a[4],
             'finished', finished, 'expected', expected, 'bytes', run[3],
             'silent', string.sub(a[7] or '', 1, SILENT_BYTES), 'started', run[2], 'ended', k.clock,
             'rule', k.of.expected, 'piece_bytes', run[4] or '', 'trees', k.of.trees, 'origin', k.of.origin,
             'took', math.max(0, now - number_of(run[2])))
  if a[6] == '1' and task_of(k) == run[1] then redis.call('DEL', k.task) end
  note(k, 'event', 'ended', 'run', a[3], 'outcome', a[4])
  wake_minions(k, nil, false, now)
  for _, name in ipairs(KEPT_OF_LAST) do
    redis.call('UNLINK', k['last_' .. name])
    if redis.call('EXISTS', k[name]) == 1 then redis.call('RENAME', k[name], k['last_' .. name]) end
  end
  clear(k)
  redis.call('UNLINK', k.run, k.lookup)
  return {'ENDED', finished, expected, number_of(run[3]), math.max(0, now - number_of(run[2]))}
end

-- Removes a task that cannot be distributed. If it waited for a run, `task` becomes the path of
-- that run again, because a missing `task` cancels the run.
--
--   Args:    path, reason
--   Answers: REFUSED
--            CHANGED   `task` is another path by now
local function refuse(_, a)
  local k, now = call_of(a)
  if task_of(k) ~= a[3] then return {'CHANGED'} end
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
--   Answers: LOOK task-or-nil now finished expected suspect-origin(0/1),
--            and if there is a run: known joined started overtaken id state path waiting master
--            manifest hosts-to-admit. The task is an array of its type if the key holds no string.
local function watch(_, a)
  local k, now = reading_call_of(a)
  local run = redis.call('HMGET', k.run, 'started', 'overtaken', 'id', 'state', 'path', 'waiting',
                         'master', 'manifest')
  local task, kind = task_of(k)
  if not task then task = kind and {kind} or false end
  local answer = {'LOOK', task, now, 0, 0, 0}
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

-- The run for people, without its hosts.
--
--   Args:    none
--   Answers: fields and values of sync:run, the same of sync:last, now, free sources,
--            expected hosts, announced pieces, task-or-'' (a type in brackets if it is no string)
local function status(_, a)
  local k, now = reading_call_of(a)
  local task, kind = task_of(k)
  return {redis.call('HGETALL', k.run), redis.call('HGETALL', k.last), now,
          redis.call('SCARD', k.queue), expected_count(k), k.of and #members_of(k.of.announced) or 0,
          task or kind and '(' .. kind .. ')' or ''}
end

-- How each key that lists hosts is read.
local LISTS = {progress = 'HSCAN', pulls = 'HSCAN', uploads = 'HSCAN', done = 'HSCAN', errors = 'HSCAN',
               waiting = 'HSCAN', minions = 'ZSCAN', expected = 'SSCAN', others = 'SSCAN', joined = 'SSCAN',
               running = 'SSCAN', silent = 'ZSCAN', ticking = 'SSCAN', unfed = 'HSCAN', hooks = 'HSCAN',
               last_expected = 'SSCAN', last_others = 'SSCAN', last_done = 'HSCAN', last_errors = 'HSCAN',
               last_hooks = 'HSCAN', last_accounts = 'HSCAN', last_totals = 'HSCAN', last_progress = 'HSCAN',
               moves = 'HSCAN'}

-- A page of one key that lists hosts, for people. A host may be on two pages.
--
--   Args:    run ('' for none), list (a name in LISTS; minions: seen lately;
--            silent: not seen lately), cursor ('0' for the first page)
--   Answers: HOSTS cursor host value host value …    cursor 0 after the last page. The value is
--                                                    that of the key, the score, or 1
--            OTHER                                   another run is current
local function hosts_function(_, a)
  local k, now = reading_call_of(a)
  local command = LISTS[a[4]]
  if not command then return {err = 'ERR no list of hosts'} end
  if a[3] ~= (k.of and k.of.id or '') then return {'OTHER'} end
  local key = a[4] == 'silent' and k.minions or k[a[4]]
  local page = redis.call(command, key, a[5], 'COUNT', HOSTS_AT_ONCE)
  local answer, all = {'HOSTS', page[1]}, page[2]
  local first, last = -math.huge, math.huge
  if a[4] == 'minions' then first = now - SEEN_MS end
  if a[4] == 'silent' then first, last = now - FORGOTTEN_MS, now - SEEN_MS end
  for i = 1, #all, command == 'SSCAN' and 1 or 2 do
    local value = command == 'SSCAN' and '1' or all[i + 1]
    if a[4] == 'waiting' then value = '1' end
    if command ~= 'ZSCAN' or number_of(value) >= first and number_of(value) <= last then
      local n = #answer
      answer[n + 1], answer[n + 2] = string.sub(all[i], 1, ERROR_BYTES), string.sub(value, 1, ERROR_BYTES)
    end
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
register('hosts', hosts_function, {'no-writes'})
register('wake', wake_function)

end
