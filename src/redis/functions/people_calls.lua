
-- The functions that people call. They change nothing, and no program decides anything by them.

do

-- A minion may have written anything into sync:moves.
local MOVES = {'placed', 'last', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', '15'}

-- The pieces that all hosts have placed, those of the last LATELY_S, and ms since the last one or nil.
local function moves_of(k)
  local all, lately = redis.call('HMGET', k.moves, unpack(MOVES)), 0
  local most = number_of(k.of.pieces) * math.max(1, expected_count(k))
  local now_s = math.floor(k.now / 1000)
  for i = 3, #MOVES do
    local second, pieces = string.match(all[i] or '', '^(%d+) (%d+)$')
    local age = now_s - number_of(second)
    if second and age >= 0 and age < LATELY_S then lately = lately + number_of(pieces) end
  end
  local moved = number_of(all[2])
  local is_right = moved >= number_of(k.of.started) and moved <= k.now
  return math.max(0, math.min(number_of(all[1]), most)), math.min(lately, most), is_right and k.now - moved or nil
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
--   Answers: PULSE task-or-'' clock, path outcome reason finished expected ended run of sync:last,
--            and if there is a run: id path finished expected bytes pieces placed
--            placed-in-the-last-LATELY_S ms-since-the-last-or-'' pieces-of-one-source
local function pulse(_, a)
  local k = reading_call_of(a)
  local answer = {'PULSE', task_of(k) or '', k.clock}
  local last = redis.call('HMGET', k.last, 'path', 'outcome', 'reason', 'finished', 'expected', 'ended', 'run')
  for i = 1, 7 do answer[3 + i] = last[i] or '' end
  if not k.of then return answer end
  local run = redis.call('HMGET', k.run, 'path', 'bytes')
  local placed, lately, moved_ago = moves_of(k)
  local rest = {k.of.id, run[1] or '', finished_count(k), expected_count(k), run[2] or '', k.of.pieces,
                placed, lately, moved_ago or '', of_one_source(k)}
  for i = 1, #rest do answer[10 + i] = rest[i] end
  return answer
end

register('pulse', pulse, {'no-writes'})

end
