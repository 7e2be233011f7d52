
-- Sources: the pieces that each host can serve, its upload slots, the hosts that wait for a slot,
-- and the end of a claim.

-- Bitmaps are processed in words of 32 pieces.
local FORMATS = {}    -- Bytes of a bitmap -> format that unpacks it.
local BIT_OF = {}     -- 2^n -> n.
for n = 0, 30 do BIT_OF[2 ^ n] = n end
BIT_OF[-2 ^ 31] = 31  -- bit.band() returns the highest bit as a negative number.

-- A bitmap as words. Words past its end are nil. No run has pieces past MAX_PIECES.
local function words_of(bitmap)
  if #bitmap > MAX_PIECES / 8 then bitmap = string.sub(bitmap, 1, MAX_PIECES / 8) end
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

-- Appends the pieces of a word to a list. `base` is the piece of the lowest bit.
local function append_pieces(list, base, word)
  local n = #list
  while word ~= 0 do
    local lowest = bit.band(word, -word)
    n = n + 1
    list[n] = base + BIT_OF[lowest]
    word = bit.bxor(word, lowest)
  end
end

-- The pieces of a bitmap.
local function members_of(bitmap)
  local pieces = {}
  for i, word in ipairs(words_of(bitmap)) do append_pieces(pieces, 32 * (i - 1), word) end
  return pieces
end

-- True if `have` holds a piece that `unwanted` lacks.
local function offers_something(have, unwanted)
  local words, not_wanted = words_of(have), words_of(unwanted)
  for i = 1, #words do
    if bit.band(words[i], bit.bnot(not_wanted[i] or 0)) ~= 0 then return true end
  end
  return false
end

local function has_any(bitmap)
  return string.find(bitmap, '[^%z]') ~= nil
end

local function has_piece(bitmap, piece)
  local byte = string.byte(bitmap, math.floor(piece / 8) + 1) or 0
  return bit.band(byte, bit.lshift(1, piece % 8)) ~= 0
end

-- A copy of the bitmap with these pieces set or cleared.
local function with_pieces(bitmap, pieces, is_set)
  for i = 1, #pieces do
    local at, mask = math.floor(pieces[i] / 8) + 1, bit.lshift(1, pieces[i] % 8)
    local byte = string.byte(bitmap, at) or 0
    local new = is_set and bit.bor(byte, mask) or bit.band(byte, bit.bnot(mask))
    if new ~= byte then bitmap = string.sub(bitmap, 1, at - 1) .. string.char(new) .. string.sub(bitmap, at + 1) end
  end
  return bitmap
end

local function is_quarantined(k, host, now)
  local till = tonumber(redis.call('ZSCORE', k.quarantine, host) or 0)
  return till > now and till <= now + QUARANTINE_MAX_MS
end

-- The upload slots that a host offers.
local function slots_at(k, host)
  return math.min(number_of(redis.call('HGET', k.slots, host)), MAX_SLOTS)
end

-- Whether the master fills the spool of this host: it is the origin, and no push goes to it.
local function is_masters_spool(k, host)
  return host == k.of.origin and k.of.origin_kind == 'master'
end

-- Whether a suspect host must offer nothing until its spool is reverified. The master reverifies
-- its own spool once the run is staged. Before that it may be the only source, and goes on serving.
local function is_held_back(k, host)
  return redis.call('HEXISTS', k.blame, 'verify ' .. host) == 1
         and not (is_masters_spool(k, host) and k.of.state == 'staging')
end

-- Adds the host to synchronize_queue, or removes it, as its state demands now. Returns the number
-- of upload slots that others may use, and with it the bitmap of what they can get there.
local function offer(k, host, now)
  local free = math.floor(slots_at(k, host) - number_of(redis.call('HGET', k.uploads, host)))
  local have = free > 0 and redis.call('HGET', k.have, host)
  if have and has_any(have)
     and not (is_blame(k) and (is_quarantined(k, host, now) or is_held_back(k, host))) then
    redis.call('SADD', k.queue, host)
    return free, have
  end
  redis.call('SREM', k.queue, host)
  return 0
end

-- Wakes a host. The element ends its listening at once, or as soon as it listens.
local function wake(k, host)
  local list = k.wake .. host
  if redis.call('EXISTS', list) == 0 then redis.call('LPUSH', list, '1') end
  redis.call('EXPIRE', list, WAKE_TTL_S)
end

-- Wakes a waiting host, and names the source that it shall try.
local function call_to(k, host, source)
  redis.call('HSET', k.woken, host, source)
  wake(k, host)
end

