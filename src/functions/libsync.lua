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
--                                 announced (bitmap of the pieces in sync:digests), fresh (bitmap of
--                                 those that nobody but the origin has or pulls), left (how often
--                                 some ceased to be fresh) …
--   P sync:digests        hash    piece -> SHA-256, for every piece that has been announced
--   P sync:have           hash    address -> bitmap of the pieces that it can serve
--   P sync:copies         string  two bytes a piece, big end first: how many hosts can serve it
--   P sync:coming         string  the same: how many claims there are for it
--   P sync:hungry         zset    address -> when it last waited, having nothing yet
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
local SAMPLE = 8                -- sources looked at for a claim before all of them are; 16 cost a quarter more
                                -- Redis and gained 0.01 of the time (63 hosts), 4 lost as much
local FULLNESS = 0.5            -- uploads in use that one more useful piece makes good for; 0.25 and 1: no better
local ENOUGH = 16               -- useful pieces of a source, among which the rarest is looked for, or as many as
                                -- the claim may name (all of them: three times the Redis, tests/bench/micro)
local CHUNK = 250              -- of all sources, where the sample had nothing
local HUNGRY_MS = 1500          -- who waits asks again every second; who has not, is gone
local HUNGRY_UPLOADS = 2        -- pulls from a source at once while hosts wait that have nothing: sources double
                                -- fastest with 1 or 2 (slots share a link), and 1 leaves it idle between two
