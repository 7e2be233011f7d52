
-- Mending: keys that can be derived from other keys are derived again every 10 s. One of them may
-- have been lost, or another program may have written to it. With many hosts a call does one step of
-- this, so that none keeps Redis for long. Few hosts call seldom, so each call does all steps.

do  -- Lua has room for 200 local names outside of blocks.

local FEW_HOSTS = 100  -- With more, one call that does all steps would need over 10 ms.
local FEW_CLAIMS = 1000
local CLAIMS_COUNTED = 2000  -- With more claims, sums alone show whether something was lost.
local WORTH_COUNTING = 50000  -- Hosts times pieces: with more, a sample shows it.
local BYTES_COUNTED = 30000  -- Bytes of bitmaps that one call visits: ./tests/bench/micro --benchmark_filter=Call
local MENDED_AT_ONCE = 300  -- Hosts that one call visits.
local CHANGED_AT_ONCE = 3000  -- Arguments of the commands by which one call corrects a key.
local SEATS_AT_ONCE = 1000  -- Seats that one call compares.
local SAMPLED = 8  -- Hosts of a sample.
local LAST = { '[048d]', '[159ae]', '[26bf:]', '[37c]' }  -- Last characters of addresses, by their byte modulo 4.

-- Makes the counts of the hosts that match `of` equal to `right`, a table of host -> count. True if
-- some are left.
local function rewrite_hash(k, name, right, of)
  local found, extra, wrong = redis.call('HSCAN', k[name], 0, 'MATCH', '*' .. of, 'COUNT', 2 * MAX_HOSTS)[2], {}, {}
  for i = 1, #found, 2 do
    local host = found[i]
    if not right[host] then
      if #extra < CHANGED_AT_ONCE then extra[#extra + 1] = host end
    elseif tostring(right[host]) == found[i + 1] then
      right[host] = nil
    end
  end
  for host, count in pairs(right) do
    local n = #wrong
    wrong[n + 1], wrong[n + 2] = host, count
    if n >= CHANGED_AT_ONCE then break end
  end
  call_with('HDEL', k[name], extra)
  call_with('HSET', k[name], wrong)
  return #extra + #wrong >= CHANGED_AT_ONCE
end