-- Wakes as many waiting hosts as can use the free slots of a source. Hosts without any piece come
-- first. `except` is a host that cannot use a slot now, or nil.
local function wake_for(k, host, free, have, except)
  if free == 0 or waiting_count(k) == 0 then return end
  local hungry = redis.call('ZRANGE', k.hungry, 0, free - 1)
  local used = #hungry > 0 and number_of(redis.call('HGET', k.uploads, host))
  for _, one in ipairs(hungry) do
    if used >= HUNGRY_UPLOADS then return end
    if one ~= except then
      redis.call('ZREM', k.hungry, one)
      if wait_no_more(k, one) then
        call_to(k, one, host)
        free, used = free - 1, used + 1
      end
    end
  end
  if free == 0 then return end
  local waiting = redis.call('HRANDFIELD', k.waiting, WAITERS_TRIED, 'WITHVALUES')
  for i = 1, #waiting, 2 do
    if waiting[i] ~= host and waiting[i] ~= except and offers_something(have, waiting[i + 1]) then
      wait_no_more(k, waiting[i])
      call_to(k, waiting[i], host)
      free = free - 1
      if free == 0 then return end
    end
  end
end

local function offer_and_wake(k, host, now, except)
  local free, have = offer(k, host, now)
  wake_for(k, host, free, have, except)
end

-- The same for a host whose membership in synchronize_queue is right already.
local function wake_waiting(k, host, now, except)
  if waiting_count(k) > 0 then offer_and_wake(k, host, now, except) end
end

-- Packed counts, two bytes a piece: the text at the beginning of this call, and its changes.
local function counts_of(k, name)
  local counts = k[name .. '_now']
  if not counts then
    counts = {text = redis.call('GETRANGE', k[name], 0, 2 * MAX_PIECES - 1), changed = {}}
    k[name .. '_now'] = counts
  end
  return counts
end

local function count_of(counts, piece)
  local changed = counts.changed[piece]
  if changed then return changed end
  local high, low = string.byte(counts.text, piece * 2 + 1, piece * 2 + 2)
  return (high or 0) * 256 + (low or 0)
end

