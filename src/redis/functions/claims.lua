
-- Who pulls what from whom.

-- Sources out of `hosts` that this puller may use now: names, what they can serve, and how many upload
-- slots of theirs are in use.
local function usable(k, puller, hosts, slots, now)
  local n = #hosts
  if n == 0 then return {}, {}, {} end
  local haves = redis.call('HMGET', k.have, unpack(hosts))
  local used = redis.call('HMGET', k.uploads, unpack(hosts))
  local avoided = nil
  if is_blame(k) then
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

-- Up to `most` of the useful pieces, rarest first, ties at random. Without `rarity` all are as rare.
local function choose(useful, rarity, most)
  if #useful > most then
    local key = {}
    for i = 1, #useful do key[useful[i]] = (rarity and rarity[useful[i]] or 0) + math.random() end
    table.sort(useful, function(a, b) return key[a] < key[b] end)
    for i = #useful, most + 1, -1 do useful[i] = nil end
    table.sort(useful)
  end
  return useful
end

-- Up to `most` of the wanted pieces that only the origin has and nobody pulls.
local function choose_fresh(fresh, have, wanted, most)
  local words = words_of(fresh)
  for i = 1, #wanted do words[i] = bit.band(words[i] or 0, wanted[i]) end
  return choose(pieces_in(have, words, most), nil, most)
end

