
-- Mending: keys that can be derived from other keys are derived again every 10 s. One of them may
-- have been lost, or another program may have written to it. A call does one step of this, so that
-- none keeps Redis for long.

do  -- Lua has room for 200 local names outside of blocks.

local CLAIMS_COUNTED = 2000  -- With more claims, sums alone show whether something was lost.
local WORTH_COUNTING = 50000  -- Hosts times pieces: with more, a sample shows it.
local BYTES_COUNTED = 40000  -- Bytes of bitmaps that one call visits: ./tests/bench/micro --benchmark_filter=Call
local MENDED_AT_ONCE = 100  -- Hosts that one call visits.
local SAMPLED = 8  -- Hosts of a sample.

-- Makes the counts of a hash equal to `right`, a table of host -> count.
local function rewrite_hash(k, name, right)
  local found = redis.call('HGETALL', k[name])
  for i = 1, #found, 2 do
    local count = right[found[i]]
    if not count then
      redis.call('HDEL', k[name], found[i])
    elseif tostring(count) == found[i + 1] then
      right[found[i]] = nil
    end
  end
  for host, count in pairs(right) do redis.call('HSET', k[name], host, count) end
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

-- Gives each claim a lease, and counts pulls, uploads and coming pieces again.
local function mend_claims(k, now)
  local count = redis.call('HLEN', k.claims)
  local leased = redis.call('ZCOUNT', k.leases, '-inf', '+inf')
  if count > CLAIMS_COUNTED and leased == count and sum_of(k, 'uploads') == count and sum_of(k, 'pulls') == count then
    return
  end
  local claims, pulls, uploads, coming = redis.call('HGETALL', k.claims), {}, {}, {}
  for i = 1, #claims, 2 do
    local puller, source, pieces = parts_of(k, claims[i + 1])
    if puller then
      pulls[puller], uploads[source] = (pulls[puller] or 0) + 1, (uploads[source] or 0) + 1
      for _, piece in ipairs(pieces) do coming[piece] = (coming[piece] or 0) + 1 end
      if leased ~= count then redis.call('ZADD', k.leases, 'NX', now + LEASE_MS, claims[i]) end
    else
      redis.call('HDEL', k.claims, claims[i])
    end
  end
  for _, host in ipairs(redis.call('SRANDMEMBER', k.running, MENDED_AT_ONCE)) do
    local is_seated = has_trees(k) and redis.call('HEXISTS', k.seat_of, host) == 1
    if not pulls[host] and not (is_seated and redis.call('HEXISTS', k.done, host) == 0) then
      redis.call('SREM', k.running, host)
    end
  end
  for host in pairs(pulls) do redis.call('SADD', k.running, host) end
  rewrite_hash(k, 'pulls', pulls)
  rewrite_hash(k, 'uploads', uploads)
  if not has_trees(k) then rewrite_counts(k, 'coming', coming, 0, k.of.pieces - 1) end
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

-- Whether both keys of seats agree about some hosts.
local function are_seats_right(k)
  local of = redis.call('HRANDFIELD', k.seat_of, SAMPLED, 'WITHVALUES')
  for i = 1, #of, 2 do
    if number_of(of[i + 1]) >= 0 and redis.call('HGET', k.seats, of[i + 1]) ~= of[i] then return false end
  end
  local at = redis.call('HRANDFIELD', k.seats, SAMPLED, 'WITHVALUES')
  for i = 1, #at, 2 do
    if redis.call('HGET', k.seat_of, at[i + 1]) ~= at[i] then return false end
  end
  return true
end

-- The seat in a field or value; nil if it is none. Negative: the host is set aside.
local function seat_in(text)
  local seat = tonumber(string.match(text, '^%-?%d+$'))
  return seat and math.abs(seat) <= MAX_HOSTS and seat or nil
end

-- Gives seats without gaps to all hosts that either key names, in the order of their seats. If two
-- hosts have one seat, the later one gets another seat.
local function mend_seats(k)
  if are_seats_right(k) then return end
  local of, at = redis.call('HGETALL', k.seat_of), redis.call('HGETALL', k.seats)
  local seat, host_at, rest, last = {}, {}, {}, -1
  local function add(host, number)
    if seat[host] or (number and number < 0) then return end
    seat[host] = number or MAX_HOSTS
    if not number or host_at[number] then
      rest[#rest + 1] = host
    else
      host_at[number] = host
      last = math.max(last, number)
    end
  end
  local is_aside = {}
  for i = 1, #of, 2 do
    local number = seat_in(of[i + 1])
    if number and number < 0 then is_aside[of[i]] = true else add(of[i], number) end
  end
  for i = 1, #at, 2 do
    if not is_aside[at[i + 1]] then add(at[i + 1], seat_in(at[i])) end
  end
  local hosts = {}
  for number = 0, last do hosts[#hosts + 1] = host_at[number] end
  for _, host in ipairs(rest) do hosts[#hosts + 1] = host end
  for i = 1, #at, 2 do
    local number = seat_in(at[i])
    if not number or number < 0 or number >= #hosts then redis.call('HDEL', k.seats, at[i]) end
  end
  give_seats(k, hosts, 0)
  -- The others find their parents when they report.
  local woken = 0
  for i, host in ipairs(hosts) do
    if woken < MENDED_AT_ONCE and seat[host] ~= i - 1 then
      wake(k, host)
      woken = woken + 1
    end
  end
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
  function(k, now)
    mend_origin(k)
    mend_claims(k, now)
  end,
  mend_copies,
  function(k) if has_trees(k) then mend_seats(k) end end,
  mend_finished,
  mend_moves,
  mend_queue,
}
local STEPS_ROOM = 8  -- The number in sync:course mending is the cursor times this, and the step.

mend = function(k, mending, now)
  local step, cursor = mending % STEPS_ROOM, math.floor(mending / STEPS_ROOM)
  if not STEPS[step + 1] then return 0 end
  cursor = STEPS[step + 1](k, now, cursor) or 0
  if cursor > 0 then return string.format('%.0f', cursor * STEPS_ROOM + step) end
  return (step + 1) % #STEPS
end

end
