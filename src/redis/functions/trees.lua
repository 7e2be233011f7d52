
-- Trees: who pulls from whom in a large run, without a claim.
--
-- With hundreds of hosts a call a piece is more than Redis has time for. So pieces are dealt out, piece n to
-- tree n % T, and every host has a parent in each tree, from which it pulls the pieces of that tree one after
-- the other, as fast as they come, asking nobody. What it cannot get that way it claims, as in a small run.
--
-- Hosts have seats: first those that wait for the run when it begins, in the order in which they are woken, so that
-- whoever sits near the origin asks first; then others as they come. Seat s is an inner one in tree s % T, number
-- s / T there, and a leaf in the others: all links carry the same. (SplitStream, Castro and others, SOSP 2003.) The
-- places of a tree form a heap: below place r are T*r+1 to T*r+T, and place 0 is below the origin. Inner number r is
-- at place r. The leaves that came with it, one from each other tree, are at T*r+2 to T*r+T; T*r+1 is for the leaf
-- that was at place r before. So each host feeds T others, and a host that comes moves one leaf a tree.

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

-- Gives all seats, from the first on, to these hosts.
local function give_seats(k, hosts)
  for first = 1, #hosts, ARGUMENTS_AT_ONCE / 2 do
    local seats, seat_of = {}, {}
    for i = first, math.min(first + ARGUMENTS_AT_ONCE / 2 - 1, #hosts) do
      local at = #seats
      seats[at + 1], seats[at + 2] = i - 1, hosts[i]
      seat_of[at + 1], seat_of[at + 2] = hosts[i], i - 1
    end
    redis.call('HSET', k.seats, unpack(seats))
    redis.call('HSET', k.seat_of, unpack(seat_of))
  end
end

-- Wakes those who waited for the run, as many as are due: whoever calls does that on the way. As many as have come,
-- so that their pace is the one at which Redis answers.
local function wake_seated(k, now)
  local woken, seated = tonumber(k.of.woken), tonumber(k.of.seated)
  if woken >= seated then return end
  local surely = math.floor((now - tonumber(k.of.started)) * WAKES_A_SECOND / 1000)
  local come = redis.call('HLEN', k.slots) - 1  -- All but the origin.
  local due = math.max(surely, come + WAKES_UNANSWERED)
  due = math.min(due, seated, woken + WAKES_AT_ONCE)
  if due < math.min(seated, woken + WAKES_AT_LEAST) then return end
  redis.call('HSET', k.run, 'woken', due, 'woken_at', now)
  local seats = {}
  for seat = woken, due - 1 do seats[#seats + 1] = seat end
  for _, host in ipairs(redis.call('HMGET', k.seats, unpack(seats))) do
    if host then wake(k, host) end
  end
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

-- The seats of the hosts that pull from a seat in its own tree, in two lists: inner ones, at the places below, and leaves.
-- Of leaves, those of its own rank are at such places first; the one at the first place was at the place of the seat
-- itself before. Some of what is returned may be nobody's seat, or be fed from further down by now. What is missing is
-- the first seat of a last rank that is not full, where it hangs somewhere below place 1.
local function seats_below(seat, trees)
  local rank, tree = math.floor(seat / trees), seat % trees
  local inner, leaves = {}, {}
  for place = trees * rank + 1, trees * rank + trees do inner[#inner + 1] = place * trees + tree end
  for mate = rank * trees, rank * trees + trees - 1 do
    if mate ~= seat then leaves[#leaves + 1] = mate end
  end
  while rank > 0 and (rank - 1) % trees == 0 do rank = (rank - 1) / trees end
  if rank > 0 then
    local above = math.floor((rank - 1) / trees)
    leaves[#leaves + 1] = above * trees + (tree + (rank - 1) % trees) % trees
  end
  return inner, leaves
end

-- Has those who pull from a seat ask who is there now.
local function wake_below(k, seat)
  for _, seats in ipairs({seats_below(seat, tonumber(k.of.trees))}) do
    for _, host in ipairs(redis.call('HMGET', k.seats, unpack(seats))) do
      if host then wake(k, host) end
    end
  end
end

-- Gives a seat to a host, and tells it and those below.
local function move_to(k, seat, host)
  redis.call('HSET', k.seats, seat, host)
  redis.call('HSET', k.seat_of, host, seat)
  wake(k, host)
  wake_below(k, seat)
end

-- Of those below a seat in its own tree, and before seat `last`, the one that has most, as far as they have said: its
-- seat, and who it is; nothing if there is none.
local function furthest_below(k, seat, last)
  local seats, found, who, most = (seats_below(seat, tonumber(k.of.trees))), nil, nil, -1
  local hosts = redis.call('HMGET', k.seats, unpack(seats))
  for i = 1, #seats do
    if seats[i] < last and hosts[i] then
      local there = tonumber(redis.call('HGET', k.progress, hosts[i]) or 0) + math.random()
      if there > most then found, who, most = seats[i], hosts[i], there end
    end
  end
  return found, who
end

-- Takes a host out of its seat. Of those below it in its own tree, who are but a step behind, the one that has most
-- moves up, and so on; the last seat of all becomes free. Returns the seat, or nothing if it had none. (Where 50 of
-- 1,000 hosts are ten times slower the others take 1.05 to 1.11 times as long as without them, seven runs. With any one
-- of those below, and leaves that learned of it when they asked the next time, it was 1.09 to 1.17.)
local function vacate(k, host)
  local seat = tonumber(redis.call('HGET', k.seat_of, host) or -1)
  if seat < 0 then return nil end
  local free, last = seat, redis.call('HLEN', k.seats) - 1
  while true do
    local below, who = furthest_below(k, free, last)
    if not below then break end
    move_to(k, free, who)
    free = below
  end
  if free ~= last then move_to(k, free, redis.call('HGET', k.seats, last)) end
  wake_below(k, last)  -- Among them is the one that seats_below() misses.
  redis.call('HDEL', k.seats, last)
  redis.call('HDEL', k.seat_of, host)
  return seat
end

-- Once, when those who waited for the run have had the time to come: whoever has not loses its seat, and is given
-- another if it comes after all.
local function gather(k, now)
  if k.of.gathered ~= '0' or tonumber(k.of.woken) < tonumber(k.of.seated) then return end
  if now - tonumber(k.of.woken_at) < GATHERING_MS then return end
  redis.call('HSET', k.run, 'gathered', 1)
  k.of.gathered = '1'
  local hosts = redis.call('HKEYS', k.seat_of)
  for first = 1, #hosts, ARGUMENTS_AT_ONCE do
    local last = math.min(first + ARGUMENTS_AT_ONCE - 1, #hosts)
    local slots = redis.call('HMGET', k.slots, unpack(hosts, first, last))
    for i = first, last do
      if not slots[i - first + 1] and vacate(k, hosts[i]) then note(k, 'event', 'absent', 'host', hosts[i]) end
    end
  end
end

-- Has a host that does not serve well leave its seat. It pulls on, from hosts here and there, and offers nothing:
-- nobody pulls from it.
set_aside = function(k, host, kind)
  local seat = vacate(k, host)
  if not seat then return end
  redis.call('HSET', k.seat_of, host, -1 - seat)
  redis.call('HSET', k.slots, host, 0)
  redis.call('SREM', k.queue, host)
  note(k, 'event', 'set aside', 'host', host, 'kind', kind)
end

-- The hosts that are pulled from on a seat, one for each tree; '' where that one's seat is still free. At first seats
-- are counted as if all who are expected had come, or each who comes would move others. Also the number of seats.
local function parents_of(k, seat)
  local trees = tonumber(k.of.trees)
  local seats, parents = redis.call('HLEN', k.seats), {}
  if k.of.gathered == '0' then seats = math.max(seats, tonumber(k.of.known)) end
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
  return names, seats
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

-- Digests that have been announced and that the host does not know: the piece that they begin with, and all from
-- there to the last such one.
local function unknown_digests(k, known)
  local words = wanted_of(k.of.announced, known)
  if not words then return 0, '' end
  local first, last = 1, #words
  while words[first] == 0 do first = first + 1 end
  while words[last] == 0 do last = last - 1 end
  local piece = 32 * (first - 1)
  return piece, redis.call('GETRANGE', k.digests, piece * DIGEST_BYTES, 32 * last * DIGEST_BYTES - 1)
end

-- How long a host waits before it asks again, in ms: if it lacks something, those near the origin first; if not.
local function pauses_of(seat, seats)
  return math.floor(math.max(FOLLOW_MS, math.abs(seat) * 1000 / FOLLOWS_A_SECOND)),
         math.floor(math.max(REPORT_MS, seats * 1000 / REPORTS_A_SECOND))
end

-- The place of a host: pause, report-every (pauses_of), how many parents, a parent for each tree, piece, digests from
-- that piece on (zeros: not announced).
local function append_place(k, answer, seat, known)
  local n, parents, seats = #answer, parents_of(k, seat)
  answer[n + 1], answer[n + 2] = pauses_of(seat, seats)
  answer[n + 3] = #parents
  for i = 1, #parents do answer[n + 3 + i] = parents[i] end
  answer[#answer + 1], answer[#answer + 2] = unknown_digests(k, known)
  return answer
end
