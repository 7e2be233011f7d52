
-- Blame: one host accuses another. Fields of sync:blame:
--
--   avoid ACCUSER SOURCE   "UNTIL TIMES": this accuser gets nothing from this source until then
--   strike SOURCE          "KIND:ACCUSER …": distinct accusers since the last quarantine
--   accused ACCUSER        "SOURCE …": the sources that it accused and had no success with since
--   by SOURCE              "ACCUSER …": the hosts that accuse it
--   rounds SOURCE          quarantines so far
--   verify SOURCE          its spool is suspect: it offers nothing until it is reverified. During
--                          staging the master's spool goes on serving, and is reverified after it
--   verified SOURCE        when the spool was reverified last
--   slow SOURCE            " PULLER  PULLER …": hosts below this parent that found it slow
--   undelivered SOURCE     the target of a push lacks pieces: the master must push again
--
-- A failure first keeps only the accuser away from the source. Several distinct accusers cause a
-- quarantine. A host that accuses two sources accuses itself: its strikes are withdrawn, and new
-- ones do not count. A quarantine proves its accusers right, so it leaves their lists.
--
-- A piece that is missing at a source makes that spool suspect at once. So does a wrong piece at
-- the origin, because every copy comes from there. Reverifying a spool costs little.

-- Other files of functions use these.
local suspect, trust, accuse, absolve
local set_aside  -- Defined in trees.lua.

do  -- Lua has room for 200 local names outside of blocks.

-- Deletes old fields `avoid` among a few at random. So there are about as many as are in use.
local function forget(k, now)
  local fields = redis.call('HRANDFIELD', k.blame, AVOIDED_TRIED, 'WITHVALUES')
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 6) == 'avoid ' and now - number_of(string.match(fields[i + 1], '^%d+')) > AVOIDED_KEPT_MS then
      redis.call('HDEL', k.blame, fields[i])
    end
  end
end

-- Keeps an accuser away from a source. `base` is the time in ms, which doubles each time up to
-- `most`.
local function keep_away(k, accuser, source, base, most, now)
  k.has_blame = true
  forget(k, now)
  local field = 'avoid ' .. accuser .. ' ' .. source
  local times = number_of(string.match(redis.call('HGET', k.blame, field) or '', ' (%d+)$')) + 1
  local away = math.min(base * 2 ^ math.min(times - 1, 10), most)
  redis.call('HSET', k.blame, field, string.format('%d %d', now + away, times))
end

-- The list in a field, as far as it is of a likely length.
local function listed(k, field)
  return string.sub(redis.call('HGET', k.blame, field) or '', 1, LISTED_BYTES)
end

local function withdraw_strike(k, accuser, source)
  local field, rest = 'strike ' .. source, ''
  for strike in string.gmatch(listed(k, field), '%S+') do
    local kind, by = string.match(strike, '^(%a+):(.+)$')
    if by and by ~= accuser then rest = rest .. kind .. ':' .. by .. ' ' end
  end
  if rest == '' then
    redis.call('HDEL', k.blame, field)
  else
    redis.call('HSET', k.blame, field, rest)
  end
end

-- Adds or removes one host in a list of hosts. Returns all of them.
local function change_list(k, field, added, removed)
  local all = {}
  for host in string.gmatch(listed(k, field), '%S+') do
    if host ~= added and host ~= removed then all[#all + 1] = host end
  end
  if #all >= ACCUSERS_KEPT then table.remove(all, 1) end
  if added then all[#all + 1] = added end
  if #all == 0 then
    redis.call('HDEL', k.blame, field)
  else
    redis.call('HSET', k.blame, field, table.concat(all, ' '))
  end
  return all
end

-- Adds or removes one of the sources that a host accuses. Returns all of them.
local function accused_by(k, accuser, added, removed)
  change_list(k, 'by ' .. (added or removed), added and accuser, removed and accuser)
  return change_list(k, 'accused ' .. accuser, added, removed)
end

-- Makes the spool of a source suspect, and wakes its host to reverify it.
function suspect(k, source, kind, now)
  k.has_blame = true
  redis.call('HSET', k.blame, 'verify ' .. source, kind)
  offer(k, source, now)
  wake(k, source)
end

-- The spool of the source has been reverified.
function trust(k, source, now)
  redis.call('HDEL', k.blame, 'verify ' .. source)
  redis.call('HSET', k.blame, 'verified ' .. source, now)
end

-- Excludes a source for a time that doubles each time. The origin returns soon: it may be the only
-- source of a piece.
local function quarantine(k, source, kind, is_origin, now)
  redis.call('HDEL', k.blame, 'strike ' .. source)
  for accuser in string.gmatch(redis.call('HGET', k.blame, 'by ' .. source) or '', '%S+') do
    accused_by(k, accuser, nil, source)
  end
  local rounds = redis.call('HINCRBY', k.blame, 'rounds ' .. source, 1)
  local out = math.min(QUARANTINE_MS * 2 ^ math.min(rounds - 1, 10), QUARANTINE_MAX_MS)
  if is_origin then out = QUARANTINE_ORIGIN_MS end
  if kind == 'corrupt' then
    suspect(k, source, kind, now)
  elseif not is_origin then
    -- After the quarantine it gets one claim at a time, like a slow source, until pulls succeed.
    redis.call('HSET', k.pace, source, SLOW_MS * SLOWER .. ' slow')
  end
  redis.call('HSET', k.unfed, source, 'others cannot pull from here (' .. kind .. ')')
  redis.call('ZADD', k.quarantine, now + out, source)
  redis.call('SREM', k.queue, source)
  set_aside(k, source, kind)
  note(k, 'event', 'quarantined', 'host', source, 'kind', kind, 'ms', out)
end

-- A pull by `accuser` has failed, and `kind` says how (PullEnd in pull_end.h).
function accuse(k, accuser, source, kind, detail, now)
  local is_origin = k.of.origin == source
  local most = is_origin and AVOID_MAX_ORIGIN_MS or AVOID_MAX_MS
  if kind == 'busy' then return keep_away(k, accuser, source, AVOID_BUSY_MS, most, now) end
  keep_away(k, accuser, source, is_origin and AVOID_ORIGIN_MS or AVOID_MS, most, now)
  redis.call('HSET', k.errors, accuser, string.sub(detail, 1, ERROR_BYTES))
  note(k, 'event', 'accused', 'host', accuser, 'source', source, 'kind', kind)
  local verified = number_of(redis.call('HGET', k.blame, 'verified ' .. source))
  local is_trusted = now - verified < TRUSTED_MS
  if kind == 'missing' then
    if not is_trusted then suspect(k, source, kind, now) end
    return
  end
  local all = accused_by(k, accuser, source, nil)
  if #all >= 2 then
    for _, other in ipairs(all) do withdraw_strike(k, accuser, other) end
    return
  end
  if kind == 'corrupt' and is_origin and not is_trusted then suspect(k, source, kind, now) end
  withdraw_strike(k, accuser, source)
  local strikes = listed(k, 'strike ' .. source) .. kind .. ':' .. accuser .. ' '
  redis.call('HSET', k.blame, 'strike ' .. source, strikes)
  local _, of_kind = string.gsub(strikes, kind .. ':', '')
  if of_kind >= (STRIKES[kind] or math.huge) then quarantine(k, source, kind, is_origin, now) end
end

-- The accuser has pulled from the source, which ends its accusation.
function absolve(k, accuser, source)
  if not is_blame(k) then return end
  redis.call('HDEL', k.blame, 'avoid ' .. accuser .. ' ' .. source)
  withdraw_strike(k, accuser, source)
  accused_by(k, accuser, nil, source)
end

end
