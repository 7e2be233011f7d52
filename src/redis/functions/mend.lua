
-- Mending: keys that can be derived from other keys are derived again every 10 s. One of them may
-- have been lost, or another program may have written to it. A call does one step of this, so that
-- none keeps Redis for long.

do  -- Lua has room for 200 local names outside of blocks.

local CLAIMS_COUNTED = 2000  -- With more claims, sums alone show whether something was lost.
local WORTH_COUNTING = 50000  -- Hosts times pieces: with more, a sample shows it.
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

-- Makes packed counts equal to `right`, a table of piece -> count.
local function rewrite_counts(k, name, right)
  local pieces, packed = tonumber(k.of.pieces), {}
  for piece = 0, pieces - 1 do
    local count = math.min(right[piece] or 0, 65535)
    packed[piece + 1] = string.char(math.floor(count / 256), count % 256)
  end
  local text, found = table.concat(packed), redis.call('GET', k[name]) or ''
  k[name .. '_now'] = nil
  if found .. string.rep('\0', #text - #found) ~= text then redis.call('SETRANGE', k[name], 0, text) end
end

-- The sum of the counts of a hash.
local function sum_of(k, name)
  local all, sum = redis.call('HGETALL', k[name]), 0
  for i = 2, #all, 2 do sum = sum + number_of(all[i]) end
  return sum
end

-- Gives each claim a lease, and counts pulls, uploads and coming pieces again. Returns the last.
local function mend_claims(k, now)
  local count = redis.call('HLEN', k.claims)
  local leased = redis.call('ZCOUNT', k.leases, '-inf', '+inf')
  if count > CLAIMS_COUNTED and leased == count and sum_of(k, 'uploads') == count and sum_of(k, 'pulls') == count then
    return nil
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
  if not has_trees(k) then rewrite_counts(k, 'coming', coming) end
  return coming
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

-- Counts the copies of each piece again, and derives which pieces are fresh.
local function mend_copies(k, coming)
  local pieces = tonumber(k.of.pieces)
  local is_much = redis.call('HLEN', k.have) * pieces > WORTH_COUNTING
  if not coming or is_much and are_copies_right(k) then return end
  local haves, copies, elsewhere, fresh = redis.call('HGETALL', k.have), {}, {}, {}
  for i = 1, #haves, 2 do
    if #haves[i + 1] == math.ceil(pieces / 8) then
      for _, piece in ipairs(members_of(haves[i + 1])) do
        copies[piece] = (copies[piece] or 0) + 1
        elsewhere[piece] = elsewhere[piece] or haves[i] ~= k.of.origin
      end
    else
      redis.call('HDEL', k.have, haves[i])
    end
  end
  rewrite_counts(k, 'copies', copies)
  for _, piece in ipairs(members_of(k.of.announced)) do
    if not elsewhere[piece] and not coming[piece] then fresh[#fresh + 1] = piece end
  end
  local bitmap = with_pieces(blank(pieces), fresh, true)
  if bitmap ~= k.of.fresh then
    k.of.fresh = bitmap
    redis.call('HSET', k.course, 'fresh', bitmap)
  end
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
    local coming = mend_claims(k, now)
    if not has_trees(k) then mend_copies(k, coming) end
  end,
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
