
-- The functions that minions call. libsync.lua explains the form of arguments and answers.

do

-- The fields of sync:run in the answer to join.
local ANSWER_FIELDS = {'id', 'state', 'path', 'name', 'fingerprint', 'bytes', 'piece_bytes',
                       'pieces', 'manifest', 'manifest_bytes', 'origin', 'origin_kind', 'master',
                       'trees', 'started'}
local JOIN_FIELDS = {}  -- By plain loops: Redis has neither unpack() nor ipairs() at load time.
for i = 1, #RUN_FIELDS do JOIN_FIELDS[i] = RUN_FIELDS[i] end
for i = 1, #ANSWER_FIELDS do JOIN_FIELDS[#RUN_FIELDS + i] = ANSWER_FIELDS[i] end

-- An argument; nil if it is ''.
local function given(text)
  return text ~= '' and text or nil
end

local JOINS_KEPT = 6000  -- They occupy less than 1 MB.

-- Keeps when a host joined, for its account (accounts.lua). Nothing depends on it, so an error here
-- stops no host.
local function keep_joining(k, host, now)
  if #host > ADDRESS_BYTES then return end
  local count = server().pcall('HLEN', k.accounts)
  if type(count) ~= 'number' or count >= JOINS_KEPT then return end
  server().pcall('HSETNX', k.accounts, host, math.max(0, now - number_of(k.of.started)))
end

-- A minion joins the run, or waits for one.
--
--   Args:    host,
--            fresh (1: its tick has just begun, so the claims of an earlier tick end),
--            seat (1: it wants one, if the run has trees),
--            ms for which it waits for a run (0: it does not, or wants no seat),
--            its id (ids.lua; '' or none: a host of an earlier version)
--   Answers: NONE id-of-the-last-run-or-'' when-that-began
--            OCCUPIED ms    another live host has this address, and was seen so long ago
--            COPIED address    another live host has this id
--            RUN finished(0/1) suspect(0/1) seat(0/1), its seat if 1 (append_seat), field value …
local function join(_, a)
  local k, now = call_of(a, JOIN_FIELDS)
  local host, id = a[3], a[7] or ''
  if id ~= '' then
    if #id ~= 32 or string.find(id, '[^%da-f]') then return {err = 'ERR an id is 32 hexadecimal digits'} end
    local refusal = identify(k, host, id, now)
    if refusal then return refusal end
  end
  see(k, host)
  if not k.of then
    if a[6] == '0' then
      redis.call('ZREM', k.lingering, host)
    else
      redis.call('ZADD', k.lingering, now + a[6], host)
    end
    local last = redis.call('HMGET', k.last, 'run', 'started')
    return {'NONE', last[1] or '', last[2] or '0'}
  end
  wake_seated(k, now)
  if a[4] == '1' then release_all(k, host, now) end
  if volunteer(k, host) then redis.call('HSET', k.course, 'joined', now) end
  local is_done = redis.call('HEXISTS', k.done, host)
  if is_done == 0 then keep_joining(k, host, now) end
  -- A host that has finished and does not wait for a run ends its tick.
  redis.call(is_done == 1 and a[6] == '0' and 'SREM' or 'SADD', k.ticking, host)
  local answer = {'RUN', is_done, is_suspect(k, host), 0}
  if a[5] == '1' and has_trees(k) and is_done == 0 and host ~= k.of.origin then
    answer[4] = 1
    append_seat(k, answer, seat_of(k, host), blank(tonumber(k.of.pieces)))
    redis.call('SADD', k.running, host)
    redis.call('HSETNX', k.slots, host, 0)  -- For gather(): the host has joined.
  end
  local n = #answer
  for i, field in ipairs(ANSWER_FIELDS) do
    answer[n + 2 * i - 1], answer[n + 2 * i] = field, k.of[field]
  end
  return answer
end

-- The digests of those of the pieces that are announced.
--
--   Args:    run, piece …
--   Answers: DIGESTS piece digest …
local function digests(_, a)
  local k = reading_call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  local announced, answer = words_of(k.of.announced), {'DIGESTS'}
  local all = redis.call('GETRANGE', k.digests, 0, MAX_PIECES * DIGEST_BYTES - 1)
  for i = 4, #a do
    local piece = number_of(a[i])
    if bit.band(announced[math.floor(piece / 32) + 1] or 0, bit.lshift(1, piece % 32)) ~= 0 then
      local at = #answer
      answer[at + 1] = a[i]
      answer[at + 2] = string.sub(all, piece * DIGEST_BYTES + 1, (piece + 1) * DIGEST_BYTES)
    end
  end
  return answer
end

-- The upload slots of a host that reports `reported`. A host that is set aside has none.
local function slots_of(k, host, reported)
  return has_trees(k) and number_of(redis.call('HGET', k.seat_of, host)) < 0 and 0 or reported