-- Adds `change` to the count of each piece. Neighbouring pieces are written by one command.
local function add_to(k, name, pieces, change)
  if #pieces == 0 then return end
  local counts = counts_of(k, name)
  local i = 1
  while i <= #pieces do
    local first, packed = pieces[i], {}
    repeat
      local count = math.max(0, math.min(count_of(counts, pieces[i]) + change, 65535))
      packed[#packed + 1] = string.char(math.floor(count / 256), count % 256)
      counts.changed[pieces[i]] = count
      i = i + 1
    until pieces[i] ~= first + #packed
    redis.call('SETRANGE', k[name], first * 2, table.concat(packed))
  end
end

-- The pieces of the run that a claim's list names. A list of all pieces has five bytes for each.
local function pieces_of(k, list)
  local pieces, count = {}, tonumber(k.of.pieces)
  for piece in string.gmatch(string.sub(list, 1, 5 * MAX_PIECES), '%d+') do
    if tonumber(piece) < count then pieces[#pieces + 1] = tonumber(piece) end
  end
  return pieces
end

-- Puller, source, pieces and time of a claim; nil if it is malformed.
local function parts_of(k, claim)
  local puller, source, granted, list = string.match(claim, '^(%S+) (%S+) (%d+) ?(%S*)$')
  if puller then return puller, source, pieces_of(k, list), number_of(granted) end
end

-- A bitmap that a caller passes, with the length of the run.
local function fitted(k, bitmap)
  local length = math.ceil(k.of.pieces / 8)
  if #bitmap == length then return bitmap end
  return string.sub(bitmap, 1, length) .. string.rep('\0', length - #bitmap)
end

-- Sets or clears pieces in sync:course fresh: no host but the origin has or pulls a fresh piece.
local function mark_fresh(k, pieces, is_fresh)
  if has_trees(k) then return end
  local fresh = with_pieces(k.of.fresh, pieces, is_fresh)
  if fresh == k.of.fresh then return end
  k.of.fresh = fresh
  redis.call('HSET', k.course, 'fresh', fresh)
  if is_fresh then return end
  k.of.left = k.of.left + 1
  redis.call('HSET', k.course, 'left', k.of.left)
end

-- Writes the bitmap of a host, and counts the copies of each piece that it gained or lost. True if
-- the host may have changed between having nothing and having something.
local function set_have(k, host, have)
  if has_trees(k) then
    redis.call('HSET', k.have, host, have)
    return true
  end
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
  add_to(k, 'copies', gained, 1)
  add_to(k, 'copies', lost, -1)
  if host ~= k.of.origin then mark_fresh(k, gained, false) end
  return not (has_any(before) and has_any(have))
end

-- Writes what a host reports about itself. Its report is the truth, except about the spool that the
-- master fills.
local function hold(k, host, have)
  if is_masters_spool(k, host) or #have ~= math.ceil(k.of.pieces / 8) then return false end
  return set_have(k, host, have)
end

-- Whether the host itself must reverify its spool.
local function is_suspect(k, host)
  if not is_blame(k) or redis.call('HEXISTS', k.blame, 'verify ' .. host) == 0 then return 0 end
  return is_masters_spool(k, host) and 0 or 1
end

-- Occupies an upload slot of a source (`change` 1) or frees it (-1). Only the last slot changes its
-- membership in synchronize_queue.
local function use_upload(k, source, change, now)
  local used = redis.call('HINCRBY', k.uploads, source, change)
  if used <= 0 then redis.call('HDEL', k.uploads, source) end
  if math.max(used, used - change) >= slots_at(k, source) then offer(k, source, now) end
end

-- Ends a claim and frees the slot of its source. The caller must wake waiting hosts. Returns puller
-- and source, when the claim was granted and its number of pieces, or nil if the token is unknown.
-- Pieces that no host got are fresh again.
local function release(k, token, now)
  local claim = redis.call('HGET', k.claims, token)
  redis.call('ZREM', k.leases, token)
  if not claim then return nil end
  redis.call('HDEL', k.claims, token)
  local puller, source, pieces, granted = parts_of(k, claim)
  if not puller then return nil end
  local fresh = {}
  add_to(k, 'coming', pieces, -1)
  local at_origin = redis.call('HGET', k.have, k.of.origin) or ''
  for i = 1, #pieces do
    local copies = count_of(counts_of(k, 'copies'), pieces[i])
    if count_of(counts_of(k, 'coming'), pieces[i]) == 0
       and (copies == 0 or copies == 1 and has_piece(at_origin, pieces[i])) then
      fresh[#fresh + 1] = pieces[i]
    end
  end
  mark_fresh(k, fresh, true)
  if redis.call('HINCRBY', k.pulls, puller, -1) <= 0 then
    redis.call('HDEL', k.pulls, puller)
    redis.call('SREM', k.running, puller)
  end
  use_upload(k, source, -1, now)
  return puller, source, granted, #pieces
end

-- Ends every claim of a host.
local function release_all(k, host, now)
  local left = number_of(redis.call('HGET', k.pulls, host))
  if left <= 0 then return end
  local claims, puller = redis.call('HGETALL', k.claims), host .. ' '
  for i = 1, #claims, 2 do
    if string.sub(claims[i + 1], 1, #puller) == puller then
      local _, source = release(k, claims[i], now)
      if source then offer_and_wake(k, source, now) end
      left = left - 1
      if left == 0 then return end
    end
  end
end

-- Stores how many pieces are in place on a host, and counts the new ones for people.
local function store_progress(k, host, in_place)
  local before = number_of(redis.call('HGET', k.progress, host))
  redis.call('HSET', k.progress, host, in_place)
  local more = number_of(in_place) - before
  if more == 0 then return end
  redis.call('HINCRBY', k.moves, 'placed', more)
  if more < 0 then return end
  local second = math.floor(k.now / 1000)
  local then_, pieces = string.match(redis.call('HGET', k.moves, second % 16) or '', '^(%d+) (%d+)$')
  if then_ == tostring(second) then more = more + number_of(pieces) end
  redis.call('HSET', k.moves, second % 16, second .. ' ' .. more, 'last', k.now)
end

-- A table of member -> true.
local function set_of(members)
  local set = {}
  for _, member in ipairs(members) do set[member] = true end
  return set
end

-- Calls a command with a key and any number of members.
local function call_with(command, key, members)
  for first = 1, #members, ARGUMENTS_AT_ONCE do
    redis.call(command, key, unpack(members, first, math.min(first + ARGUMENTS_AT_ONCE - 1, #members)))
  end
end

local mend  -- Defined in mend.lua.

-- Ends lapsed claims and quarantines that are over, and mends derived keys. No other function does
-- any of this.
local function reap(k, now)
  if now - tonumber(k.of.reaped) < REAP_MS then return end
  redis.call('HSET', k.course, 'reaped', now)
  for _, token in ipairs(redis.call('ZRANGEBYSCORE', k.leases, '-inf', now, 'LIMIT', 0, REAPED_AT_ONCE)) do
    local puller, source = release(k, token, now)
    if puller then
      note(k, 'event', 'lapsed', 'host', puller, 'source', source)
      offer_and_wake(k, source, now)
    end
  end
  for _, host in ipairs(redis.call('ZRANGEBYSCORE', k.quarantine, '-inf', now, 'LIMIT', 0, REAPED_AT_ONCE)) do
    redis.call('ZREM', k.quarantine, host)
    redis.call('HDEL', k.unfed, host)
    offer_and_wake(k, host, now)
  end
  local mending = number_of(k.of.mending)
  if mending == 0 and now - tonumber(k.of.mended) < MEND_MS then return end
  redis.call('HSET', k.course, 'mended', now, 'mending', mend(k, mending, now))
end