-- Makes the packed counts of the pieces `first` to `last` equal to `right`, a table of piece -> count.
local function rewrite_counts(k, name, right, first, last)
  local packed = {}
  for piece = first, last do
    local count = math.min(right[piece] or 0, 65535)
    packed[#packed + 1] = string.char(math.floor(count / 256), count % 256)
  end
  local text, found = table.concat(packed), redis.call('GETRANGE', k[name], 2 * first, 2 * last + 1)
  k[name .. '_now'] = nil
  if found .. string.rep('\0', #text - #found) ~= text then redis.call('SETRANGE', k[name], 2 * first, text) end
end

-- The sum of the counts of a hash.
local function sum_of(k, name)
  local all, sum = redis.call('HGETALL', k[name]), 0
  for i = 2, #all, 2 do sum = sum + number_of(all[i]) end
  return sum
end

-- Each claim has a lease, and no lease is without a claim. True if some are left.
local function mend_leases(k, now)
  local count = redis.call('HLEN', k.claims)
  if count > CLAIMS_COUNTED and redis.call('ZCOUNT', k.leases, '-inf', '+inf') == count then return false end
  local leases, missing, extra = set_of(redis.call('ZRANGE', k.leases, 0, -1)), {}, {}
  for _, token in ipairs(redis.call('HKEYS', k.claims)) do
    local n = #missing
    if leases[token] then
      leases[token] = nil
    elseif n < CHANGED_AT_ONCE then
      missing[n + 1], missing[n + 2] = now + LEASE_MS, token
    end
  end
  for token in pairs(leases) do
    extra[#extra + 1] = token
    if #extra >= CHANGED_AT_ONCE then break end
  end
  call_with('ZADD', k.leases, missing)
  call_with('ZREM', k.leases, extra)
  return #missing + #extra >= CHANGED_AT_ONCE
end

-- Counts the claims of each puller or source again: a claim begins with both. With many claims a call
-- counts only the hosts of one class, by their last characters. A malformed claim ends with its lease.
local function mend_counts(k, name, are_sources, cursor)
  local count = redis.call('HLEN', k.claims)
  local are_many = count > CLAIMS_COUNTED
  if are_many and cursor == 0 and sum_of(k, name) == count then return end
  local class, right = math.min(math.max(cursor, 1), #LAST), {}
  for _, claim in ipairs(redis.call('HVALS', k.claims)) do
    local first, space = 1, string.find(claim, ' ', 1, true) or 1
    if are_sources then first, space = space + 1, string.find(claim, ' ', space + 1, true) or 1 end
    if space > first and (not are_many or string.byte(claim, space - 1) % 4 == class - 1) then
      local host = string.sub(claim, first, space - 1)
      right[host] = (right[host] or 0) + 1
    end
  end
  if rewrite_hash(k, name, right, are_many and LAST[class] or '') then return class end
  return are_many and class < #LAST and class + 1
end

-- A host that pulls is in running_queue, and with it a seated one that has not finished.
local function mend_running(k)
  local some, pulling = redis.call('SRANDMEMBER', k.running, MENDED_AT_ONCE), redis.call('HKEYS', k.pulls)
  local pulls = set_of(pulling)
  for _, host in ipairs(some) do
    local is_seated = has_trees(k) and redis.call('HEXISTS', k.seat_of, host) == 1
    if not pulls[host] and not (is_seated and redis.call('HEXISTS', k.done, host) == 0) then
      redis.call('SREM', k.running, host)
    end
  end
  call_with('SADD', k.running, pulling)
end

-- Whether sync:coming knows the pieces of some claims.
local function is_coming_right(k)
  local sample, counts = redis.call('HRANDFIELD', k.claims, SAMPLED, 'WITHVALUES'), counts_of(k, 'coming')
  for i = 2, #sample, 2 do
    local _, _, pieces = parts_of(k, sample[i])
    for _, piece in ipairs(pieces or {}) do
      if count_of(counts, piece) == 0 then return false end
    end
  end
  return true
end

-- Counts again how many claims bring each piece.
local function mend_coming(k)
  if has_trees(k) then return end
  if redis.call('HLEN', k.claims) > CLAIMS_COUNTED and is_coming_right(k) then return end
  local coming = {}
  for _, claim in ipairs(redis.call('HVALS', k.claims)) do
    local _, _, pieces = parts_of(k, claim)
    for _, piece in ipairs(pieces or {}) do coming[piece] = (coming[piece] or 0) + 1 end
  end
  rewrite_counts(k, 'coming', coming, 0, k.of.pieces - 1)
end

-- Whether sync:copies knows the pieces of some hosts.
local function are_copies_right(k)
  local sample, counts = redis.call('HRANDFIELD', k.have, SAMPLED, 'WITHVALUES'), counts_of(k, 'copies')
  for i = 2, #sample, 2 do
    for _, piece in ipairs(members_of(sample[i])) do
      if count_of(counts, piece) == 0 then return false end
    end
  end
  return true
end

-- How many of these bitmaps have each piece of their bytes `first` to `last`.
local function copies_in(bitmaps, first, last)
  local copies = {}
  for at = first, last do
    local with = {}  -- Value of this byte -> bitmaps.
    for i = 1, #bitmaps do
      local value = string.byte(bitmaps[i], at)
      with[value] = (with[value] or 0) + 1
    end
    for value, count in pairs(with) do
      for bit_of = 0, 7 do
        local piece = 8 * (at - 1) + bit_of
        if bit.band(value, bit.lshift(1, bit_of)) ~= 0 then copies[piece] = (copies[piece] or 0) + count end
      end
    end
  end
  return copies
end

-- Derives which pieces of a range are fresh.
local function mend_fresh(k, copies, first, last)
  local at_origin, coming = redis.call('HGET', k.have, k.of.origin) or '', counts_of(k, 'coming')
  local fresh, others = {}, {}
  for piece = first, last do
    local elsewhere = (copies[piece] or 0) - (has_piece(at_origin, piece) and 1 or 0)
    local is_fresh = elsewhere <= 0 and count_of(coming, piece) == 0 and has_piece(k.of.announced, piece)
    local list = is_fresh and fresh or others
    list[#list + 1] = piece
  end
  local bitmap = with_pieces(with_pieces(k.of.fresh, fresh, true), others, false)
  if bitmap == k.of.fresh then return end
  k.of.fresh = bitmap
  redis.call('HSET', k.course, 'fresh', bitmap)
end

-- Counts the copies of each piece again, and derives which pieces are fresh. Visits the bytes of
-- all bitmaps from `cursor` on. Returns the cursor of the next ones.
local function mend_copies(k, _, cursor)
  if has_trees(k) then return end
  local pieces = tonumber(k.of.pieces)
  local bytes, hosts = math.ceil(pieces / 8), redis.call('HLEN', k.have)
  if cursor == 0 and hosts * pieces > WORTH_COUNTING and are_copies_right(k) then return end
  if cursor >= bytes then return end
  local haves, bitmaps = redis.call('HGETALL', k.have), {}
  for i = 1, #haves, 2 do
    if #haves[i + 1] == bytes then
      bitmaps[#bitmaps + 1] = haves[i + 1]
    else
      redis.call('HDEL', k.have, haves[i])
    end
  end
  local last = math.min(bytes, cursor + math.max(1, math.floor(BYTES_COUNTED / math.max(1, hosts))))
  local copies = copies_in(bitmaps, cursor + 1, last)
  local first_piece, last_piece = 8 * cursor, math.min(pieces, 8 * last) - 1
  rewrite_counts(k, 'copies', copies, first_piece, last_piece)
  mend_fresh(k, copies, first_piece, last_piece)
  return last < bytes and last
end

-- The seat in a field or value; nil if it is none. Negative: the host is set aside.
local function seat_in(text)
  local seat = tonumber(string.match(text, '^%-?[1-9]%d*$') or string.match(text, '^0$'))
  return seat and math.abs(seat) <= MAX_HOSTS and seat or nil
end

-- Writes the one seat of a host that sync:seats has at `seat` and sync:seat_of at `other`.
local function settle_seat(k, host, seat, other)
  if other < 0 then
    redis.call('HDEL', k.seats, seat)
  elseif redis.call('HGET', k.seats, other) == host then
    redis.call('HDEL', k.seats, math.max(seat, other))
    redis.call('HSET', k.seat_of, host, math.min(seat, other))
  else
    redis.call('HSET', k.seat_of, host, seat)
  end
end

-- Each host of sync:seats has its seat in sync:seat_of, too. Visits the seats from `cursor` on.
local function mend_seat_of(k, _, cursor)
  if not has_trees(k) then return end
  local occupied = math.max(redis.call('HLEN', k.seats), redis.call('HLEN', k.seat_of))
  local numbers, hosts, seats, lost = {}, {}, {}, {}
  for seat = cursor, math.min(cursor + SEATS_AT_ONCE, occupied) - 1 do numbers[#numbers + 1] = seat end
  if #numbers == 0 then return end
  for i, host in ipairs(redis.call('HMGET', k.seats, unpack(numbers))) do
    if host then hosts[#hosts + 1], seats[#seats + 1] = host, numbers[i] end
  end
  for i, text in ipairs(#hosts > 0 and redis.call('HMGET', k.seat_of, unpack(hosts)) or {}) do
    local other = seat_in(text or '')
    if not other then
      local n = #lost
      lost[n + 1], lost[n + 2] = hosts[i], seats[i]
    elseif other ~= seats[i] then
      settle_seat(k, hosts[i], seats[i], other)
    end
  end
  call_with('HSET', k.seat_of, lost)
  return cursor + #numbers
end

-- Each host of sync:seat_of is in sync:seats, too. If another host has its seat, it gets another one
-- when it reports. Visits a page of hosts.
local function mend_seats(k, _, cursor)
  if not has_trees(k) then return end
  local page = redis.call('HSCAN', k.seat_of, string.format('%.0f', cursor), 'COUNT', MENDED_AT_ONCE)
  for i = 1, #page[2], 2 do
    local host, seat = page[2][i], seat_in(page[2][i + 1])
    local occupant = seat and seat >= 0 and redis.call('HGET', k.seats, seat)
    if not seat or occupant and occupant ~= host then
      redis.call('HDEL', k.seat_of, host)
    elseif seat >= 0 and not occupant then
      redis.call('HSET', k.seats, seat, host)
    end
  end
  return number_of(page[1])
end

-- No seat is free below the last one: the hosts of the last seats get the seats that are. Returns 1
-- if some are left.
local function mend_free_seats(k)
  if not has_trees(k) then return end
  local fields = redis.call('HKEYS', k.seats)
  local is_occupied, beyond, moved = {}, {}, 0
  for _, field in ipairs(fields) do
    local seat = seat_in(field)
    if seat and seat >= 0 and seat < #fields then is_occupied[seat] = true else beyond[#beyond + 1] = field end
  end
  for seat = 0, #fields - 1 do
    if moved == math.min(#beyond, MENDED_AT_ONCE) then break end
    if not is_occupied[seat] then
      moved = moved + 1
      local host = redis.call('HGET', k.seats, beyond[moved])
      redis.call('HDEL', k.seats, beyond[moved])
      redis.call('HSET', k.seats, seat, host)
      redis.call('HSET', k.seat_of, host, seat)
      wake(k, host)
    end
  end
  return moved < #beyond and 1
end

-- The run says which pieces and slots the master's spool offers.
local function mend_origin(k)
  if not is_masters_spool(k, k.of.origin) then return end
  set_have(k, k.of.origin, k.of.announced)
  local slots = redis.call('HGET', k.run, 'slots')
  if slots then redis.call('HSETNX', k.slots, k.of.origin, slots) end
end

-- finished_queue only shows sync:done.
local function mend_finished(k)
  if redis.call('SCARD', k.finished) == redis.call('HLEN', k.done) then return end
  local done, shown, more, less = redis.call('HKEYS', k.done), {}, {}, {}
  for _, host in ipairs(redis.call('SMEMBERS', k.finished)) do shown[host] = true end
  for _, host in ipairs(done) do
    if shown[host] then shown[host] = nil else more[#more + 1] = host end
  end
  for host in pairs(shown) do less[#less + 1] = host end
  call_with('SADD', k.finished, more)
  call_with('SREM', k.finished, less)
end

-- People see how many pieces all hosts have placed.
local function mend_moves(k)
  local placed = 0
  for _, pieces in ipairs(redis.call('HVALS', k.progress)) do placed = placed + number_of(pieces) end
  redis.call('HSET', k.moves, 'placed', placed)
end

-- Each host with upload slots is in synchronize_queue as its state demands, and no other host is.
-- Visits a page of hosts. Returns the cursor of the next one.
local function mend_queue(k, now, cursor)
  for _, host in ipairs(redis.call('SRANDMEMBER', k.queue, MENDED_AT_ONCE)) do
    if redis.call('HEXISTS', k.slots, host) == 0 then redis.call('SREM', k.queue, host) end
  end
  local page = redis.call('HSCAN', k.slots, string.format('%.0f', cursor), 'COUNT', MENDED_AT_ONCE)
  for i = 1, #page[2], 2 do
    local host = page[2][i]
    if redis.call('SISMEMBER', k.queue, host) == 1 then offer(k, host, now) else offer_and_wake(k, host, now) end
  end
  return number_of(page[1])
end

-- Each step returns the cursor of its next call, or nil or 0 if it has none.
local STEPS = {
  mend_origin,
  function(k, now) return mend_leases(k, now) and 1 end,
  function(k, _, cursor) return mend_counts(k, 'pulls', false, cursor) end,
  function(k, _, cursor) return mend_counts(k, 'uploads', true, cursor) end,
  mend_coming,
  mend_running,
  mend_copies,
  mend_seat_of,
  mend_seats,
  mend_free_seats,
  mend_finished,
  mend_moves,
  mend_queue,
}
local STEPS_ROOM = 16  -- The number in sync:course mending is the cursor times this, and the step.

mend = function(k, mending, now)
  local step, cursor = mending % STEPS_ROOM, math.floor(mending / STEPS_ROOM)
  local hosts = 0
  for _, name in ipairs({'slots', 'have', 'seats'}) do hosts = math.max(hosts, redis.call('HLEN', k[name])) end
  local are_few = hosts <= FEW_HOSTS and redis.call('HLEN', k.claims) <= FEW_CLAIMS
  if not STEPS[step + 1] then return 0 end
  repeat
    cursor = STEPS[step + 1](k, now, cursor) or 0
    if cursor > 0 then return string.format('%.0f', cursor * STEPS_ROOM + step) end
    step = (step + 1) % #STEPS
  until step == 0 or not are_few
  return step
end

end