local PIECES_PER_UPLOAD = 4     -- that have left the origin, for each upload of it beyond HUNGRY_UPLOADS: all at
                                -- once they would arrive all at once, late, and go on in step
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
    for _, name in ipairs({'run', 'digests', 'have', 'copies', 'coming', 'hungry', 'slots', 'uploads', 'pulls', 'claims',
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

-- Bitmaps are looked at 32 pieces at a time.
local FORMATS = {}   -- bytes of a bitmap -> how it is unpacked
local BIT_OF = {}    -- 2^n -> n
for n = 0, 30 do BIT_OF[2 ^ n] = n end
BIT_OF[-2 ^ 31] = 31  -- As bit.band() has it.

-- A bitmap as words; those past its end are missing.
local function words_of(bitmap)
  local format = FORMATS[#bitmap]
  if not format then
    format = '<' .. string.rep('I4', math.floor(#bitmap / 4)) .. string.rep('B', #bitmap % 4)
    FORMATS[#bitmap] = format
  end
  local words = {struct.unpack(format, bitmap)}
  local whole, rest = math.floor(#bitmap / 4), #bitmap % 4
  if rest > 0 then
    words[whole + 1] = words[whole + 1] + 256 * (rest > 1 and words[whole + 2] or 0)
                       + 65536 * (rest > 2 and words[whole + 3] or 0)
  end
  for i = #words, whole + (rest > 0 and 2 or 1), -1 do words[i] = nil end
  return words
end

-- Adds the pieces of a word, the first of which is `base`, to a list.
local function append_pieces(list, base, word)
  local n = #list
  while word ~= 0 do
    local lowest = bit.band(word, -word)
    n = n + 1
    list[n] = base + BIT_OF[lowest]
    word = bit.bxor(word, lowest)
  end
end

-- True if `have` holds a piece that `unwanted` does not.
local function offers_something(have, unwanted)
  local words, not_wanted = words_of(have), words_of(unwanted)
  for i = 1, #words do
    if bit.band(words[i], bit.bnot(not_wanted[i] or 0)) ~= 0 then return true end
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
local function wake_waiting(k, host, now)
  if redis.call('HLEN', k.waiting) == 0 then return end
  local free, have = offer(k, host, now)
  if free == 0 then return end
  local hungry = redis.call('ZRANGE', k.hungry, 0, free - 1)
  local used = #hungry > 0 and tonumber(redis.call('HGET', k.uploads, host) or 0)
  for _, one in ipairs(hungry) do
    if used >= HUNGRY_UPLOADS then return end
    redis.call('ZREM', k.hungry, one)
    if redis.call('HDEL', k.waiting, one) == 1 then
      wake(k, one)
      free, used = free - 1, used + 1
    end
  end
  if free == 0 then return end
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

local function offer_and_wake(k, host, now)
  offer(k, host, now)
  wake_waiting(k, host, now)
end

-- Packed counts: two bytes a piece.
local function count_of(counts, piece)
  local high, low = string.byte(counts, piece * 2 + 1, piece * 2 + 2)
  return (high or 0) * 256 + (low or 0)
end

-- Returns what the counts are then.
local function add_to(key, pieces, change)
  local after = {}
  if #pieces == 0 then return after end
  local counts = redis.call('GET', key) or ''
  for i = 1, #pieces do
    local count = math.max(0, math.min(count_of(counts, pieces[i]) + change, 65535))
    redis.call('SETRANGE', key, pieces[i] * 2, string.char(math.floor(count / 256), count % 256))
    after[i] = count
  end
  return after
end

local function pieces_of(list)
  local pieces = {}
  for piece in string.gmatch(list, '%d+') do pieces[#pieces + 1] = tonumber(piece) end
  return pieces
end

-- Sets or clears pieces in sync:run fresh: those that only the origin has and nobody pulls.
local function mark_fresh(k, pieces, is_fresh)
  local fresh, changed = redis.call('HGET', k.run, 'fresh'), false
  for i = 1, #pieces do
    local at, mask = math.floor(pieces[i] / 8) + 1, bit.lshift(1, pieces[i] % 8)
    local byte = string.byte(fresh, at) or 0
    local new = is_fresh and bit.bor(byte, mask) or bit.band(byte, bit.bnot(mask))
    if new ~= byte then
      fresh = string.sub(fresh, 1, at - 1) .. string.char(new) .. string.sub(fresh, at + 1)
      changed = true
    end
  end
  if changed then redis.call('HSET', k.run, 'fresh', fresh) end
  if changed and not is_fresh then redis.call('HINCRBY', k.run, 'left', 1) end
end

-- Writes what a host can serve, and counts the copies of every piece that changed. True if it had
-- nothing before, or has nothing now.
local function set_have(k, host, have, is_origin)
  local before = redis.call('HGET', k.have, host) or string.rep('\0', #have)
  if before == have then return false end
  redis.call('HSET', k.have, host, have)
  local old, new, gained, lost = words_of(before), words_of(have), {}, {}
  for i = 1, #new do
    local was, is = old[i] or 0, new[i]
    if was ~= is then
      append_pieces(gained, 32 * (i - 1), bit.band(is, bit.bnot(was)))
      append_pieces(lost, 32 * (i - 1), bit.band(was, bit.bnot(is)))
    end
  end
  add_to(k.copies, gained, 1)
  add_to(k.copies, lost, -1)
  if not is_origin then mark_fresh(k, gained, false) end
  return not (string.find(before, '[^%z]') and string.find(have, '[^%z]'))
end

local function is_masters_spool(k, host)
  local origin = run_fields(k, 'origin', 'origin_kind')
  return host == origin[1] and origin[2] == 'master'
end

-- The word of a host about itself is the truth, but for the origin's spool, which the master fills.
local function hold(k, host, have)
  local run = run_fields(k, 'pieces', 'origin', 'origin_kind')
  if host == run[2] and run[3] == 'master' then return false end
  return #have == math.ceil(run[1] / 8) and set_have(k, host, have, host == run[2])
end

-- Whether the host is to hash its spool anew.
local function is_suspect(k, host)
  if redis.call('HEXISTS', k.blame, 'verify ' .. host) == 0 then return 0 end
  return is_masters_spool(k, host) and 0 or 1
end

-- One upload slot of a source is taken (1) or given back (-1). Only the last one changes whether it is
-- in synchronize_queue.
local function use_upload(k, source, change, now)
  local used = redis.call('HINCRBY', k.uploads, source, change)
  if used <= 0 then redis.call('HDEL', k.uploads, source) end
  local slots = tonumber(redis.call('HGET', k.slots, source) or 0)
  if math.max(used, used - change) >= slots then offer(k, source, now) end
end

-- Ends a claim: its source has the slot back, and whoever calls this tells those who wait. Returns
-- puller and source, or nothing if the token is unknown. What nobody got from the origin after all is
-- fresh again.
local function release(k, token, now)
  local claim = redis.call('HGET', k.claims, token)
  redis.call('ZREM', k.leases, token)
  if not claim then return nil end
  redis.call('HDEL', k.claims, token)
  local puller, source, list = string.match(claim, '^(%S+) (%S+) ?(%S*)')
  local pieces = pieces_of(list)
  local coming, fresh = add_to(k.coming, pieces, -1), {}
  for i = 1, #pieces do
    if coming[i] == 0 then fresh[#fresh + 1] = pieces[i] end
  end
  if #fresh > 0 then
    local copies = redis.call('GET', k.copies) or ''
    for i = #fresh, 1, -1 do
      if count_of(copies, fresh[i]) > 1 then table.remove(fresh, i) end
    end
    if #fresh > 0 then mark_fresh(k, fresh, true) end
  end
  if redis.call('HINCRBY', k.pulls, puller, -1) <= 0 then
    redis.call('HDEL', k.pulls, puller)
    redis.call('SREM', k.running, puller)
  end
  use_upload(k, source, -1, now)
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

-- Sources out of `hosts` that this puller may use now: names, what they can serve, and how many upload
-- slots of theirs are in use.
local function usable(k, puller, hosts, slots, now)
  local n = #hosts
  if n == 0 then return {}, {}, {} end
  local haves = redis.call('HMGET', k.have, unpack(hosts))
  local used = redis.call('HMGET', k.uploads, unpack(hosts))
  local avoided = nil
  if redis.call('HLEN', k.blame) > 0 then
    local fields = {}
    for i = 1, n do fields[i] = 'avoid ' .. puller .. ' ' .. hosts[i] end
    avoided = redis.call('HMGET', k.blame, unpack(fields))
  end
  local names, bitmaps, uploads = {}, {}, {}
  for i = 1, n do
    local till = avoided and avoided[i] and tonumber(string.match(avoided[i], '^%d+'))
    if haves[i] and hosts[i] ~= puller and not (till and till > now) and tonumber(used[i] or 0) < slots then
      local at = #names + 1
      names[at], bitmaps[at], uploads[at] = hosts[i], haves[i], tonumber(used[i] or 0)
    end
  end
  return names, bitmaps, uploads
end

-- What has been announced and is not unwanted, as words; nothing if there is nothing.
local function wanted_of(announced, unwanted)
  local wanted, not_wanted, any = words_of(announced), words_of(unwanted), false
  for i = 1, #wanted do
    wanted[i] = bit.band(wanted[i], bit.bnot(not_wanted[i] or 0))
    any = any or wanted[i] ~= 0
  end
  return any and wanted
end

-- What a host has of the wanted pieces; `enough` of them, from a random place on, if it has more.
local function pieces_in(have, wanted, enough)
  local pieces, words, n = {}, words_of(have), #wanted
  local first = math.random(n)
  for i = 0, n - 1 do
    local at = (first + i - 1) % n + 1
    local word = bit.band(words[at] or 0, wanted[at])
    if word ~= 0 then
      append_pieces(pieces, 32 * (at - 1), word)
      if #pieces >= enough then break end
    end
  end
  return pieces
end

-- How rare the pieces of a host are: how many have each, or are about to.
local function rarities(pieces, copies, coming)
  local rarity, lowest = {}, math.huge
  for i = 1, #pieces do
    local count = count_of(copies, pieces[i]) + count_of(coming, pieces[i])
    rarity[pieces[i]] = count
    if count < lowest then lowest = count end
  end
  return rarity, lowest
end

-- The best source: see find_source. Returns its index, its useful pieces and how rare
-- each is. `known` keeps what a bitmap is worth: at the beginning many hosts have the same.
local function best_source(known, copies, coming, bitmaps, uploads, wanted, most)
  local best, best_score, ties = nil, math.huge, 0
  for s = 1, #bitmaps do
    local worth = known[bitmaps[s]]
    if worth == nil then
      local useful = pieces_in(bitmaps[s], wanted, math.max(ENOUGH, most))
      worth = false
      if #useful > 0 then
        local rarity, lowest = rarities(useful, copies, coming)
        worth = {useful, rarity, lowest * 1e-6 - FULLNESS * math.min(#useful, most)}
      end
      known[bitmaps[s]] = worth
    end
    if worth then
      local score = uploads[s] + worth[3]
      if score < best_score then
        best, best_score, ties = s, score, 1
      elseif score == best_score then
        ties = ties + 1
        if math.random(ties) == 1 then best = s end
      end
    end
  end
  if best then
    local worth = known[bitmaps[best]]
    return best, worth[1], worth[2]
  end
end

-- Up to `most` of the useful pieces, rarest first, ties at random.
local function choose(useful, rarity, most)
  if #useful > most then
    local key = {}
    for i = 1, #useful do key[useful[i]] = rarity[useful[i]] + math.random() end
    table.sort(useful, function(a, b) return key[a] < key[b] end)
    for i = #useful, most + 1, -1 do useful[i] = nil end
    table.sort(useful)
  end
  return useful
end

-- Up to `most` of the pieces that only the origin has and nobody pulls, from a random place on.
local function choose_fresh(fresh, have, wanted, most)
  local words, had, pieces, n = words_of(fresh), words_of(have), {}, #wanted
  local first = math.random(n)
  for i = 0, n - 1 do
    local at = (first + i - 1) % n + 1
    local word = bit.band(words[at] or 0, had[at] or 0, wanted[at])
    if word ~= 0 then append_pieces(pieces, 32 * (at - 1), word) end
    if #pieces >= most then break end
  end
  for i = 1, math.min(most, #pieces) do
    local j = math.random(i, #pieces)
    pieces[i], pieces[j] = pieces[j], pieces[i]
  end
  for i = #pieces, most + 1, -1 do pieces[i] = nil end
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

local function is_usable_now(k, puller, source, slots, now)
  if source == puller or redis.call('SISMEMBER', k.queue, source) == 0 then return false end
  if slots < math.huge and tonumber(redis.call('HGET', k.uploads, source) or 0) >= slots then return false end
  local avoided = redis.call('HGET', k.blame, 'avoid ' .. puller .. ' ' .. source)
  return not avoided or tonumber(string.match(avoided, '^%d+')) <= now
end

-- A source for `host`, and the pieces to pull from it; nothing if there is none. The origin first, as
-- long as it has what nobody else has or pulls: its link is the one that every byte has to pass, so it
-- carries nothing twice before everything has left once. Then, of a sample of the others, the one with
-- the fewest uploads in use (a link that is shared by few is fast), more useful pieces making up for
-- some, and of equals the one with the rarest piece, ties at random. Then everybody, in chunks: Lua
-- passes some 8,000 values to a call at the most. Then the origin for anything.
local function find_source(k, host, most, slots, unwanted, now)
  local run = run_fields(k, 'announced', 'fresh', 'origin', 'left')
  local wanted = most > 0 and wanted_of(run[1], unwanted)
  if most > 0 and not wanted then return nil end
  local origin = is_usable_now(k, host, run[3], math.min(slots, HUNGRY_UPLOADS + math.floor(tonumber(run[4]) / PIECES_PER_UPLOAD)), now) and run[3]
  if origin and most > 0 then
    local pieces = choose_fresh(run[2], redis.call('HGET', k.have, origin), wanted, most)
    if #pieces > 0 then return origin, pieces end
  end
  local copies, coming
  local known = {}
  local function look(hosts)
    local names, bitmaps, uploads = usable(k, host, hosts, slots, now)
    if most == 0 then return names[1], {} end
    copies = copies or redis.call('GET', k.copies) or ''
    coming = coming or redis.call('GET', k.coming) or ''
    local best, useful, rarity = best_source(known, copies, coming, bitmaps, uploads, wanted, most)
    if best then return names[best], choose(useful, rarity, most) end
  end
  local sample = redis.call('SRANDMEMBER', k.queue, SAMPLE)
  for i = #sample, 1, -1 do
    if sample[i] == run[3] then table.remove(sample, i) end
  end
  local source, pieces = look(sample)
  if source then return source, pieces end
  if #sample >= SAMPLE - 1 then
    local all = redis.call('SMEMBERS', k.queue)
    for first = 1, #all, CHUNK do
      source, pieces = look({unpack(all, first, math.min(first + CHUNK - 1, #all))})
      if source then return source, pieces end
    end
  end
  if origin then return look({origin}) end
end

-- A host that has nothing yet serves nobody: it goes first, or a few hosts would keep all slots to
-- themselves and the number of sources would grow by one a round rather than double.
local function yields(k, have, now)
  if not string.find(have, '[^%z]') then return false end
  local hungry = redis.call('ZCOUNT', k.hungry, now - HUNGRY_MS, '+inf')
  return hungry > 0 and hungry >= redis.call('SCARD', k.queue)
end

-- Takes a source for `host`. With `most` of 0 it is for the manifest alone: any source will do.
local function claim(k, host, token, most, have, unwanted, now)
  local known = redis.call('HGET', k.claims, token)
  if known then
    local puller, source, list = string.match(known, '^(%S+) (%S+) ?(%S*)$')
    if puller ~= host then return {'WAIT', view(k, host)} end
    return answer_claim(k, host, token, source, pieces_of(list))
  end
  local source, pieces
  local is_hungry = not string.find(have, '[^%z]') and redis.call('HLEN', k.waiting) > 0
  if not yields(k, have, now) then
    source, pieces = find_source(k, host, most, is_hungry and HUNGRY_UPLOADS or math.huge, unwanted, now)
  end
  if not source then
    if not string.find(have, '[^%z]') then redis.call('ZADD', k.hungry, now, host) end
    -- For the manifest any source will do.
    redis.call('HSET', k.waiting, host, most == 0 and string.rep('\0', #unwanted) or unwanted)
    return {'WAIT', view(k, host)}
  end
  redis.call('HDEL', k.waiting, host)
  redis.call('ZREM', k.hungry, host)
  redis.call('HSET', k.claims, token, host .. ' ' .. source .. ' ' .. table.concat(pieces, ','))
  redis.call('ZADD', k.leases, now + LEASE_MS, token)
  add_to(k.coming, pieces, 1)
  mark_fresh(k, pieces, false)
  redis.call('HINCRBY', k.pulls, host, 1)
  redis.call('SADD', k.running, host)
  use_upload(k, source, 1, now)
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
  for _, name in ipairs({'queue', 'running', 'finished', 'digests', 'have', 'copies', 'coming', 'hungry', 'slots', 'uploads',
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
             'announced', blank(tonumber(a[9])), 'fresh', blank(tonumber(a[9])), 'left', 0,
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
  local bytes, pieces = {string.byte(run[3], 1, -1)}, {}
  local copies = redis.call('GET', k.copies) or ''
  for i = 5, #a, 2 do
    redis.call('HSET', k.digests, a[i], a[i + 1])
    if count_of(copies, tonumber(a[i])) == 0 then pieces[#pieces + 1] = tonumber(a[i]) end
    local at = math.floor(a[i] / 8) + 1
    bytes[at] = bit.bor(bytes[at], bit.lshift(1, a[i] % 8))
  end
  local announced = string.char(unpack(bytes))
  redis.call('HSET', k.run, 'announced', announced)
  mark_fresh(k, pieces, true)
  if a[4] == '1' then redis.call('HSET', k.run, 'state', 'staged', 'staged', now) end
  if run[2] == 'master' then
    set_have(k, run[1], announced, true)
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
  if hold(k, a[4], a[7]) then offer(k, a[4], now) end
  return claim(k, a[4], a[5], tonumber(a[6]), a[7], a[8], now)
end

-- A claim is over. Args: run, host, token, outcome (good, busy, unreachable, refused, missing, corrupt, local),
-- detail, bitmap of what it can serve, pieces in place, next token ('' for none), most pieces, bitmap
-- of what it does not want. Answers as claim, or as hold without a next token.
local function complete(_, a)
  local k, now, host = keys_of(a[1]), time_of(a[2]), a[4]
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
    answer = claim(k, host, a[10], tonumber(a[11]), a[8], a[12], now)
  end
  -- Only now, so that nobody is woken for a slot that this host has just taken again.
  if source then wake_waiting(k, source, now) end
  wake_waiting(k, host, now)
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
  for _, name in ipairs({'run', 'lookup', 'queue', 'running', 'finished', 'digests', 'have', 'copies', 'coming', 'hungry',
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
