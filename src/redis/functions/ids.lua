
-- Host ids: which host has which address.
--
-- Each host keeps an id in its .libsync, and its minion joins with it. sync:ids holds two fields for
-- a host: address -> id, and id -> address. The second one counts where they disagree: a host that
-- moved leaves the first one at its former address.
--
-- A host joins unless another one is in its way (identify):
--
--   its address is that of another id, and that host is live       refused
--   its address is that of another id, and that host is silent     the address is its own now
--   its id is at another address, and a tick is at work there      the id is a copy: it draws another
--   its id is at another address, and no tick is at work there     it has moved
--
-- A host is live until it was silent for BETWEEN_TICKS_MS. If its tick is in the run and has neither
-- left nor finished: for SILENT_MS.
--
-- A tick is at work for SILENT_MS after its last call, unless it has ended in order. So a host that
-- gets another address between two ticks moves at once. If the ticks of two hosts with one id never
-- meet, the second seems to have moved. The first one comes back to an address that it had with this
-- id, while the second is live: that shows the copy.

local retreat, unfinish, forget, identify

do

-- Cron starts a tick every two minutes, and it joins within seconds. A host that does not linger is
-- silent for that long. A longer time only delays a host that has lost its id.
local BETWEEN_TICKS_MS = 150000
-- Other programs may have written into sync:ids: this many fields beyond two for a host, and the
-- next run deletes it. Hosts then say their ids again.
local FIELDS_TOO_MANY = 1000

-- Ends what a host does in the run. Its seat goes unless it has finished (`altogether`: in any case).
-- Nothing here wakes the host itself.
retreat = function(k, host, altogether, now)
  -- Its wake-ups end before its claims do, because the slots are for other hosts. A source that has
  -- called it calls another one.
  wait_no_more(k, host)
  local caller = redis.call('HGET', k.woken, host)
  redis.call('HDEL', k.woken, host)
  redis.call('EXPIRE', k.wake .. host, 0)  -- Minions have no right to DEL.
  release_all(k, host, now)
  if caller then wake_waiting(k, caller, now) end
  -- A finished host goes on feeding others, whatever its tick does.
  if has_trees(k) and (altogether or redis.call('HEXISTS', k.done, host) == 0) then vacate(k, host) end
  redis.call('SREM', k.running, host)
  redis.call('SREM', k.ticking, host)
  if altogether then
    hold(k, host, blank(tonumber(k.of.pieces)))
    offer(k, host, now)
  end
end

-- A host has not finished any more.
unfinish = function(k, host)
  redis.call('HDEL', k.done, host)
  store_progress(k, host, 0)
  redis.call('HDEL', k.progress, host)
  redis.call('SREM', k.finished, host)
end

-- Forgets the hosts that were silent for FORGOTTEN_MS.
forget = function(k, now)
  for _, host in ipairs(redis.call('ZRANGEBYSCORE', k.minions, '-inf', now - FORGOTTEN_MS)) do
    local id = redis.call('HGET', k.ids, host)
    redis.call('HDEL', k.ids, host)
    if id and redis.call('HGET', k.ids, id) == host then redis.call('HDEL', k.ids, id) end
  end
  redis.call('ZREMRANGEBYSCORE', k.minions, '-inf', now - FORGOTTEN_MS)
  local hosts = redis.call('ZCOUNT', k.minions, '-inf', '+inf')
  if redis.call('HLEN', k.ids) > 2 * hosts + FIELDS_TOO_MANY then redis.call('DEL', k.ids) end
end

-- ms for which a host has been silent. A time that was lost, or that is later than now since the
-- clock of Redis has stepped back, becomes now.
local function silence_of(k, host, now)
  local seen = tonumber(redis.call('ZSCORE', k.minions, host) or nil)
  if seen and seen <= now then return now - seen end
  see(k, host)
  return 0
end

-- Whether a host has joined the run, and neither left it nor finished.
local function is_in_run(k, host)
  return k.of and redis.call('SISMEMBER', k.ticking, host) == 1 and redis.call('HEXISTS', k.done, host) == 0
end

local function is_live(k, host, silence)
  return silence <= (is_in_run(k, host) and SILENT_MS or BETWEEN_TICKS_MS)
end

local function is_at_work(k, host, silence, now)
  if silence > SILENT_MS then return false end
  if k.of then return redis.call('SISMEMBER', k.ticking, host) == 1 end
  return tonumber(redis.call('ZSCORE', k.lingering, host) or 0) > now
end

-- A host has another address. Nobody waits for the old one, unless an inventory names it.
local function move(k, old, host)
  if k.of then
    retreat(k, old, true, k.now)
    redis.call('HDEL', k.errors, old)
    if not is_named(k) then
      unfinish(k, old)
      redis.call('SADD', k.joined, old)  -- The master judges it: admit().
    end
  end
  redis.call('ZREM', k.minions, old)
  redis.call('ZREM', k.lingering, old)
  note(k, 'event', 'moved', 'host', old, 'to', host)
end

-- Notes which host has this address. Nil, or why it may not join:
--
--   OCCUPIED ms-for-which-the-other-host-was-silent
--   COPIED address-of-the-other-host
identify = function(k, host, id, now)
  local found = redis.call('HMGET', k.ids, host, id)
  local owner, at = found[1], found[2]
  if owner == id and at == host then return nil end
  if owner and owner ~= id and redis.call('HGET', k.ids, owner) == host then
    local silence = silence_of(k, host, now)
    if is_live(k, host, silence) then return {'OCCUPIED', silence} end
    redis.call('HDEL', k.ids, owner)
  end
  if at and at ~= host and redis.call('HGET', k.ids, at) == id then
    local silence = silence_of(k, at, now)
    if is_at_work(k, at, silence, now) or owner == id and is_live(k, at, silence) then return {'COPIED', at} end
    move(k, at, host)
  end
  redis.call('HSET', k.ids, host, id, id, host)
  return nil
end

end
