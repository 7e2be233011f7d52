
-- Trees: the source of each host in a large run, without a claim.
--
-- With hundreds of hosts, a call for each piece is more than Redis has time for. So piece n belongs
-- to tree n % T, and each host has a parent in each tree. The host pulls the pieces of a tree from
-- that parent as they come, and asks Redis nothing. Pieces that do not come this way it claims.
--
-- Hosts have seats. Hosts that wait for the run when it begins get the first seats. They are woken
-- in this order, so hosts near the origin wake first. Other hosts get seats as they join.
--
-- Seat s is an inner node of tree s % T, with rank s / T there, and a leaf of all other trees. So
-- all links carry the same load. (SplitStream, Castro and others, SOSP 2003.)
--
-- The positions of a tree form a heap. Position 0 is below the origin, and positions T*r+1 to T*r+T
-- are below position r. The inner node of rank r has position r. It came with T-1 leaves, one from
-- each other tree, which have positions T*r+2 to T*r+T. The leaf that had position r before moves
-- to T*r+1. So each host feeds T others, and a new host moves one leaf of each tree.

-- Other files of functions use these.
local give_seats, wake_seated, seat_of, vacate, gather, parents_of, judge_parent, append_seat

do  -- Lua has room for 200 local names outside of blocks.

-- The seat that `seat` pulls from in `tree`, when `seats` are occupied. -1 is the origin.
local function parent_of(seat, tree, trees, seats)
  local rank = math.floor(seat / trees)
  local inner = math.floor((seats - tree + trees - 1) / trees)
  local position = rank
  if seat % trees ~= tree then
    if rank < inner then
      position = trees * rank + 2 + (seat - tree - 1) % trees
    elseif seat % trees > 0 then
      return seat - 1  -- The inner node of this rank is free, but the seat before this one is not.
    elseif inner == 0 then
      return -1
    else
      -- The first leaf of an incomplete rank. No leaf had position 0 before, so position 1 is free.
      -- The leaf is there, or below it at the first position without an inner node.
      position = 1
    end
    while position < inner do position = trees * position + 1 end
  end
  if position == 0 then return -1 end
  return math.floor((position - 1) / trees) * trees + tree
end

