#!lua name=libsync1

-- The shared state of sync-fanout: every change of it is one of the functions below, so it happens
-- whole or not at all, and survives in the append-only file. Load it by hand with
--
--   sync-master functions | redis-cli -x function load replace
--
-- Two processes agree on nothing but this. It decides who pulls what from whom; it does not move
-- bytes, and it trusts no caller further than that caller's own entries.
--
-- Keys (P is the prefix; the first five are those of the Python pair, with their old meaning):
--
--   P task                string  the path that the operator set
--   P lookup              counter how often the master looked at this task
--   P synchronize_queue   set     addresses that have something to give and a free upload slot
--   P running_queue       set     addresses that pull now
--   P finished_queue      set     addresses that have published
--
--   P sync:run            hash    the run: id, state, path, name, fingerprint, bytes, piece_bytes,
--                                 pieces, manifest, origin, origin_kind, master, expected, started,
--                                 announced (bitmap of the pieces in sync:digests) …
--   P sync:digests        hash    piece -> SHA-256, for every piece that has been announced
--   P sync:have           hash    address -> bitmap of the pieces that it can serve
--   P sync:copies         string  two bytes a piece, big end first: how many hosts can serve it
--   P sync:slots          hash    address -> upload slots that it offers
--   P sync:uploads        hash    address -> upload slots in use
--   P sync:pulls          hash    address -> claims that it holds
--   P sync:claims         hash    token -> "PULLER SOURCE PIECE,PIECE,…"
--   P sync:leases         zset    token -> when the claim lapses
--   P sync:waiting        hash    address -> bitmap of what it does not want
--   P sync:wake:ADDRESS   list    one element wakes that host; expires
--   P sync:expected       set     who is expected to finish
--   P sync:done           hash    address -> when it finished; what counts, where finished_queue shows
--   P sync:progress       hash    address -> pieces that are in place there
--   P sync:blame          hash    see accuse()
--   P sync:quarantine     zset    address -> until when it is no source
--   P sync:errors         hash    address -> what went wrong there last
--   P sync:minions        zset    address -> last seen; outlives runs
--   P sync:events         stream  what happened; capped; outlives runs
--   P sync:last           hash    how the last run or refusal ended; outlives runs
--
-- Bitmaps: piece n is bit n%8, from the lowest, of byte n/8 (PieceSet in pieces.h).
--
-- Arguments: the prefix; the time in ms since 1970, or '' for the clock of Redis; then those named
-- with each function. Key names are built here and not passed as KEYS, because FCALL takes a
-- declared key for writable, which defeats read-only access rules. Every call names the run that it
-- means; if that is not the current run it changes nothing and the answer is {'STALE'}. Every call
-- may be repeated.
--
-- Answers are arrays; the first element is a word.

local LEASE_MS = 45000          -- three renewals may be lost; a host that died costs its source this
local WAKE_TTL_S = 5            -- a wake-up that nobody took in five waits is old news
local SAMPLE = 16               -- sources looked at for a claim before all of them are
local CHUNK = 250              -- of all sources, where the sample had nothing
local WAITERS_LOOKED_AT = 8     -- for one free slot
local REAPED_AT_ONCE = 32       -- lapsed claims taken back by one call
local MEND_MS = 10000           -- how often synchronize_queue is derived anew
local SEEN_MS = 600000          -- a minion seen in this time is expected, unless hosts are named
local FORGOTTEN_MS = 604800000 -- a minion that was not seen for a week is no minion any more
local AVOID_MS = 5000           -- an accuser keeps away from the accused; doubles each time
local AVOID_ORIGIN_MS = 1000    -- the origin may be the only source there is
local AVOID_BUSY_MS = 300       -- a source with all connections taken: somebody there has to finish
local AVOID_MAX_MS = 60000
local AVOID_MAX_ORIGIN_MS = 5000
local QUARANTINE_MS = 60000     -- doubles each time
local QUARANTINE_MAX_MS = 1800000
local QUARANTINE_ORIGIN_MS = 5000
local STRIKES = {corrupt = 2, unreachable = 3, refused = 3}
local TRUSTED_MS = 60000       -- a spool that was hashed anew is not suspected by one host alone so soon again
local EVENTS_KEPT = 10000
local ERROR_BYTES = 500

