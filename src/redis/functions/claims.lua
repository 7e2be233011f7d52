
-- Claims: which host pulls which pieces from which source.

-- Other files of functions use these.
local measure, wanted_of, view, leave_out, claim

do  -- Lua has room for 200 local names outside of blocks.

-- A claim on a source has brought its pieces, which needed `ms` for each. The mean of all sources
-- counts a slow one for no more than SLOWER times the usual.
function measure(k, source, ms)
  ms = math.max(1, ms)
  local known = redis.call('HMGET', k.pace, 'usual', source)
  local usual = number_of(known[1])
  if usual <= 0 then usual = ms end
  usual = usual + USUAL_WEIGHT * (math.min(ms, SLOWER * usual) - usual)
  local mean, was_slow = string.match(known[2] or '', '^([%d.]+) ?(%a*)$')
  mean = mean and number_of(mean) + PACE_WEIGHT * (ms - number_of(mean)) or ms
  local is_slow = mean > SLOWER * usual + SLOW_MS or was_slow == 'slow' and mean > SLOWER / 2 * usual
  redis.call('HSET', k.pace, 'usual', string.format('%.1f', usual),
             source, string.format('%.1f', mean) .. (is_slow and ' slow' or ''))
end

-- The uploads that a source may have beside `slots`: a slow one has one at a time. The origin is no
-- slow source, since all bytes come from it.
local function limit_of(k, source, pace, slots)
  if not pace or source == k.of.origin or not string.find(pace, 'slow', 1, true) then return slots end
  return math.min(slots, 1)
end

-- The sources among `hosts` that this puller may use now: names, bitmaps, uploads in use. `beside`
-- is a source that it uses for these pieces already, or nil.
local function usable(k, puller, hosts, slots, beside, now)
  local n = #hosts
  if n == 0 then return {}, {}, {} end
  local haves = redis.call('HMGET', k.have, unpack(hosts))
  local used = redis.call('HMGET', k.uploads, unpack(hosts))
  local paces = redis.call('HMGET', k.pace, unpack(hosts))
  local avoided = nil
  if is_blame(k) then
    local fields = {}
    for i = 1, n do fields[i] = 'avoid ' .. puller .. ' ' .. hosts[i] end
    avoided = redis.call('HMGET', k.blame, unpack(fields))
  end
  local names, bitmaps, uploads = {}, {}, {}
  for i = 1, n do
    local till = avoided and avoided[i] and tonumber(string.match(avoided[i], '^%d+'))
    if haves[i] and hosts[i] ~= puller and hosts[i] ~= beside and not (till and till > now)
       and number_of(used[i]) < limit_of(k, hosts[i], paces[i], slots) then
      local at = #names + 1
      names[at], bitmaps[at], uploads[at] = hosts[i], haves[i], number_of(used[i])
    end
  end
  return names, bitmaps, uploads
end

-- The announced pieces that are not unwanted, as words; false if there are none.
function wanted_of(announced, unwanted)
  local wanted, not_wanted, any = words_of(announced), words_of(unwanted), false
  for i = 1, #wanted do
    wanted[i] = bit.band(wanted[i], bit.bnot(not_wanted[i] or 0))
    any = any or wanted[i] ~= 0
  end
  return any and wanted
end

-- The wanted pieces of a host. If it has more than `enough`, about that many from a random word on.
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

-- The rarity of each piece, and the lowest: the number of hosts that have it or claim it.
local function rarities(pieces, copies, coming)
  local rarity, lowest = {}, math.huge
  for i = 1, #pieces do
    local count = count_of(copies, pieces[i]) + count_of(coming, pieces[i])
    rarity[pieces[i]] = count
    if count < lowest then lowest = count end
  end
  return rarity, lowest
end

-- The best source by the rules of find_source: its index, its useful pieces and their rarities.
-- `known` caches the worth of a bitmap, because early in a run many hosts have the same one.
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

-- Up to `most` of the useful pieces, the rarest first, ties at random. Without `rarity` the choice
-- is random.
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

-- Up to `most` of the wanted pieces that only the origin has and no host pulls.
local function choose_fresh(fresh, have, wanted, most)
  local words = words_of(fresh)
  for i = 1, #wanted do words[i] = bit.band(words[i] or 0, wanted[i]) end
  return choose(pieces_in(have, words, most), nil, most)
end