end

-- Stores the report of a host.
local function store_report(k, host, have, slots, in_place, is_verified, now)
  hold(k, host, have)
  -- The master answers for the spool on its own host.
  if not is_masters_spool(k, host) then
    redis.call('HSET', k.slots, host, slots)
    if is_verified == '1' then trust(k, host, now) end
  end
  see(k, host)
  volunteer_once(k, host)
  store_progress(k, host, in_place)
  if number_of(slots) > 0 and not is_quarantined(k, host, now) then redis.call('HDEL', k.unfed, host) end
  reap(k, now)
  offer_and_wake(k, host, now)
end

-- A host reports the pieces that it can serve, and its progress.
--
--   Args:    run, host, bitmap, upload slots, pieces in place,
--            verified (1: it has reverified its spool, which ends suspicion)
--   Answers: VIEW state sources finished suspect usual
local function hold_function(_, a)
  local k, now = call_of(a)
  local host = a[4]
  if not is_current(k, a[3]) then return {'STALE'} end
  -- A seated host calls follow. A host with a seat that calls this and offers no slot cannot serve.
  if has_trees(k) and tonumber(a[6]) == 0 then vacate(k, host) end
  store_report(k, host, a[5], slots_of(k, host, a[6]), a[7], a[8], now)
  return {'VIEW', view(k, host)}
end

-- The report of a seated host. It also holds feedback about parents, and the digests that the host
-- knows.
--
--   Args:    those of hold, bitmap of pieces whose digests it knows, source, outcome, detail, …
--   Answers: FOLLOWED state sources finished suspect usual, its seat (append_seat)
local function follow(_, a)
  local k, now = call_of(a)
  local host = a[4]
  if not is_current(k, a[3]) or not has_trees(k) then return {'STALE'} end
  wake_seated(k, now)
  gather(k, now)
  if #a >= 10 then
    local parents = parents_of(k, seat_of(k, host))
    for i = 10, #a, 3 do judge_parent(k, host, parents, a[i], a[i + 1], a[i + 2], now) end
  end
  -- The host claims again if it still wants more than its parents bring.
  wait_no_more(k, host)
  store_report(k, host, a[5], slots_of(k, host, a[6]), a[7], a[8], now)
  if redis.call('HEXISTS', k.done, host) == 0 then redis.call('SADD', k.running, host) end
  return append_seat(k, {'FOLLOWED', view(k, host)}, seat_of(k, host), a[9])
end

-- A host asks for a claim.
--
--   Args:    run, host, token, most pieces (0: the manifest alone), bitmap that it can serve,
--            bitmap that it does not want, the source that brings the rest too slowly ('' for none)
--   Answers: CLAIMED token source state sources finished suspect usual piece digest …
--            WAIT state sources finished suspect usual patience-in-s
local function claim_function(_, a)
  local k, now = call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  reap(k, now)
  see(k, a[4])
  if hold(k, a[4], a[7]) then offer(k, a[4], now) end
  a[7], a[8] = fitted(k, a[7]), fitted(k, a[8])
  local caller = redis.call('HGET', k.woken, a[4])
  if caller then redis.call('HDEL', k.woken, a[4]) end
  -- In a run with trees most hosts have most pieces, so a small search finds a source.
  local more = (caller or has_trees(k)) and SAMPLE_MORE or SAMPLE_MOST
  local search = {called_by = caller, more = more, beside = given(a[9])}
  return claim(k, a[4], a[5], tonumber(a[6]), a[7], a[8], 'first', search, now)
end

-- A claim ends, and the host may ask for the next one.
--
--   Args:    run, host, token,
--            outcome (good, busy, unreachable, refused, missing, corrupt, local), detail,
--            bitmap that it can serve, pieces in place,
--            next token ('' for none), most pieces, bitmap that it does not want, the source that
--            brings the rest too slowly ('' for none)
--   Answers: those of claim; without a next token that of hold
local function complete(_, a)
  local k, now = call_of(a)
  local host = a[4]
  if not is_current(k, a[3]) then return {'STALE'} end
  reap(k, now)
  if hold(k, host, a[8]) then offer(k, host, now) end
  if a[10] ~= '' then a[8], a[12] = fitted(k, a[8]), fitted(k, a[12]) end
  store_progress(k, host, a[9])
  local source
  if string.match(redis.call('HGET', k.claims, a[5]) or '', '^(%S+)') == host then
    local _, granted, pieces
    _, source, granted, pieces = release(k, a[5], now)
    if a[6] == 'good' then
      absolve(k, host, source)
      if pieces > 0 then measure(k, source, (now - granted) / pieces) end
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
    local search = {left = source, more = SAMPLE_MORE, beside = given(a[13])}
    answer = claim(k, host, a[10], tonumber(a[11]), a[8], a[12], 'next', search, now)
  end
  -- Only now, because the next claim may occupy the slot again. After a failure the slot is for
  -- other hosts: this one keeps away from the source, or stops because the fault is its own.
  local has_failed = a[6] ~= 'good' and a[6] ~= 'busy'
  if source then wake_waiting(k, source, now, has_failed and host or nil) end
  wake_waiting(k, host, now)
  return answer