local KEYS_OF = {}  -- prefix -> table of key names

local function keys_of(prefix)
  local k = KEYS_OF[prefix]
  if not k then
    k = {task = prefix .. 'task', lookup = prefix .. 'lookup',
         queue = prefix .. 'synchronize_queue', running = prefix .. 'running_queue',
         finished = prefix .. 'finished_queue', wake = prefix .. 'sync:wake:'}
    for _, name in ipairs({'run', 'digests', 'have', 'copies', 'slots', 'uploads', 'pulls', 'claims',
                           'leases', 'waiting', 'expected', 'done', 'progress', 'blame',
                           'quarantine', 'errors', 'minions', 'events', 'last'}) do
      k[name] = prefix .. 'sync:' .. name
    end
    KEYS_OF[prefix] = k
  end
  return k
end

local function time_of(text)
  if text ~= '' then return tonumber(text) end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function run_fields(k, ...)
  return redis.call('HMGET', k.run, ...)
end

local function is_current(k, run)
  return run ~= '' and redis.call('HGET', k.run, 'id') == run
end

local function note(k, ...)
  redis.call('XADD', k.events, 'MAXLEN', '~', EVENTS_KEPT, '*', ...)
end

local function blank(pieces)
  return string.rep('\0', math.ceil(pieces / 8))
end

-- True if `have` holds a piece that `unwanted` does not.
local function offers_something(have, unwanted)
  for i = 1, #have do
    local byte = string.byte(have, i)
    if byte ~= 0 and bit.band(byte, bit.bnot(string.byte(unwanted, i) or 0)) ~= 0 then return true end
  end
  return false
end

local function is_quarantined(k, host, now)
  local till = redis.call('ZSCORE', k.quarantine, host)
  return till and tonumber(till) > now
end

-- Puts the host into synchronize_queue, or takes it out, as it should be now. Returns the number of
-- its free upload slots that others may use.
local function offer(k, host, now)
  local slots = tonumber(redis.call('HGET', k.slots, host) or 0)
  local free = slots - tonumber(redis.call('HGET', k.uploads, host) or 0)
  local have = free > 0 and redis.call('HGET', k.have, host)
  if have and string.find(have, '[^%z]') and not is_quarantined(k, host, now)
     and redis.call('HEXISTS', k.blame, 'verify ' .. host) == 0 then
    redis.call('SADD', k.queue, host)
    return free, have
  end
  redis.call('SREM', k.queue, host)
  return 0
end

local function wake(k, host)
  local list = k.wake .. host
  if redis.call('EXISTS', list) == 0 then redis.call('LPUSH', list, '1') end
  redis.call('EXPIRE', list, WAKE_TTL_S)
end

-- A source has free slots: wakes as many of those who wait as can use them.
local function offer_and_wake(k, host, now)
  local free, have = offer(k, host, now)
  if free == 0 or redis.call('HLEN', k.waiting) == 0 then return end
  local waiting = redis.call('HRANDFIELD', k.waiting, WAITERS_LOOKED_AT, 'WITHVALUES')
  for i = 1, #waiting, 2 do
    if waiting[i] ~= host and offers_something(have, waiting[i + 1]) then
      redis.call('HDEL', k.waiting, waiting[i])
      wake(k, waiting[i])
      free = free - 1
      if free == 0 then return end
    end
  end
end

