
-- Repair: what Redis says of a run becomes again what the spool of its master says.

do

-- The fields of sync:run that the spool knows, in the order of the arguments. A host that has used
-- another value of one of the first eight may have published something else.
local KNOWN_FIELDS = {'path', 'name', 'fingerprint', 'bytes', 'piece_bytes', 'pieces', 'manifest',
                      'manifest_bytes', 'master', 'expected'}
local FIELDS_OF_PAYLOAD = 8

local function is_run_id(text)
  return #text == 32 and string.match(text, '^%x+$') ~= nil
end

-- Whether another version began the run (answer.h, manifest_field). A manifest in no form that any
-- version writes is a wrong value.
local function is_of_other_version(manifest, ours)
  local format = string.match(manifest, '^%d+:%w+:%x+$') and string.match(manifest, '^%d+:') or ''
  if format == '' then return string.match(manifest, '^%w+:%x+$') ~= nil end
  return format ~= string.match(ours, '^%d+:')
end

-- The fields of sync:run that differ, as fields and values, and whether one of the payload does.
local function wrong_fields(k, a)
  local fields, is_other, wrong = redis.call('HMGET', k.run, unpack(KNOWN_FIELDS)), false, {}
  local function correct(name, value)
    local n = #wrong
    wrong[n + 1], wrong[n + 2] = name, value
  end
  for i, name in ipairs(KNOWN_FIELDS) do
    if fields[i] ~= a[5 + i] then
      correct(name, a[5 + i])
      is_other = is_other or i <= FIELDS_OF_PAYLOAD
    end
  end
  -- run_of() reads a wrong number as zero.
  local has_seats = redis.call('EXISTS', k.seats) == 1
  local known = math.max(number_of(a[15]), #a - 16)
  local numbers = {known = known, started = k.now, trees = has_seats and TREES or 0, seated = 0}
  local held = redis.call('HMGET', k.run, 'known', 'started', 'trees', 'seated')
  for i, name in ipairs({'known', 'started', 'trees', 'seated'}) do
    if held[i] ~= k.of[name] then correct(name, numbers[name]) end
  end
  return wrong, is_other
end

-- A bitmap of all pieces.
local function full(pieces)
  local rest = pieces % 8
  return string.rep('\255', math.floor(pieces / 8)) .. (rest > 0 and string.char(2 ^ rest - 1) or '')
end

-- The bitmap of the announced pieces whose digests are on record, and sync:digests as it has to be.
-- `found` is sync:digests as it is.
local function announced_of(k, found, recorded, is_complete)
  local all = full(tonumber(k.of.pieces))
  if is_complete and k.of.announced == all and found == recorded then return all, recorded end
  local bytes, digests, none = {}, {}, string.rep('\0', DIGEST_BYTES)
  for piece = 0, tonumber(k.of.pieces) - 1 do
    local at, mask = math.floor(piece / 8) + 1, bit.lshift(1, piece % 8)
    local digest = string.sub(recorded, piece * DIGEST_BYTES + 1, (piece + 1) * DIGEST_BYTES)
    local is_announced = bit.band(string.byte(k.of.announced, at) or 0, mask) ~= 0
    if not is_announced or #digest ~= DIGEST_BYTES then digest = none end
    digests[piece + 1] = digest
    bytes[at] = (bytes[at] or 0) + (digest ~= none and mask or 0)
  end
  for at = 1, #bytes do bytes[at] = string.char(bytes[at]) end
  return table.concat(bytes), table.concat(digests)
end

-- Expects the hosts on record. By the rule `named` only these count, else not those that are silent
-- or have moved. True if some were missing, or if others were there.
local function correct_hosts(k, a, first)
  local expected, others = set_of(redis.call('SMEMBERS', k.expected)), set_of(redis.call('SMEMBERS', k.others))
  local named, lost, missing, more = is_named(k), {}, {}, {}
  for i = first, #a do
    if not expected[a[i]] and (named or not others[a[i]]) then lost[#lost + 1] = a[i] end
    expected[a[i]] = nil
  end
  local moved = named and {} or moved_among(k, lost)
  for _, host in ipairs(lost) do
    if not moved[host] then missing[#missing + 1] = host end
  end
  for host in pairs(named and expected or {}) do more[#more + 1] = host end
  call_with('SADD', k.expected, missing)
  call_with('SREM', k.others, missing)
  call_with('SREM', k.expected, more)
  return #missing + #more > 0
end

-- Compares sync:run, sync:digests and sync:expected with the spool of the master, and corrects what
-- differs. If a host may have used wrong values of the payload, the run goes on under another id.
-- Then that host starts again, and each host has to finish again.
--
--   Args:    run, another id,
--            complete (1: all digests are on record, and the payload had not changed),
--            path, name, fingerprint, bytes, piece_bytes, pieces, manifest, manifest_bytes,
--            master, expected count, digests on record (zeros where there is none),
--            expected host …
--   Answers: REPAIRED run key …    the id of the run now, and the keys that differed
local function repair(_, a)
  local k, now = call_of(a)
  if not k.of or (k.of.id ~= a[3] and is_run_id(k.of.id)) then return {'STALE'} end
  if is_of_other_version(k.of.manifest, a[12]) then return {'STALE'} end
  local wrong, is_other = wrong_fields(k, a)
  is_other = is_other or k.of.id ~= a[3]
  if #wrong > 0 then
    redis.call('HSET', k.run, unpack(wrong))
    k.of = run_of(k, RUN_FIELDS)
  end
  local is_run_wrong = #wrong > 0
  local found = redis.call('GET', k.digests) or ''
  local announced, digests = announced_of(k, found, a[16], a[5] == '1')
  local are_digests_wrong = found .. string.rep('\0', #digests - #found) ~= digests
  if are_digests_wrong then redis.call('SET', k.digests, digests) end
  local is_staged = k.of.state == 'staged' and a[5] == '1' and announced == full(tonumber(k.of.pieces))
  local state = is_staged and 'staged' or 'staging'
  if announced ~= k.of.announced or state ~= k.of.state then
    is_run_wrong = true
    redis.call('HSET', k.run, 'announced', announced, 'state', state)
  end
  local are_hosts_wrong = correct_hosts(k, a, 17)
  local answer = {'REPAIRED', a[3]}
  if is_run_wrong or is_other then answer[#answer + 1] = k.run end
  if are_digests_wrong then answer[#answer + 1] = k.digests end
  if are_hosts_wrong then answer[#answer + 1] = k.expected end
  if is_other or are_digests_wrong then
    answer[2] = a[4]
    redis.call('HSET', k.run, 'id', a[4])
    redis.call('DEL', k.done, k.finished)
    note(k, 'event', 'repaired', 'run', a[3], 'as', a[4])
    wake_minions(k, nil, false, now)
  end
  return answer
end

register('repair', repair)

end