-- Up to `most` of the wanted pieces of a host that nobody pulls now.
local function choose_idle(k, have, wanted, most)
  local idle, coming = {}, counts_of(k, 'coming')
  for _, piece in ipairs(pieces_in(have, wanted, math.huge)) do
    if count_of(coming, piece) == 0 then idle[#idle + 1] = piece end
  end
  return choose(idle, nil, most)
end

-- How the run stands, for every answer to a minion: state, sources free, hosts finished, and whether
-- this host's spool is suspect.
local function view(k, host)
  return k.of.state, redis.call('SCARD', k.queue),
         redis.call('HLEN', k.done), is_suspect(k, host)
end

-- piece digest …
local function append_digests(k, answer, pieces)
  local n = #answer
  for i = 1, #pieces do
    local at = pieces[i] * DIGEST_BYTES
    answer[n + 2 * i - 1] = pieces[i]
    answer[n + 2 * i] = redis.call('GETRANGE', k.digests, at, at + DIGEST_BYTES - 1)
  end
  return answer
end

local function answer_claim(k, host, token, source, pieces)
  return append_digests(k, {'CLAIMED', token, source, view(k, host)}, pieces)
end

local function leave_out(list, one)
  for i = #list, 1, -1 do
    if list[i] == one then table.remove(list, i) end
  end
end

-- A source for `host`, and the pieces to pull from it; nothing if there is none. The origin first, as
-- long as it has what nobody else has or pulls: its link is the one that every byte has to pass, so it
-- carries nothing twice before everything has left once. Then, of a sample of the others, the one with
-- the fewest uploads in use (a link that is shared by few is fast), more useful pieces making up for
-- some, and of equals the one with the rarest piece, ties at random. Then many more of them. Then the
-- origin for anything; while it still stages, not for what is on the way to somebody: it will have better
-- to carry. Who has just pulled from the origin looks at the others before it: a host with all its slots at the
-- origin would take its own place again each time, and one that holds 3 of its 4 uploads gets 3/4 of a link and
-- nothing from anybody else to the end. (4 GiB to 8 hosts: 1.23 x the bound in 5 of 190 runs; so 1.08 in the worst
-- of 150.)
-- `search`: the source that the host was told of, if any (told), the one that it has just pulled from (left), and
-- how many to look at where a small sample has nothing (more).
local function find_source(k, host, most, slots, unwanted, search, now)
  local wanted = most > 0 and wanted_of(k.of.announced, unwanted)
  if most > 0 and not wanted then return nil end
  local origin, origins
  if redis.call('SISMEMBER', k.queue, k.of.origin) == 1 then
    local limit = math.min(slots, HUNGRY_UPLOADS + math.floor(k.of.left / PIECES_PER_UPLOAD))
    local names, bitmaps = usable(k, host, {k.of.origin}, limit, now)
    origin, origins = names[1], bitmaps[1]
  end
  if origin and most > 0 and origin ~= search.left and has_any(k.of.fresh) then
    local pieces = choose_fresh(k.of.fresh, origins, wanted, most)
    if #pieces > 0 then return origin, pieces end
  end
  local known = {}
  local function look(hosts)
    local names, bitmaps, uploads = usable(k, host, hosts, slots, now)
    if most == 0 then return names[1], {} end
    if #names == 0 then return nil end
    local best, useful, rarity = best_source(known, counts_of(k, 'copies'), counts_of(k, 'coming'), bitmaps, uploads,
                                             wanted, most)
    if best then return names[best], choose(useful, rarity, most) end
  end
  local sample = redis.call('SRANDMEMBER', k.queue, SAMPLE)
  local are_all = #sample < SAMPLE
  leave_out(sample, k.of.origin)
  if search.told and search.told ~= k.of.origin and redis.call('SISMEMBER', k.queue, search.told) == 1 then
    leave_out(sample, search.told)
    sample[#sample + 1] = search.told
  end
  local source, pieces = look(sample)
  if source then return source, pieces end
  if not are_all and tonumber(redis.call('HGET', k.pulls, host) or 0) < BUSY_PULLS then
    local more = redis.call('SRANDMEMBER', k.queue, search.more)
    leave_out(more, k.of.origin)
    source, pieces = look(more)
    if source then return source, pieces end
  end
  if origin and most > 0 and k.of.state == 'staging' then
    pieces = choose_idle(k, origins, wanted, most)
    if #pieces > 0 then return origin, pieces end
  elseif origin then
    return look({origin})
  end
end

-- A host that has nothing yet serves nobody: it goes first, or a few hosts would keep all slots to
-- themselves and the number of sources would grow by one a round rather than double.
local function yields(k, have, now)
  if waiting_count(k) == 0 or not has_any(have) then return false end
  local hungry = redis.call('ZCOUNT', k.hungry, now, '+inf')
  return hungry > 0 and hungry >= redis.call('SCARD', k.queue)
end

-- Has the host wait until it is woken, or, in case that is lost, asks again after the seconds told: the
-- longer, the more wait.
local function put_off(k, host, have, unwanted, now)
  wait(k, host, unwanted)
  local patience = math.ceil(waiting_count(k) / ASKS_A_SECOND)
  if not has_any(have) then redis.call('ZADD', k.hungry, now + patience * 1000 * HUNGRY_FACTOR, host) end
  local state, sources, finished, suspect = view(k, host)
  return {'WAIT', state, sources, finished, suspect, patience}
end

-- Takes a source for `host`. With `most` of 0 it is for the manifest alone: any source will do. `turn`: first,
-- or next, where the host has just completed a claim. `search`: as find_source has it.
local function claim(k, host, token, most, have, unwanted, turn, search, now)
  local known = redis.call('HGET', k.claims, token)
  if known then
    local puller, source, list = string.match(known, '^(%S+) (%S+) ?(%S*)$')
    if puller ~= host then return put_off(k, host, have, unwanted, now) end
    return answer_claim(k, host, token, source, pieces_of(list))
  end
  local source, pieces
  local is_hungry = waiting_count(k) > 0 and not has_any(have)
  if not yields(k, have, now) then
    source, pieces = find_source(k, host, most, is_hungry and HUNGRY_UPLOADS or math.huge, unwanted, search, now)
  end
  if not source then
    -- For the manifest any source will do.
    return put_off(k, host, have, most == 0 and string.rep('\0', #unwanted) or unwanted, now)
  end
  -- With the next of a claim that is over another slot of this host may still wait.
  if turn == 'first' then
    wait_no_more(k, host)
  elseif waiting_count(k) > 0 then
    redis.call('ZREM', k.hungry, host)
  end
  redis.call('HSET', k.claims, token, host .. ' ' .. source .. ' ' .. table.concat(pieces, ','))
  redis.call('ZADD', k.leases, now + LEASE_MS, token)
  add_to(k, 'coming', pieces, 1)
  mark_fresh(k, pieces, false)
  redis.call('HINCRBY', k.pulls, host, 1)
  redis.call('SADD', k.running, host)
  use_upload(k, source, 1, now)
  return answer_claim(k, host, token, source, pieces)
end