-- Up to `most` of the wanted pieces of a source that no host pulls now.
local function choose_idle(k, have, wanted, most)
  local idle, coming = {}, counts_of(k, 'coming')
  for _, piece in ipairs(pieces_in(have, wanted, math.huge)) do
    if count_of(coming, piece) == 0 then idle[#idle + 1] = piece end
  end
  return choose(idle, nil, most)
end

-- The view that every answer to a minion holds: state, free sources, finished hosts, whether this
-- host's spool is suspect. Then the usual ms for a piece, 0 if that is not known.
function view(k, host)
  local usual = math.max(0, math.min(number_of(redis.call('HGET', k.pace, 'usual')), LONGEST_PACE_MS))
  return k.of.state, redis.call('SCARD', k.queue), redis.call('HLEN', k.done), is_suspect(k, host),
         math.ceil(usual)
end

-- Appends each piece and its digest.
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

function leave_out(list, one)
  for i = #list, 1, -1 do
    if list[i] == one then table.remove(list, i) end
  end
end

-- A source for `host`, and the pieces to pull from it; nil if there is none. In this order:
--
-- 1. The origin, as long as it has pieces that no other host has or pulls. Every byte must pass its
--    link, so nothing leaves it twice before everything has left it once.
-- 2. The best of a small sample of the others. A source with few uploads is fast, because uploads
--    share its link; useful pieces outweigh some uploads (FULLNESS). Among equals, the source with
--    the rarest piece wins, ties at random.
-- 3. The best of a larger sample.
-- 4. The origin for anything. While it stages, pieces on the way to another host are excluded: the
--    origin will soon have pieces that are needed more.
--
-- A host that has just pulled from the origin skips step 1. Otherwise one host could hold most of
-- the origin's uploads to the end, and get nothing from others:
-- ./tests/simulate --hosts 8 --bytes 4294967296
--
-- Fields of `search`:
--
--   called_by  the source that woke the host, or nil
--   left       the source of the claim that has just ended, or nil
--   beside     the source that brings the wanted piece too slowly, or nil
--   more       size of the larger sample
local function find_source(k, host, most, slots, unwanted, search, now)
  local wanted = most > 0 and wanted_of(k.of.announced, unwanted)
  if most > 0 and not wanted then return nil end
  local origin, origins
  if redis.call('SISMEMBER', k.queue, k.of.origin) == 1 then
    local limit = math.min(slots, HUNGRY_UPLOADS + math.floor(k.of.left / PIECES_PER_UPLOAD))
    local names, bitmaps = usable(k, host, {k.of.origin}, limit, search.beside, now)
    origin, origins = names[1], bitmaps[1]
  end
  if origin and most > 0 and origin ~= search.left and has_any(k.of.fresh) then
    local pieces = choose_fresh(k.of.fresh, origins, wanted, most)
    if #pieces > 0 then return origin, pieces end
  end
  local known = {}
  local function best_of(hosts)
    local names, bitmaps, uploads = usable(k, host, hosts, slots, search.beside, now)
    if most == 0 then return names[1], {} end
    if #names == 0 then return nil end
    local best, useful, rarity = best_source(known, counts_of(k, 'copies'), counts_of(k, 'coming'), bitmaps, uploads,
                                             wanted, most)
    if best then return names[best], choose(useful, rarity, most) end
  end
  local sample = redis.call('SRANDMEMBER', k.queue, SAMPLE)
  local are_all = #sample < SAMPLE
  leave_out(sample, k.of.origin)
  local caller = search.called_by
  if caller and caller ~= k.of.origin and redis.call('SISMEMBER', k.queue, caller) == 1 then
    leave_out(sample, caller)
    sample[#sample + 1] = caller
  end
  local source, pieces = best_of(sample)
  if source then return source, pieces end
  if not are_all and number_of(redis.call('HGET', k.pulls, host)) < BUSY_PULLS then
    local more = redis.call('SRANDMEMBER', k.queue, search.more)
    leave_out(more, k.of.origin)
    source, pieces = best_of(more)
    if source then return source, pieces end
  end
  if origin and most > 0 and k.of.state == 'staging' and not search.beside then
    pieces = choose_idle(k, origins, wanted, most)
    if #pieces > 0 then return origin, pieces end
  elseif origin then
    return best_of({origin})
  end
end

-- Whether a host that has something must let hungry hosts go first. A host without pieces serves
-- none. If a few hosts kept all slots, the sources would not double each round.
local function yields(k, have, now)
  if waiting_count(k) == 0 or not has_any(have) then return false end
  local hungry = redis.call('ZCOUNT', k.hungry, now, '+inf')
  return hungry > 0 and hungry >= redis.call('SCARD', k.queue)
end

-- Makes the host wait for a wake-up. In case that is lost, it asks again after the patience in the
-- answer, which grows with the number of waiting hosts.
local function put_off(k, host, have, unwanted, now)
  wait(k, host, unwanted)
  local patience = math.ceil(waiting_count(k) / ASKS_A_SECOND)
  if not has_any(have) then redis.call('ZADD', k.hungry, now + patience * 1000 * HUNGRY_FACTOR, host) end
  local state, sources, finished, suspect, usual = view(k, host)
  return {'WAIT', state, sources, finished, suspect, usual, patience}
end

-- Claims a source for `host`. With `most` 0 the claim is for the manifest alone, which every source
-- has. `turn` is 'next' if the host has just completed a claim, else 'first'. `search` is that of
-- find_source.
function claim(k, host, token, most, have, unwanted, turn, search, now)
  local known = redis.call('HGET', k.claims, token)
  if known then
    local puller, source, pieces = parts_of(k, known)
    if puller ~= host then return put_off(k, host, have, unwanted, now) end
    return answer_claim(k, host, token, source, pieces)
  end
  local source, pieces
  local is_hungry = waiting_count(k) > 0 and not has_any(have)
  if not yields(k, have, now) then
    source, pieces = find_source(k, host, most, is_hungry and HUNGRY_UPLOADS or math.huge, unwanted, search, now)
  end
  if not source then
    -- Every source has the manifest, so no piece is unwanted.
    return put_off(k, host, have, most == 0 and string.rep('\0', #unwanted) or unwanted, now)
  end
  -- After a completed claim, another slot of this host may still wait.
  if turn == 'first' then
    wait_no_more(k, host)
  elseif waiting_count(k) > 0 then
    redis.call('ZREM', k.hungry, host)
  end
  redis.call('HSET', k.claims, token,
             string.format('%s %s %d %s', host, source, now, table.concat(pieces, ',')))
  redis.call('ZADD', k.leases, now + LEASE_MS, token)
  add_to(k, 'coming', pieces, 1)
  mark_fresh(k, pieces, false)
  redis.call('HINCRBY', k.pulls, host, 1)
  redis.call('SADD', k.running, host)
  use_upload(k, source, 1, now)
  return answer_claim(k, host, token, source, pieces)
end

end
