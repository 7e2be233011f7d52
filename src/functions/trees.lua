
-- Trees: who pulls from whom in a large run, without a claim.
--
-- With hundreds of hosts a call a piece is more than Redis has time for. So pieces are dealt out, piece n to
-- tree n % T, and every host has a parent in each tree, from which it pulls the pieces of that tree one after
-- the other, as fast as they come, asking nobody. What it cannot get that way it claims, as in a small run.
--
-- Hosts have seats, in the order in which they came. Seat s is an inner one in tree s % T, number s / T there, and
-- a leaf in the others: all links carry the same. (SplitStream, Castro and others, SOSP 2003.) The places of a
-- tree form a heap: below place r are T*r+1 to T*r+T, and place 0 is below the origin. Inner number r is at place
-- r. The leaves that came with it, one from each other tree, are at T*r+2 to T*r+T; T*r+1 is for the leaf that was
-- at place r before. So each host feeds T others, and a host that comes moves one leaf a tree.

-- The seat that `seat` pulls from in `tree`, with so many seats taken; -1: the origin.
local function parent_of(seat, tree, trees, seats)
  local rank = math.floor(seat / trees)
  local inner = math.floor((seats - tree + trees - 1) / trees)
  local place = rank
  if seat % trees ~= tree then
    if rank < inner then
      place = trees * rank + 2 + (seat - tree - 1) % trees
    elseif seat % trees > 0 then
      return seat - 1  -- The inner one of its own rank is not there yet, but one who came just before is.
    elseif inner == 0 then
      return -1
    else
      place = 1  -- Nobody was moved there when place 0 was taken: of all places below the free one.
    end
    while place < inner do place = trees * place + 1 end
  end
  if place == 0 then return -1 end
  return math.floor((place - 1) / trees) * trees + tree
end

-- The seat of a host, which it is given if it has none. Negative: it has been set aside.
local function seat_of(k, host)
  local seat = redis.call('HGET', k.seat_of, host)
  if seat then return tonumber(seat) end
  seat = redis.call('HLEN', k.seats)
  redis.call('HSET', k.seats, seat, host)
  redis.call('HSET', k.seat_of, host, seat)
  return seat
end

local function is_aside(k, host)
  return k.of.trees ~= '0' and tonumber(redis.call('HGET', k.seat_of, host) or 0) < 0
end

-- Gives a seat to a host, and tells it and those who pull from that seat.
local function move_to(k, seat, host)
  redis.call('HSET', k.seats, seat, host)
  redis.call('HSET', k.seat_of, host, seat)
  wake(k, host)
  local trees = tonumber(k.of.trees)
  local below, children = math.floor(seat / trees) * trees + 1, {}
  for place = below, below + trees - 1 do children[#children + 1] = place * trees + seat % trees end
  for _, child in ipairs(redis.call('HMGET', k.seats, unpack(children))) do
    if child then wake(k, child) end
  end
end

-- Takes a host that does not serve well out of its seat. Who is below it in its own tree moves up, since that one is
-- but a step behind, and so on; the last seat of all becomes free. The host pulls on, from hosts here and there, and
-- offers nothing: nobody pulls from it.
set_aside = function(k, host, kind)
  local seat = tonumber(redis.call('HGET', k.seat_of, host) or -1)
  if seat < 0 then return end
  local trees, last = tonumber(k.of.trees), redis.call('HLEN', k.seats) - 1
  local free = seat
  while true do
    local below = (math.floor(free / trees) * trees + math.random(trees)) * trees + free % trees
    if below >= last then break end
    move_to(k, free, redis.call('HGET', k.seats, below))
    free = below
  end
  if free ~= last then move_to(k, free, redis.call('HGET', k.seats, last)) end
  redis.call('HDEL', k.seats, last)
  redis.call('HSET', k.seat_of, host, -1 - seat)
  redis.call('HSET', k.slots, host, 0)
  redis.call('SREM', k.queue, host)
  note(k, 'event', 'set aside', 'host', host, 'kind', kind)
end

-- The hosts that `host` pulls from, one for each tree; '' where that seat is still free. Gives it a seat if it has
-- none. At first seats are counted as if all who are expected had come, or each who comes would move others.
local function parents_of(k, host, now)
  local trees = tonumber(k.of.trees)
  if trees == 0 then return {}, 0 end
  local seat = seat_of(k, host)
  local seats, parents = redis.call('HLEN', k.seats), {}
  if now - tonumber(k.of.started) < GATHERING_MS then seats = math.max(seats, tonumber(k.of.known)) end
  for tree = 0, trees - 1 do
    if seat >= 0 then
      parents[tree + 1] = parent_of(seat, tree, trees, seats)
    else
      local inner = math.floor((seats - tree + trees - 1) / trees)
      parents[tree + 1] = inner > 0 and (-seat + tree) % inner * trees + tree or -1
    end
  end
  local names = redis.call('HMGET', k.seats, unpack(parents))
  for tree = 1, trees do names[tree] = parents[tree] == -1 and k.of.origin or names[tree] or '' end
  return names, math.abs(seat)
end

-- What a host says about a pull from one of its parents: good after it had not been, slow, or what was wrong. Who is
-- slow to several is set aside, as is who is quarantined.
local function judge_parent(k, host, parents, source, outcome, detail, now)
  local is_parent = false
  for i = 1, #parents do is_parent = is_parent or parents[i] == source end
  if not is_parent then return end
  if outcome == 'good' then return absolve(k, host, source) end
  if outcome ~= 'slow' then return accuse(k, host, source, outcome, detail, now) end
  local field = 'slow ' .. source
  local by = redis.call('HGET', k.blame, field) or ''
  if string.find(by, ' ' .. host .. ' ', 1, true) then return end
  by = by .. ' ' .. host .. ' '
  redis.call('HSET', k.blame, field, by)
  local _, complaints = string.gsub(by, '%S+', '')
  if complaints >= STRIKES.slow then set_aside(k, source, 'slow') end
end

-- What has been announced, but for what the host knows.
local function unknown_pieces(k, known)
  local words, pieces = wanted_of(k.of.announced, known), {}
  for i = 1, words and #words or 0 do append_pieces(pieces, 32 * (i - 1), words[i]) end
  return pieces
end

-- How long the host is to wait before it asks again, in ms: those near the origin need digests first.
local function pause_of(k, seat)
  return math.floor(math.max(FOLLOW_MS, seat * 1000 / FOLLOWS_A_SECOND))
end
