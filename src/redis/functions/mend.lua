
-- Mending: keys that can be derived from other keys are derived again every 10 s. One of them may
-- have been lost, or another program may have written to it.

do  -- Lua has room for 200 local names outside of blocks.

local CLAIMS_COUNTED = 2000  -- With more claims, sums alone show whether something was lost.
local WORTH_COUNTING = 50000  -- Hosts times pieces: with more, a sample shows it.
local MENDED_AT_ONCE = 1000  -- Hosts that one call visits; of more, as many at random.
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
  for i = 2, #all, 2 do sum = sum + (tonumber(all[i]) or 0) end
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
    local puller, source, pieces = parts_of(claims[i + 1])
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
    if tonumber(of[i + 1]) >= 0 and redis.call('HGET', k.seats, of[i + 1]) ~= of[i] then return false end
  end
  local at = redis.call('HRANDFIELD', k.seats, SAMPLED, 'WITHVALUES')
  for i = 1, #at, 2 do
    if redis.call('HGET', k.seat_of, at[i + 1]) ~= at[i] then return false end
  end
  return true
end

-- Gives seats without gaps to all hosts that either key names, in the order of their seats.
local function mend_seats(k)
  if are_seats_right(k) then return end
  local of, at, seat, hosts = redis.call('HGETALL', k.seat_of), redis.call('HGETALL', k.seats), {}, {}
  local function add(host, number)
    if seat[host] then return end
    seat[host] = number
    if number >= 0 then hosts[#hosts + 1] = host end
  end
  for i = 1, #of, 2 do add(of[i], tonumber(of[i + 1]) or math.huge) end
  for i = 1, #at, 2 do add(at[i + 1], tonumber(at[i]) or math.huge) end
  table.sort(hosts, function(a, b)
    if seat[a] ~= seat[b] then return seat[a] < seat[b] end
    return a < b
  end)
  for i = 1, #at, 2 do
    local number = tonumber(at[i])
    if not number or number >= #hosts then redis.call('HDEL', k.seats, at[i]) end
  end
  give_seats(k, hosts)
  for _, host in ipairs(hosts) do wake(k, host) end
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
  for _, host in ipairs(redis.call('SMEMBERS', k.finished)) do
    if redis.call('HEXISTS', k.done, host) == 0 then redis.call('SREM', k.finished, host) end
  end
  for _, host in ipairs(redis.call('HKEYS', k.done)) do redis.call('SADD', k.finished, host) end
end

mend = function(k, now)
  mend_origin(k)
  local coming = mend_claims(k, now)
  if has_trees(k) then
    mend_seats(k)
  else
    mend_copies(k, coming)
  end
  mend_finished(k)
  for _, host in ipairs(redis.call('SRANDMEMBER', k.queue, MENDED_AT_ONCE)) do
    if redis.call('HEXISTS', k.slots, host) == 0 then redis.call('SREM', k.queue, host) end
  end
  for _, host in ipairs(redis.call('HRANDFIELD', k.slots, MENDED_AT_ONCE)) do offer_and_wake(k, host, now) end
end

end