-- Gives the seats from `from` on to these hosts, in their order.
function give_seats(k, hosts, from)
  for first = 1, #hosts, ARGUMENTS_AT_ONCE / 2 do
    local seats, seat_of = {}, {}
    for i = first, math.min(first + ARGUMENTS_AT_ONCE / 2 - 1, #hosts) do
      local at = #seats
      seats[at + 1], seats[at + 2] = from + i - 1, hosts[i]
      seat_of[at + 1], seat_of[at + 2] = hosts[i], from + i - 1
    end
    redis.call('HSET', k.seats, unpack(seats))
    redis.call('HSET', k.seat_of, unpack(seat_of))
  end
end

-- Wakes the next hosts that waited for the run. Calls of other hosts do this on their way. A host
-- that joins makes room for another wake-up, so the pace is the one at which Redis answers.
function wake_seated(k, now)
  local woken, seated = tonumber(k.of.woken), tonumber(k.of.seated)
  if woken == seated then return end
  if woken > seated then woken = 0 end  -- Another program has written it.
  local surely = math.floor((now - tonumber(k.of.started)) * WAKES_A_SECOND / 1000)
  local joined = redis.call('HLEN', k.slots) - 1  -- The origin has slots, too.
  local due = math.max(surely, joined + WAKES_UNANSWERED)
  due = math.min(due, seated, woken + WAKES_AT_ONCE)
  if due < math.min(seated, woken + WAKES_AT_LEAST) then return end
  redis.call('HSET', k.course, 'woken', due, 'woken_at', now)
  local seats = {}
  for seat = woken, due - 1 do seats[#seats + 1] = seat end
  for _, host in ipairs(redis.call('HMGET', k.seats, unpack(seats))) do
    if host then wake(k, host) end
  end
end

-- The seat of a host, which gets the next one if it has none. Negative: the host is set aside.
function seat_of(k, host)
  local seat = tonumber(string.match(redis.call('HGET', k.seat_of, host) or '', '^%-?%d+$'))
  if seat and math.abs(seat) <= MAX_HOSTS then return seat end
  seat = redis.call('HLEN', k.seats)
  redis.call('HSET', k.seats, seat, host)
  redis.call('HSET', k.seat_of, host, seat)
  return seat
end

-- The seats that pull from a seat in its own tree, as two lists: inner nodes and leaves.
--
-- The inner nodes have the positions below this one. The leaves are those of the seat's own rank,
-- and the leaf that had the seat's position before.
--
-- The lists may hold free seats, and seats that have another parent by now. They lack one seat: the
-- first seat of an incomplete last rank, which may be anywhere below position 1.
local function seats_below(seat, trees)
  local rank, tree = math.floor(seat / trees), seat % trees
  local inner, leaves = {}, {}
  for position = trees * rank + 1, trees * rank + trees do
    inner[#inner + 1] = position * trees + tree
  end
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

-- Wakes the hosts that pull from a seat: its occupant has changed.
local function wake_below(k, seat)
  for _, seats in ipairs({seats_below(seat, tonumber(k.of.trees))}) do
    for _, host in ipairs(redis.call('HMGET', k.seats, unpack(seats))) do
      if host then wake(k, host) end
    end
  end
end

-- Gives a seat to a host, and wakes that host and the hosts below.
local function move_to(k, seat, host)
  redis.call('HSET', k.seats, seat, host)
  redis.call('HSET', k.seat_of, host, seat)
  wake(k, host)
  wake_below(k, seat)
end

-- The inner node below a seat whose host has reported the most pieces: seat and host; nil if there
-- is none. Only seats before `last` count.
local function furthest_below(k, seat, last)
  local seats, found, occupant, most = (seats_below(seat, tonumber(k.of.trees))), nil, nil, -1
  local hosts = redis.call('HMGET', k.seats, unpack(seats))
  for i = 1, #seats do
    if seats[i] < last and hosts[i] then
      local there = number_of(redis.call('HGET', k.progress, hosts[i])) + math.random()
      if there > most then found, occupant, most = seats[i], hosts[i], there end
    end
  end
  return found, occupant
end

-- Removes a host from its seat. Returns the seat, or nil if it had none.
--
-- The inner node below that has the most pieces moves up, since it is only a step behind, and so on
-- down the tree. The host of the last seat gets the seat that is free then. All hosts whose parent
-- has changed are woken: ./tests/simulate --hosts 1000 --slow 5:10
function vacate(k, host)
  local seat = tonumber(string.match(redis.call('HGET', k.seat_of, host) or '', '^%d+$'))
  if not seat or seat > MAX_HOSTS then return nil end
  local free, last = seat, redis.call('HLEN', k.seats) - 1
  while true do
    local below, occupant = furthest_below(k, free, last)
    if not below then break end
    move_to(k, free, occupant)
    free = below
  end
  local moving = free ~= last and redis.call('HGET', k.seats, last)
  if moving then  -- Nobody has the last seat if sync:seats has lost one. mend.lua closes the gap.
    move_to(k, free, moving)
    free = last
  end
  wake_below(k, free)  -- Its leaves include the seat that seats_below() lacks.
  redis.call('HDEL', k.seats, free)
  redis.call('HDEL', k.seat_of, host)
  return seat
end

local VACATED_AT_ONCE = 20  -- Hosts that one call removes from their seats.

-- Removes the hosts that waited for the run and did not join, after GATHERING_MS, until none is left.
-- A host that joins later gets another seat.
function gather(k, now)
  if k.of.gathered ~= '0' or tonumber(k.of.woken) < tonumber(k.of.seated) then return end
  if now - tonumber(k.of.woken_at) < GATHERING_MS then return end
  local hosts, vacated = redis.call('HKEYS', k.seat_of), 0
  for first = 1, #hosts, ARGUMENTS_AT_ONCE do
    local last = math.min(first + ARGUMENTS_AT_ONCE - 1, #hosts)
    local slots = redis.call('HMGET', k.slots, unpack(hosts, first, last))
    for i = first, last do
      if not slots[i - first + 1] and vacate(k, hosts[i]) then
        note(k, 'event', 'absent', 'host', hosts[i])
        vacated = vacated + 1
        if vacated == VACATED_AT_ONCE then return end
      end
    end
  end
  redis.call('HSET', k.course, 'gathered', 1)
  k.of.gathered = '1'
end

-- Removes a host that serves badly from its seat. It offers nothing from now on, and pulls from
-- parents in different parts of the trees.
set_aside = function(k, host, kind)
  local seat = vacate(k, host)
  if not seat then return end
  redis.call('HSET', k.seat_of, host, -1 - seat)
  redis.call('HSET', k.slots, host, 0)
  redis.call('SREM', k.queue, host)
  note(k, 'event', 'set aside', 'host', host, 'kind', kind)
end

-- The parents of a seat, one for each tree, and the number of seats. A parent is '' while its seat
-- is free.
--
-- Until the hosts have gathered, all known hosts count as seated. Otherwise each one that joins
-- would move others.
function parents_of(k, seat)
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

-- A host reports about a pull from one of its parents. The pull was slow, or good after earlier
-- ones were not, or it failed as `outcome` says. A parent that is slow for several hosts is set
-- aside. Reports about other hosts count for nothing.
function judge_parent(k, host, parents, source, outcome, detail, now)
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

-- The announced digests that the host does not know, as a range: its first piece, and all digests
-- from there to the last unknown one. Pieces that are not announced have zeros.
local function unknown_digests(k, known)
  local words = wanted_of(k.of.announced, known)
  if not words then return 0, '' end
  local first, last = 1, #words
  while words[first] == 0 do first = first + 1 end
  while words[last] == 0 do last = last - 1 end
  local piece = 32 * (first - 1)
  return piece, redis.call('GETRANGE', k.digests, piece * DIGEST_BYTES, 32 * last * DIGEST_BYTES - 1)
end

-- The poll intervals of a seated host, in ms: while it lacks a parent or a digest, and otherwise.
-- The first one is shorter near the origin.
local function intervals_of(seat, seats)
  return math.floor(math.max(POLL_MS, math.abs(seat) * 1000 / POLLS_A_SECOND)),
         math.floor(math.max(REPORT_MS, seats * 1000 / REPORTS_A_SECOND))
end

-- Appends the seat of a host, for its answer:
--
--   both poll intervals, number of parents, one parent for each tree,
--   first piece, digests from that piece on (zeros where none is announced)
function append_seat(k, answer, seat, known)
  local n, parents, seats = #answer, parents_of(k, seat)
  answer[n + 1], answer[n + 2] = intervals_of(seat, seats)
  answer[n + 3] = #parents
  for i = 1, #parents do answer[n + 3 + i] = parents[i] end
  answer[#answer + 1], answer[#answer + 2] = unknown_digests(k, known)
  return answer
end

end