end

-- A host renews its leases.
--
--   Args:    run, host, token …
--   Answers: VIEW state sources finished suspect usual lost-token …
local function renew(_, a)
  local k, now = call_of(a)
  if not is_current(k, a[3]) then return {'STALE'} end
  see(k, a[4])
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

-- A host has published. It needs no lease.
--
--   Args:    run, host, manifest, bitmap and upload slots as in hold
--   Answers: FINISHED
--            EARLY     the run is not staged
--            OTHER     the host published something else
local function finish(_, a)
  local k, now = call_of(a)
  local host = a[4]
  if not is_current(k, a[3]) then return {'STALE'} end
  if k.of.state ~= 'staged' then return {'EARLY'} end
  if k.of.manifest ~= a[5] then return {'OTHER'} end
  if redis.call('HSETNX', k.done, host, now) == 1 then note(k, 'event', 'finished', 'host', host) end
  redis.call('SADD', k.finished, host)
  volunteer(k, host)
  -- A host that adopted most pieces cannot serve them: its seat goes to a host that can.
  if has_trees(k) and offers_something(k.of.announced, a[6]) then vacate(k, host) end
  store_report(k, host, a[6], slots_of(k, host, a[7]), k.of.pieces, '0', now)
  wait_no_more(k, host)
  if redis.call('HEXISTS', k.pulls, host) == 0 then redis.call('SREM', k.running, host) end
  redis.call('HDEL', k.errors, host)
  return {'FINISHED'}
end

-- A host stops its part in the run. It pauses after a failure, so nothing here may wake it.
--
--   Args:    run, host, how (claims: its claims end; all: it also has nothing to serve and has not
--            finished), reason ('' for none)
--   Answers: LEFT
local function leave(_, a)
  local k, now = call_of(a)
  local host = a[4]
  if not is_current(k, a[3]) then return {'STALE'} end
  retreat(k, host, a[5] == 'all', now)
  if a[6] ~= '' then redis.call('HSET', k.errors, host, string.sub(a[6], 1, ERROR_BYTES)) end
  if a[5] == 'all' then unfinish(k, host) end
  return {'LEFT'}
end

-- The origin's own minion finds announced pieces missing or wrong in the spool.
--
--   Args:    run, host, reason
--   Answers: VIEW
local function doubt(_, a)
  local k, now = call_of(a)
  local host = a[4]
  if not is_current(k, a[3]) then return {'STALE'} end
  if k.of.origin ~= host then return {'VIEW'} end
  redis.call('HSET', k.errors, host, string.sub(a[5], 1, ERROR_BYTES))
  if is_masters_spool(k, host) then
    suspect(k, host, 'doubt', now)
  else
    redis.call('HSET', k.blame, 'undelivered ' .. host, '1')
  end
  return {'VIEW'}
end

-- A host works at its own disk, and no piece moves meanwhile. Only people see it.
local function show_work(k, host, text)
  see(k, host)
  local field = 'work ' .. string.sub(host, 1, ADDRESS_BYTES)
  if text == '' then
    redis.call('HDEL', k.moves, field, 'work')
  else
    redis.call('HSET', k.moves, field, text, 'work', string.format('%d %s %s', k.now, host, text))
  end
  return {'VIEW'}
end

-- A host has a fault that does not end its part in the run. That of its command may come after the run.
--
--   Args:    run, host, kind (feed: it serves nobody; hook: its command failed;
--            work: no fault, but what it works at, '' for no more), reason
--   Answers: VIEW
local function fault(_, a)
  local k = call_of(a)
  if a[5] == 'work' then
    return is_current(k, a[3]) and show_work(k, a[4], string.sub(a[6], 1, WORK_BYTES)) or {'STALE'}
  end
  local key = a[5] == 'hook' and 'hooks' or 'unfed'
  if not is_current(k, a[3]) then
    if key == 'unfed' or redis.call('HGET', k.last, 'run') ~= a[3] then return {'STALE'} end
    key = 'last_hooks'
  end
  redis.call('HSET', k[key], a[4], string.sub(a[6], 1, ERROR_BYTES))
  return {'VIEW'}
end

register('join', join)
register('hold', hold_function)
register('follow', follow)
register('claim', claim_function)
register('complete', complete)
register('renew', renew)
register('finish', finish)
register('leave', leave)
register('doubt', doubt)
register('fault', fault)
register('digests', digests, {'no-writes'})

end
