
-- The functions that people call. They change nothing, and no program decides anything by them.

do

-- The pieces that all hosts have placed in the last LATELY_S, and the time of the last one or nil.
-- A minion may have written anything into sync:moves.
local function moves_of(k)
  local all, lately, moved = redis.call('HGETALL', k.moves), 0, nil
  local since = math.floor(k.now / 1000) - LATELY_S
  for i = 1, #all, 2 do
    local second, pieces = string.match(all[i + 1], '^(%d+) (%d+)$')
    if all[i] == 'last' then
      moved = tonumber(all[i + 1])
    elseif second and tonumber(second) > since and #pieces < 10 then
      lately = lately + tonumber(pieces)
    end
  end
  return lately, moved and math.max(0, k.now - moved) or nil
end

-- Announced pieces that one source alone has. In a run with trees nobody counts the copies.
local function of_one_source(k)
  if has_trees(k) then return 0 end
  local copies, lone = counts_of(k, 'copies'), 0
  for _, piece in ipairs(members_of(k.of.announced)) do
    if count_of(copies, piece) <= 1 then lone = lone + 1 end
  end
  return lone
end

-- How the run stands, without its hosts.
--
--   Args:    none
--   Answers: PULSE task-or-'' now, path outcome reason finished expected ended of sync:last,
--            and if there is a run: id path finished expected bytes pieces placed
--            placed-in-the-last-LATELY_S ms-since-the-last-or-'' pieces-of-one-source
local function pulse(_, a)
  local k, now = reading_call_of(a)
  local answer = {'PULSE', task_of(k) or '', now}
  local last = redis.call('HMGET', k.last, 'path', 'outcome', 'reason', 'finished', 'expected', 'ended')
  for i = 1, 6 do answer[3 + i] = last[i] or '' end
  if not k.of then return answer end
  local run = redis.call('HMGET', k.run, 'path', 'bytes')
  local lately, moved_ago = moves_of(k)
  local rest = {k.of.id, run[1] or '', finished_count(k), expected_count(k), run[2] or '', k.of.pieces,
                redis.call('HGET', k.moves, 'placed') or '0', lately, moved_ago or '', of_one_source(k)}
  for i = 1, #rest do answer[9 + i] = rest[i] end
  return answer
end

register('pulse', pulse, {'no-writes'})

end