-- Writes what a host can serve, and counts the copies of every piece that changed.
local function set_have(k, host, have)
  local before = redis.call('HGET', k.have, host) or string.rep('\0', #have)
  if before == have then return end
  redis.call('HSET', k.have, host, have)
  for i = 1, #have do
    local old, new = string.byte(before, i) or 0, string.byte(have, i)
    local changed = bit.bxor(old, new)
    for b = 0, 7 do
      local mask = bit.lshift(1, b)
      if bit.band(changed, mask) ~= 0 then
        local at = ((i - 1) * 8 + b) * 2
        local high, low = string.byte(redis.call('GETRANGE', k.copies, at, at + 1), 1, 2)
        local count = (high or 0) * 256 + (low or 0)
        count = bit.band(new, mask) ~= 0 and math.min(count + 1, 65535) or math.max(count - 1, 0)
        redis.call('SETRANGE', k.copies, at, string.char(math.floor(count / 256), count % 256))
      end
    end
  end
end

local function is_masters_spool(k, host)
  local origin = run_fields(k, 'origin', 'origin_kind')
  return host == origin[1] and origin[2] == 'master'
end

-- The word of a host about itself is the truth, but for the origin's spool, which the master fills.
local function hold(k, host, have)
  if is_masters_spool(k, host) then return end
  if #have == #blank(tonumber(redis.call('HGET', k.run, 'pieces'))) then set_have(k, host, have) end
end

-- Whether the host is to hash its spool anew.
local function is_suspect(k, host)
  if redis.call('HEXISTS', k.blame, 'verify ' .. host) == 0 then return 0 end
  return is_masters_spool(k, host) and 0 or 1
end

-- Ends a claim: its source has the slot back, and whoever calls this tells those who wait. Returns
-- puller and source, or nothing if the token is unknown.
local function release(k, token, now)
  local claim = redis.call('HGET', k.claims, token)
  redis.call('ZREM', k.leases, token)
  if not claim then return nil end
  redis.call('HDEL', k.claims, token)
  local puller, source = string.match(claim, '^(%S+) (%S+)')
  if redis.call('HINCRBY', k.pulls, puller, -1) <= 0 then
    redis.call('HDEL', k.pulls, puller)
    redis.call('SREM', k.running, puller)
  end
  if redis.call('HINCRBY', k.uploads, source, -1) <= 0 then redis.call('HDEL', k.uploads, source) end
  offer(k, source, now)
  return puller, source
end

-- Ends every claim of a host.
local function release_all(k, host, now)
  if redis.call('HEXISTS', k.pulls, host) == 0 then return end
  local claims = redis.call('HGETALL', k.claims)
  for i = 1, #claims, 2 do
    if string.match(claims[i + 1], '^(%S+)') == host then
      local _, source = release(k, claims[i], now)
      offer_and_wake(k, source, now)
    end
  end
end

-- What nobody else would clear up: lapsed claims, quarantines that are over, and members of
-- synchronize_queue that somebody else took out or put in.
local function reap(k, now)
  for _, token in ipairs(redis.call('ZRANGEBYSCORE', k.leases, '-inf', now, 'LIMIT', 0, REAPED_AT_ONCE)) do
    local puller, source = release(k, token, now)
    if puller then
      note(k, 'event', 'lapsed', 'host', puller, 'source', source)
      offer_and_wake(k, source, now)
    end
  end
  for _, host in ipairs(redis.call('ZRANGEBYSCORE', k.quarantine, '-inf', now)) do
    redis.call('ZREM', k.quarantine, host)
    offer_and_wake(k, host, now)
  end
  local mended = tonumber(redis.call('HGET', k.run, 'mended') or 0)
  if now - mended >= MEND_MS then
    redis.call('HSET', k.run, 'mended', now)
    for _, host in ipairs(redis.call('SMEMBERS', k.queue)) do
      if redis.call('HEXISTS', k.slots, host) == 0 then redis.call('SREM', k.queue, host) end
    end
    for _, host in ipairs(redis.call('HKEYS', k.slots)) do offer_and_wake(k, host, now) end
  end
end

-- One host accuses another. Fields of sync:blame:
--
--   avoid ACCUSER SOURCE   "UNTIL TIMES": this accuser gets nothing from this source until then
--   strike SOURCE          "KIND:ACCUSER …": distinct accusers since the last quarantine
--   accused ACCUSER        "SOURCE …": whom it accused, as long as it had no success there
--   rounds SOURCE          quarantines so far
--   verify SOURCE          its spool is suspect: it offers nothing before it has hashed it again
--   verified SOURCE        when it did so last
--   undelivered SOURCE     the host that is pushed to lacks pieces: the master has to push again
--
-- A failure first keeps only the accuser away. Distinct accusers make a quarantine. Whoever accuses
-- two sources or more accuses itself: its strikes are withdrawn, and new ones do not count. A quarantine
-- proves its accusers right: it is taken off their lists. A piece that is missing at a source, or wrong
-- at the origin, where every copy comes from, makes that spool suspect at once: hashing it costs little.

local function keep_away(k, accuser, source, base, most, now)
  local field = 'avoid ' .. accuser .. ' ' .. source
  local times = tonumber(string.match(redis.call('HGET', k.blame, field) or '', ' (%d+)$') or 0) + 1
  local away = math.min(base * 2 ^ math.min(times - 1, 10), most)
  redis.call('HSET', k.blame, field, string.format('%d %d', now + away, times))
end

local function withdraw_strike(k, accuser, source)
  local field, rest = 'strike ' .. source, ''
  for kind, by in string.gmatch(redis.call('HGET', k.blame, field) or '', '(%a+):(%S+)') do
    if by ~= accuser then rest = rest .. kind .. ':' .. by .. ' ' end
  end
  if rest == '' then
    redis.call('HDEL', k.blame, field)
  else
    redis.call('HSET', k.blame, field, rest)
  end
end

-- Adds or takes away one source of those that a host accuses; returns all of them.
local function accused_by(k, accuser, added, removed)
  local field, all = 'accused ' .. accuser, {}
  for source in string.gmatch(redis.call('HGET', k.blame, field) or '', '%S+') do
    if source ~= added and source ~= removed then all[#all + 1] = source end
  end
  if added then all[#all + 1] = added end
  if #all == 0 then
    redis.call('HDEL', k.blame, field)
  else
    redis.call('HSET', k.blame, field, table.concat(all, ' '))
  end
  return all
end

local function suspect(k, source, kind)
  redis.call('HSET', k.blame, 'verify ' .. source, kind)
  redis.call('SREM', k.queue, source)
  wake(k, source)
end

-- Its spool has been hashed anew.
local function trust(k, source, now)
  redis.call('HDEL', k.blame, 'verify ' .. source, 'undelivered ' .. source)
  redis.call('HSET', k.blame, 'verified ' .. source, now)
end

local function quarantine(k, source, kind, is_origin, now)
  redis.call('HDEL', k.blame, 'strike ' .. source)
  for _, field in ipairs(redis.call('HKEYS', k.blame)) do
    local accuser = string.match(field, '^accused (.+)$')
    if accuser then accused_by(k, accuser, nil, source) end
  end
  local rounds = redis.call('HINCRBY', k.blame, 'rounds ' .. source, 1)
  local out = math.min(QUARANTINE_MS * 2 ^ math.min(rounds - 1, 10), QUARANTINE_MAX_MS)
  if is_origin then out = QUARANTINE_ORIGIN_MS end
  if kind == 'corrupt' then suspect(k, source, kind) end
  redis.call('ZADD', k.quarantine, now + out, source)
  redis.call('SREM', k.queue, source)
  note(k, 'event', 'quarantined', 'host', source, 'kind', kind, 'ms', out)
end

local function accuse(k, accuser, source, kind, detail, now)
  local is_origin = redis.call('HGET', k.run, 'origin') == source
  local most = is_origin and AVOID_MAX_ORIGIN_MS or AVOID_MAX_MS
  if kind == 'busy' then return keep_away(k, accuser, source, AVOID_BUSY_MS, most, now) end
  keep_away(k, accuser, source, is_origin and AVOID_ORIGIN_MS or AVOID_MS, most, now)
  redis.call('HSET', k.errors, accuser, string.sub(detail, 1, ERROR_BYTES))
  note(k, 'event', 'accused', 'host', accuser, 'source', source, 'kind', kind)
  if kind == 'missing' or (kind == 'corrupt' and is_origin) then
    local verified = tonumber(redis.call('HGET', k.blame, 'verified ' .. source) or 0)
    if now - verified >= TRUSTED_MS then suspect(k, source, kind) end
    if kind == 'missing' then return end
  end
  local all = accused_by(k, accuser, source, nil)
  if #all >= 2 then
    for _, other in ipairs(all) do withdraw_strike(k, accuser, other) end
    return
  end
  withdraw_strike(k, accuser, source)
  local strikes = (redis.call('HGET', k.blame, 'strike ' .. source) or '') .. kind .. ':' .. accuser .. ' '
  redis.call('HSET', k.blame, 'strike ' .. source, strikes)
  local _, of_kind = string.gsub(strikes, kind .. ':', '')
  if of_kind >= (STRIKES[kind] or math.huge) then quarantine(k, source, kind, is_origin, now) end
end

-- The accuser has pulled from the source after all.
local function absolve(k, accuser, source)
  if redis.call('HLEN', k.blame) == 0 then return end
  redis.call('HDEL', k.blame, 'avoid ' .. accuser .. ' ' .. source)
  withdraw_strike(k, accuser, source)
  accused_by(k, accuser, nil, source)
end

-- Sources out of `hosts` that this puller may use now, with what they can serve.
local function usable(k, puller, hosts, now)
  local n = #hosts
  if n == 0 then return {}, {} end
  local haves = redis.call('HMGET', k.have, unpack(hosts))
  local avoided = nil
  if redis.call('HLEN', k.blame) > 0 then
    local fields = {}
    for i = 1, n do fields[i] = 'avoid ' .. puller .. ' ' .. hosts[i] end
    avoided = redis.call('HMGET', k.blame, unpack(fields))
  end
  local names, bitmaps = {}, {}
  for i = 1, n do
    local till = avoided and avoided[i] and tonumber(string.match(avoided[i], '^%d+'))
    if haves[i] and hosts[i] ~= puller and not (till and till > now) then
      names[#names + 1], bitmaps[#bitmaps + 1] = hosts[i], haves[i]
    end
  end
  return names, bitmaps
end

-- What has been announced and is not unwanted: a byte for each eight pieces; nothing if there is nothing.
local function wanted_of(announced, unwanted)
  local wanted, any = {}, false
  for i = 1, #announced do
    wanted[i] = bit.band(string.byte(announced, i), bit.bnot(string.byte(unwanted, i) or 0), 255)
    any = any or wanted[i] ~= 0
  end
  return any and wanted
end

-- The rarest piece that the puller lacks, over the given sources; ties at random. Returns the
-- source's index, and its useful pieces as {piece, copies} in no order.
local function rarest(copies, bitmaps, wanted)
  local best, best_count, ties, best_useful = nil, math.huge, 0, nil
  for s = 1, #bitmaps do
    local useful, lowest, bytes = nil, math.huge, bitmaps[s]
    for i = 1, #bytes do
      local byte = bit.band(string.byte(bytes, i), wanted[i] or 0)
      local piece = (i - 1) * 8
      while byte ~= 0 do
        if bit.band(byte, 1) ~= 0 then
          local high, low = string.byte(copies, piece * 2 + 1, piece * 2 + 2)
          local count = (high or 0) * 256 + (low or 0)
          useful = useful or {}
          useful[#useful + 1] = {piece, count}
          if count < lowest then lowest = count end
        end
        byte = bit.rshift(byte, 1)
        piece = piece + 1
      end
    end
    if useful then
      if lowest < best_count then
        best, best_count, best_useful, ties = s, lowest, useful, 1
      elseif lowest == best_count then
        ties = ties + 1
        if math.random(ties) == 1 then best, best_useful = s, useful end
      end
    end
  end
  return best, best_useful
end

-- Up to `most` of the useful pieces, rarest first, ties at random.
local function choose(useful, most)
  for _, one in ipairs(useful) do one[3] = math.random() end
  table.sort(useful, function(a, b)
    if a[2] ~= b[2] then return a[2] < b[2] end
    return a[3] < b[3]
  end)
  local pieces = {}
  for i = 1, math.min(most, #useful) do pieces[i] = useful[i][1] end
  table.sort(pieces)
  return pieces
end

-- How the run stands, for every answer to a minion: state, sources free, hosts finished, and whether
-- this host's spool is suspect.
local function view(k, host)
  return redis.call('HGET', k.run, 'state'), redis.call('SCARD', k.queue),
         redis.call('HLEN', k.done), is_suspect(k, host)
end

local function answer_claim(k, host, token, source, pieces)
  local answer = {'CLAIMED', token, source, view(k, host)}
  if #pieces > 0 then
    local digests = redis.call('HMGET', k.digests, unpack(pieces))
    for i = 1, #pieces do
      answer[#answer + 1] = pieces[i]
      answer[#answer + 1] = digests[i] or ''
    end
  end
  return answer
end

-- A source for `host`, and the pieces to pull from it; nothing if there is none. A sample first, then
-- everybody, in chunks: Lua passes some 8,000 values to a call at the most.
local function find_source(k, host, most, unwanted, now)
  local wanted = most > 0 and wanted_of(redis.call('HGET', k.run, 'announced'), unwanted)
  if most > 0 and not wanted then return nil end
  local copies = redis.call('GET', k.copies) or ''
  local function look(hosts)
    local names, bitmaps = usable(k, host, hosts, now)
    if most == 0 then return names[1], {} end
    local best, useful = rarest(copies, bitmaps, wanted)
    if best then return names[best], choose(useful, most) end
  end
  local sample = redis.call('SRANDMEMBER', k.queue, SAMPLE)
  local source, pieces = look(sample)
  if source or #sample < SAMPLE then return source, pieces end
  local all = redis.call('SMEMBERS', k.queue)
  for first = 1, #all, CHUNK do
    source, pieces = look({unpack(all, first, math.min(first + CHUNK - 1, #all))})
    if source then return source, pieces end
  end
end

-- Takes a source for `host`. With `most` of 0 it is for the manifest alone: any source will do.
local function claim(k, host, token, most, unwanted, now)
  local known = redis.call('HGET', k.claims, token)
  if known then
    local puller, source, list = string.match(known, '^(%S+) (%S+) ?(%S*)$')
    if puller ~= host then return {'WAIT', view(k, host)} end
    local pieces = {}
    for piece in string.gmatch(list, '%d+') do pieces[#pieces + 1] = piece end
    return answer_claim(k, host, token, source, pieces)
  end
  local source, pieces = find_source(k, host, most, unwanted, now)
  if not source then
    -- For the manifest any source will do.
    redis.call('HSET', k.waiting, host, most == 0 and string.rep('\0', #unwanted) or unwanted)
    return {'WAIT', view(k, host)}
  end
  redis.call('HDEL', k.waiting, host)
  redis.call('HSET', k.claims, token, host .. ' ' .. source .. ' ' .. table.concat(pieces, ','))
  redis.call('ZADD', k.leases, now + LEASE_MS, token)
  redis.call('HINCRBY', k.pulls, host, 1)
  redis.call('SADD', k.running, host)
  redis.call('HINCRBY', k.uploads, source, 1)
  offer(k, source, now)
  return answer_claim(k, host, token, source, pieces)
end

-- Begins a run. Args: run, path, name, fingerprint, bytes, piece_bytes, pieces, manifest digest,
-- sparse (0/1), origin, origin kind (master: its spool is filled by the master; minion: by a push), the
-- master's id, origin's slots, restore (1: write `task` too, after Redis lost its data), expected count (0: those
-- named, or else those seen lately), then the expected hosts.
-- BEGUN host … (who is expected by name) · SAME (it is the current run already) · BUSY run path
-- (another one is, or this one from another origin)
local function begin(_, a)
  local k, now = keys_of(a[1]), time_of(a[2])
  local current = run_fields(k, 'id', 'path', 'origin', 'origin_kind')
  local origin, slots = a[12], tonumber(a[15])
  if current[1] and (current[1] ~= a[3] or current[3] ~= origin or current[4] ~= a[13]) then
    return {'BUSY', current[1], current[2]}
  end
  if current[1] then
    if a[13] == 'master' then redis.call('HSET', k.slots, origin, slots) end
    return {'SAME'}
  end
  for _, name in ipairs({'queue', 'running', 'finished', 'digests', 'have', 'copies', 'slots', 'uploads',
                         'pulls', 'claims', 'leases', 'waiting', 'expected', 'done', 'progress',
                         'blame', 'quarantine', 'errors'}) do
    redis.call('DEL', k[name])
  end
  local expected = tonumber(a[17])
  local hosts = {}
  for i = 18, #a do hosts[#hosts + 1] = a[i] end
  if expected == 0 and #hosts == 0 then
    hosts = redis.call('ZRANGEBYSCORE', k.minions, now - SEEN_MS, '+inf')
  end
  for _, host in ipairs(hosts) do redis.call('SADD', k.expected, host) end
  redis.call('HSET', k.run, 'id', a[3], 'state', 'staging', 'path', a[4], 'name', a[5],
             'fingerprint', a[6], 'bytes', a[7], 'piece_bytes', a[8], 'pieces', a[9],
             'manifest', a[10], 'sparse', a[11], 'origin', origin, 'origin_kind', a[13], 'master', a[14],
             'announced', blank(tonumber(a[9])),
             'expected', expected, 'known', math.max(expected, #hosts), 'started', now, 'joined', now, 'mended', now)
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
  local k, now = keys_of(a[1]), time_of(a[2])
  if not is_current(k, a[3]) then return {'STALE'} end
  local run = run_fields(k, 'origin', 'origin_kind', 'announced')
  local bytes = {string.byte(run[3], 1, -1)}
  for i = 5, #a, 2 do
    redis.call('HSET', k.digests, a[i], a[i + 1])
    local at = math.floor(a[i] / 8) + 1
    bytes[at] = bit.bor(bytes[at], bit.lshift(1, a[i] % 8))
  end
  local announced = string.char(unpack(bytes))
  redis.call('HSET', k.run, 'announced', announced)
  if a[4] == '1' then redis.call('HSET', k.run, 'state', 'staged', 'staged', now) end
  if run[2] == 'master' then
    set_have(k, run[1], announced)
    offer_and_wake(k, run[1], now)
  else
    wake(k, run[1])
  end
  return {'STAGED'}
end

-- A minion's tick is there. Args: host, fresh (1: the tick has just begun, so whatever an earlier
-- one of this address still claims is given back).
-- NONE run-ended-last, or '' · RUN finished(0/1) suspect(0/1) field value …
local function join(_, a)
  local k, now, host = keys_of(a[1]), time_of(a[2]), a[3]
  redis.call('ZADD', k.minions, now, host)
  if redis.call('EXISTS', k.run) == 0 then
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
  local k = keys_of(a[1])
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

-- What a host can serve, and how far it is. Args: run, host, bitmap, upload slots, pieces in place,
-- verified (1: it has hashed its spool anew, so suspicion is over).   VIEW state sources finished suspect
local function hold_function(_, a)
  local k, now, host = keys_of(a[1]), time_of(a[2]), a[4]
  if not is_current(k, a[3]) then return {'STALE'} end
  hold(k, host, a[5])
  -- On the master's own host the master answers for the spool.
  if not is_masters_spool(k, host) then
    redis.call('HSET', k.slots, host, a[6])
    if a[8] == '1' then trust(k, host, now) end
  end
  redis.call('SADD', k.expected, host)
  redis.call('HSET', k.progress, host, a[7])
  reap(k, now)
  offer_and_wake(k, host, now)
  return {'VIEW', view(k, host)}
end

-- Args: run, host, token, most pieces (0: the manifest alone), bitmap of what it can serve, bitmap of
-- what it does not want.
-- CLAIMED token source state sources finished suspect piece digest … · WAIT state sources finished suspect
local function claim_function(_, a)
  local k, now = keys_of(a[1]), time_of(a[2])
  if not is_current(k, a[3]) then return {'STALE'} end
  reap(k, now)
  hold(k, a[4], a[7])
  return claim(k, a[4], a[5], tonumber(a[6]), a[8], now)
end

-- A claim is over. Args: run, host, token, outcome (good, busy, unreachable, refused, missing, corrupt, local),
-- detail, bitmap of what it can serve, pieces in place, next token ('' for none), most pieces, bitmap
-- of what it does not want. Answers as claim, or as hold without a next token.
local function complete(_, a)
  local k, now, host = keys_of(a[1]), time_of(a[2]), a[4]
  if not is_current(k, a[3]) then return {'STALE'} end
  reap(k, now)
  hold(k, host, a[8])
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
    answer = claim(k, host, a[10], tonumber(a[11]), a[12], now)
  end
  -- Only now, so that nobody is woken for a slot that this host has just taken again.
  if source then offer_and_wake(k, source, now) end
  offer_and_wake(k, host, now)
  return answer
end

-- Args: run, host, token …   VIEW state sources finished suspect lost-token …
local function renew(_, a)
  local k, now = keys_of(a[1]), time_of(a[2])
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
  local k, now, host = keys_of(a[1]), time_of(a[2]), a[4]
  if not is_current(k, a[3]) then return {'STALE'} end
  local run = run_fields(k, 'state', 'manifest', 'pieces')
  if run[1] ~= 'staged' then return {'EARLY'} end
  if run[2] ~= a[5] then return {'OTHER'} end
  if redis.call('HSETNX', k.done, host, now) == 1 then note(k, 'event', 'finished', 'host', host) end
  redis.call('SADD', k.finished, host)
  redis.call('SADD', k.expected, host)
  redis.call('HSET', k.progress, host, run[3])
  redis.call('HDEL', k.waiting, host)
  redis.call('HDEL', k.errors, host)
  return {'FINISHED'}
end

-- The host stops. Args: run, host, how (claims: give back what it claims; all: it also has nothing to
-- serve and has not finished), reason ('' for none).   LEFT
local function leave(_, a)
  local k, now, host = keys_of(a[1]), time_of(a[2]), a[4]
  if not is_current(k, a[3]) then return {'STALE'} end
  release_all(k, host, now)
  redis.call('HDEL', k.waiting, host)
  if a[6] ~= '' then redis.call('HSET', k.errors, host, string.sub(a[6], 1, ERROR_BYTES)) end
  if a[5] == 'all' then
    hold(k, host, blank(tonumber(redis.call('HGET', k.run, 'pieces'))))
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
  local k, now = keys_of(a[1]), time_of(a[2])
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
  for _, name in ipairs({'run', 'lookup', 'queue', 'running', 'finished', 'digests', 'have', 'copies',
                         'slots', 'uploads', 'pulls', 'claims', 'leases', 'waiting', 'expected',
                         'done', 'progress', 'blame', 'quarantine', 'errors'}) do
    redis.call('DEL', k[name])
  end
  return answer
end

-- Takes a task out that cannot be distributed. Args: path, reason.   REFUSED · CHANGED (it is another now)
local function refuse(_, a)
  local k, now = keys_of(a[1]), time_of(a[2])
  if redis.call('GET', k.task) ~= a[3] then return {'CHANGED'} end
  redis.call('DEL', k.task, k.lookup)
  redis.call('HSET', k.last, 'path', a[3], 'outcome', 'refused', 'reason', a[4], 'ended', now)
  note(k, 'event', 'refused', 'path', a[3])
  return {'REFUSED'}
end

-- Another task waits for this run to end. Args: run.   VIEW
local function overtake(_, a)
  local k, now = keys_of(a[1]), time_of(a[2])
  if not is_current(k, a[3]) then return {'STALE'} end
  redis.call('HSETNX', k.run, 'overtaken', now)
  return {'VIEW'}
end

-- What the lingering master asks five times a second. No args.
-- LOOK task-or-'' now finished expected suspect-origin(0/1), then known joined started overtaken id state
-- path origin master of the run, or nothing
local function watch(_, a)
  local k, now = keys_of(a[1]), time_of(a[2])
  local run = run_fields(k, 'known', 'joined', 'started', 'overtaken', 'id', 'state', 'path', 'origin',
                         'master')
  local answer = {'LOOK', redis.call('GET', k.task) or '', now, redis.call('HLEN', k.done), 0, 0}
  if not run[5] then return answer end
  answer[5] = expected_count(k)
  local doubt = (is_masters_spool(k, run[8]) and 'verify ' or 'undelivered ') .. run[8]
  answer[6] = redis.call('HEXISTS', k.blame, doubt)
  for i = 1, 9 do answer[6 + i] = run[i] or '' end
  return answer
end

-- Pieces are not, or not rightly, where the origin's own minion was to find them. Args: run, host, reason.
-- VIEW
local function doubt(_, a)
  local k, host = keys_of(a[1]), a[4]
  if not is_current(k, a[3]) then return {'STALE'} end
  if redis.call('HGET', k.run, 'origin') ~= host then return {'VIEW'} end
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
  local k, now = keys_of(a[1]), time_of(a[2])
  if not is_current(k, a[3]) then return {'STALE'} end
  local origin = redis.call('HGET', k.run, 'origin')
  if is_masters_spool(k, origin) then
    set_have(k, origin, redis.call('HGET', k.run, 'announced'))
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
  local k, now = keys_of(a[1]), time_of(a[2])
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
