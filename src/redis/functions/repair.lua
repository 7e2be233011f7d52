
-- Repair: what Redis says of a run becomes again what the spool of its master says.

-- The fields of sync:run that the spool knows, in the order of the arguments. A host that has used
-- another value of one of the first nine may have published something else.
local KNOWN_FIELDS = {'path', 'name', 'fingerprint', 'bytes', 'piece_bytes', 'pieces', 'manifest',
                      'manifest_bytes', 'sparse', 'master', 'expected'}
local FIELDS_OF_PAYLOAD = 9

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
  local numbers = {known = a[16], started = k.now, trees = 0, seated = 0}
  for name, value in pairs(numbers) do
    if not string.match(k.of[name], '^%d+$') then correct(name, value) end
  end
  return wrong, is_other
end

-- The announced pieces whose digests are on record, and sync:digests as it has to be.
local function announced_of(k, recorded)
  local pieces, digests, none = {}, {}, string.rep('\0', DIGEST_BYTES)
  for piece = 0, tonumber(k.of.pieces) - 1 do
    local digest = string.sub(recorded, piece * DIGEST_BYTES + 1, (piece + 1) * DIGEST_BYTES)
    local byte = string.byte(k.of.announced, math.floor(piece / 8) + 1) or 0
    if bit.band(byte, bit.lshift(1, piece % 8)) ~= 0 and #digest == DIGEST_BYTES and digest ~= none then
      pieces[#pieces + 1], digests[piece + 1] = piece, digest
    else
      digests[piece + 1] = none
    end
  end
  return pieces, table.concat(digests)
end

-- Compares sync:run, sync:digests and sync:expected with the spool of the master, and corrects what
-- differs. If a host may have used wrong values of the payload, the run goes on under another id.
-- Then that host starts again, and each host has to finish again.
--
--   Args:    run, another id,
--            complete (1: all digests are on record, and the payload had not changed),
--            path, name, fingerprint, bytes, piece_bytes, pieces, manifest, manifest_bytes, sparse,
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
  local pieces, digests = announced_of(k, a[17])
  local found = redis.call('GET', k.digests) or ''
  local are_digests_wrong = found .. string.rep('\0', #digests - #found) ~= digests
  if are_digests_wrong then redis.call('SET', k.digests, digests) end
  local announced = with_pieces(blank(tonumber(k.of.pieces)), pieces, true)
  local is_staged = k.of.state == 'staged' and a[5] == '1' and #pieces == tonumber(k.of.pieces)
  local state = is_staged and 'staged' or 'staging'
  if announced ~= k.of.announced or state ~= k.of.state then
    is_run_wrong = true
    redis.call('HSET', k.run, 'announced', announced, 'state', state)
  end
  local are_hosts_wrong = false
  for first = 18, #a, ARGUMENTS_AT_ONCE do
    local last = math.min(first + ARGUMENTS_AT_ONCE - 1, #a)
    if redis.call('SADD', k.expected, unpack(a, first, last)) > 0 then are_hosts_wrong = true end
  end
  local answer = {'REPAIRED', a[3]}
  if is_run_wrong or is_other then answer[#answer + 1] = k.run end
  if are_digests_wrong then answer[#answer + 1] = k.digests end
  if are_hosts_wrong then answer[#answer + 1] = k.expected end
  if is_other or are_digests_wrong then
    answer[2] = a[4]
    redis.call('HSET', k.run, 'id', a[4])
    redis.call('DEL', k.done, k.finished)
    note(k, 'event', 'repaired', 'run', a[3], 'as', a[4])
    wake_all(k, {}, now)
  end
  return answer
end

register('repair', repair)
