
-- The constants of all functions, and the context of a call.

-- A constant without a reason is a guard, housekeeping or a format; its value is not tuned.

-- A host renews its leases every 15 s, so one renewal may be lost. A dead host keeps a slot of its
-- source for this long.
local LEASE_MS = 45000
local WAKE_TTL_S = 5  -- An unread wake-up expires: by then it is old news.

-- Sources that one search for a claim compares. With fewer a run is slower; more cost Redis time
-- and gain nothing: ./tests/simulate --hosts 195 --spread claims
local SAMPLE = 4
-- The second, wider search: for a host that a source has called, and in a run with trees.
-- ./tests/simulate --hosts 1000 --spread claims
local SAMPLE_MORE = 32
-- The second search of a host that no source has called: all sources of most fleets. In a larger
-- fleet, a source that holds a rare piece wakes the hosts that wait for it.
local SAMPLE_MOST = 250
-- A host with this many pulls has a full link, and gets no second search.
local BUSY_PULLS = 2
-- One more useful piece outweighs this many busy uploads of a source.
-- ./tests/simulate --hosts 195 --spread claims
local FULLNESS = 0.5
-- The rarest piece of a source is sought among this many useful ones, or among as many as the claim
-- may name. More of them save no time and cost Redis an eighth more a call:
-- ./tests/simulate --hosts 195 --spread claims
local ENOUGH = 6
-- All waiting hosts together ask no more often than this, in case a wake-up was lost. Redis does
-- not notice that rate.
local ASKS_A_SECOND = 500
-- A waiting host is presumed dead after this multiple of its patience.
local HUNGRY_FACTOR = 1.5
-- Uploads of one source while hosts wait that have nothing. Slots share a link, so few of them
-- double the sources fastest; with one, the link idles between two pulls.
local HUNGRY_UPLOADS = 2
-- The origin offers one upload beyond HUNGRY_UPLOADS for this many pieces that have left it.
-- Otherwise the first pieces would all arrive together and late.
local PIECES_PER_UPLOAD = 4

-- Number of trees. Fewer are slower, and at least 2 are needed:
-- ./tests/simulate --hosts 1000 --spread trees
local TREES = 8
-- A run with this many expected hosts gets trees. Below, claims are as fast and start half as many
-- rsyncs. Above, Redis has no time for a claim a piece: ./tests/simulate --hosts 195
local TREES_FROM = 100
-- With fewer pieces, a tree is little more than its own beginning and end.
local TREES_PIECES = 64
local TREES_UPLOADS = 2  -- Uploads that the origin offers beside its trees, for claims.
-- Time after the last wake-up in which a lingering host must join, or it loses its seat.
local GATHERING_MS = 5000
-- Seated hosts are woken in the order of their seats. At most this many woken ones may not have
-- joined yet. All at once they would keep Redis from the hosts near the origin.
local WAKES_UNANSWERED = 100
-- The least rate of these wake-ups, however few have joined: some of the waiting hosts have died.
local WAKES_A_SECOND = 1000
local WAKES_AT_ONCE = 100  -- At most, by one call.
-- At least, by one call. If each join woke one host, a call would cost a fifth more:
-- ./tests/simulate --hosts 10000
local WAKES_AT_LEAST = 10
-- Poll interval of a host that lacks a parent or a digest, and the limit for all such hosts.
local POLL_MS = 100
local POLLS_A_SECOND = 2000
-- Interval at which a seated host reports, and the limit for all of them. People and claims read
-- these reports; pulls along trees do not wait for them.
local REPORT_MS = 4000
local REPORTS_A_SECOND = 1000

local ADMITTED_AT_ONCE = 1000   -- Joined hosts that one call expects from then on.
local MINIONS_AT_ONCE = 500     -- Minions that one call wakes.
local HOSTS_AT_ONCE = 1000      -- Hosts on a page for people.
local ACCUSERS_KEPT = 64        -- Accusers that a quarantine proves right. Older ones stay accusers.
local LISTED_BYTES = 4000       -- The longest list of hosts: about ACCUSERS_KEPT addresses.
local AVOIDED_TRIED = 8         -- Fields that one accusation checks for old ones.
local AVOIDED_KEPT_MS = 600000  -- A host that avoids a source again after this time begins anew.
local ARGUMENTS_AT_ONCE = 4000  -- Arguments of one command. Lua has room for twice as many.
local CHANGED_AT_ONCE = 2000    -- Hosts that one call seats, or expects. kHostsAtOnce in coordinator.cpp.
local DIGEST_BYTES = 40         -- A BLAKE3, and a rolling sum of 8 bytes.
local MAX_PIECES = 4096         -- kMaxPieces in pieces.h.
local WAITERS_TRIED = 8         -- Waiting hosts that are compared with one free slot.
local REAPED_AT_ONCE = 32       -- Lapsed claims that one call ends.
local REAP_MS = 100             -- Interval at which lapsed claims are sought.
local MEND_MS = 10000           -- Interval at which derived keys are derived again (mend.lua).
local SEEN_MS = 600000          -- A minion seen within this time is expected if none is named.
-- A host whose tick is at work in the run renews or asks at least every 20 s.
local SILENT_MS = 30000
local LATEST = 1e15             -- A later time in sync:course is a wrong value.
local LONGEST_GAP_MS = LEASE_MS -- A step of the clock of Redis costs a run no more than this.
local FORGOTTEN_MS = 604800000  -- A minion that was not seen for a week is no minion any more.
-- A source is slow while its claims need this multiple of the usual time for a piece, and SLOW_MS
-- more. It is slow no more at half of that. A slow source gets one claim at a time:
-- ./tests/simulate --hosts 15 --uplink 1:100
local SLOWER = 4
local SLOW_MS = 500
local LONGEST_PACE_MS = 600000  -- A longer usual time counts as this one.
-- The weights of a new measurement in the mean of a source, and in that of all.
local PACE_WEIGHT = 0.5
local USUAL_WEIGHT = 0.05
local AVOID_MS = 5000           -- An accuser avoids the accused for this long; doubles each time.
local AVOID_ORIGIN_MS = 1000    -- The origin may be the only source.
local AVOID_BUSY_MS = 300       -- At a busy source another pull has to end first.
local AVOID_MAX_MS = 60000
local AVOID_MAX_ORIGIN_MS = 5000
local QUARANTINE_MS = 60000     -- Doubles each time.
local QUARANTINE_MAX_MS = 1800000
local QUARANTINE_ORIGIN_MS = 5000
-- A parent in the trees refuses a pull until it has joined.
local STRIKES = {corrupt = 2, unreachable = 2, refused = 3, slow = 2}
local TRUSTED_MS = 60000        -- After a reverification, one accuser alone causes no other one.
local LATELY_S = 10             -- kLately in observer.h: the span of the rate that people see.
local EVENTS_KEPT = 10000
local WORK_BYTES = 100  -- The longest text about the work of a host, or of the master.
local ERROR_BYTES = 500
local SILENT_BYTES = 20000      -- The longest list of silent hosts that outlives a run.
local ADDRESS_BYTES = 45        -- The longest address, as text.
local PREFIX_BYTES = 1000       -- Longer prefixes of keys are refused.
local MAX_HOSTS = 500000        -- The intervals of REPORTS_A_SECOND stay below ten minutes.
local MAX_SLOTS = 1000          -- More upload slots of a host count as this many.

-- The keys of sync:* that the end of a run deletes. sync:run itself goes last.
local OF_A_RUN = {'digests', 'course', 'joined', 'have', 'copies', 'coming', 'hungry', 'slots', 'uploads', 'pulls',
                  'claims', 'leases', 'pace', 'waiting', 'woken', 'seats', 'seat_of', 'expected', 'done',
                  'progress', 'moves', 'blame', 'quarantine', 'errors', 'others', 'ticking', 'unfed', 'hooks',
                  'accounts', 'totals'}
-- Those that the end of a run keeps as sync:last_* until the next end, for people.
local KEPT_OF_LAST = {'expected', 'others', 'done', 'errors', 'hooks', 'accounts', 'totals', 'progress'}

local KEYS, KEYS_PREFIX  -- The key names of the last prefix. A Redis has one, as a rule.

local function keys_of(prefix)
  local k = KEYS
  if prefix ~= KEYS_PREFIX then
    if #prefix > PREFIX_BYTES then error('ERR a prefix is longer than ' .. PREFIX_BYTES .. ' bytes', 0) end
    k = {task = prefix .. 'task', lookup = prefix .. 'lookup',
         queue = prefix .. 'synchronize_queue', running = prefix .. 'running_queue',
         finished = prefix .. 'finished_queue', wake = prefix .. 'sync:wake:'}
    for _, names in ipairs({OF_A_RUN, {'run', 'minions', 'ids', 'lingering', 'events', 'last'}}) do
      for _, name in ipairs(names) do k[name] = prefix .. 'sync:' .. name end
    end
    for _, name in ipairs(KEPT_OF_LAST) do k['last_' .. name] = prefix .. 'sync:last_' .. name end
    KEYS, KEYS_PREFIX = k, prefix
  end
  return k
end

-- Tests load this text with another value here: 'time' lets a caller pass the time, 'clock' what the
-- clock of Redis says. The functions that the programs load ignore the time of a caller.
local CALLERS = 'nothing'

-- The clock of Redis, in ms since 1970.
local function clock_of(text)
  if CALLERS ~= 'nothing' and text ~= '' then return tonumber(text) end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- A number that a key or a field holds. Any program may have written it, so a value that is
-- missing, malformed or absurd counts as zero.
local function number_of(text)
  local number = tonumber(text or 0) or 0
  return number > -2 ^ 53 and number < 2 ^ 53 and number or 0
end

-- The operator's task, without one trailing slash. Nil if the key is missing or holds no string. In
-- the second case its type is the other result.
local function task_of(k)
  local text = server().pcall('GET', k.task)
  if type(text) == 'table' then
    if string.find(text.err, 'WRONGTYPE', 1, true) then return nil, redis.call('TYPE', k.task).ok end
    error(text, 0)
  end
  if not text then return nil end
  return #text > 1 and string.sub(text, -1) == '/' and string.sub(text, 1, -2) or text
end

-- A bitmap without any piece.
local function blank(pieces)
  return string.rep('\0', math.ceil(pieces / 8))
end

local RUN_FIELDS = {'id', 'state', 'manifest', 'pieces', 'origin', 'origin_kind', 'announced',
                    'trees', 'known', 'started', 'seated', 'expected'}
local RUN_LIMITS = {pieces = MAX_PIECES, known = MAX_HOSTS, seated = MAX_HOSTS, started = 2 ^ 53}
local COURSE_FIELDS = {'left', 'joined', 'reaped', 'mended', 'woken', 'woken_at', 'gathered', 'clock', 'reached',
                       'mending', 'fresh'}
local TIMES_OF_COURSE = {'joined', 'reaped', 'mended', 'woken_at'}  -- Never later than now.

-- The run as it is now, or nil. A value that is missing, malformed or out of its range counts as
-- zero: any minion can write sync:course, and people can write sync:run.
local function run_of(k, fields)
  local values, run = redis.call('HMGET', k.run, unpack(fields)), {}
  if not values[1] then return nil end
  -- The text '0' is also a bitmap: of the pieces 4 and 5.
  for i = 1, #fields do run[fields[i]] = values[i] or (fields[i] == 'announced' and '' or '0') end
  for name, limit in pairs(RUN_LIMITS) do
    if not (string.match(run[name], '^%d+$') and tonumber(run[name]) <= limit) then run[name] = '0' end
  end
  if run.trees ~= tostring(TREES) then run.trees = '0' end
  if #run.announced ~= math.ceil(run.pieces / 8) then run.announced = blank(run.pieces) end
  local course = redis.call('HMGET', k.course, unpack(COURSE_FIELDS))
  for i = 1, #course - 1 do
    run[COURSE_FIELDS[i]] = string.match(course[i] or '', '^%d+$') and course[i] or '0'
  end
  local fresh = course[#course] or ''
  run.fresh = #fresh == math.ceil(run.pieces / 8) and fresh or blank(run.pieces)
  return run
end

-- The time of a run now. A run has a time of its own, which begins as the clock of Redis. It never
-- goes back, and advances by LONGEST_GAP_MS at most between two calls. So a clock that steps by any amount
-- changes leases, quarantines and the age of the run by no more. If nobody calls for longer, the time
-- of the run stands still for the rest.
local function time_of(k, clock)
  local last, reached = tonumber(k.of.clock), tonumber(k.of.reached)
  if CALLERS == 'time' or last == 0 or reached == 0 or math.max(last, reached) > LATEST then return clock end
  return reached + math.max(0, math.min(clock - last, LONGEST_GAP_MS))
end

-- Notes the time of the run, once a second.
local function keep_time(k, clock)
  local passed = clock - tonumber(k.of.clock)
  if passed < 0 or passed >= 1000 then redis.call('HSET', k.course, 'clock', clock, 'reached', k.now) end
end

-- The context of one call: the key names, the time as `now`, and the run as `of`.
--
-- The run is read once, when the call begins, because calls are most of the work of Redis. `fields`
-- lists the fields of sync:run that the call needs, those of RUN_FIELDS first; nil means these. The
-- fields of sync:course are among those of the run.
local function reading_call_of(a, fields)
  local call = setmetatable({clock = clock_of(a[2])}, {__index = keys_of(a[1])})
  call.of = run_of(call, fields or RUN_FIELDS)
  call.now = call.of and time_of(call, call.clock) or call.clock
  for i = 1, call.of and #TIMES_OF_COURSE or 0 do
    local name = TIMES_OF_COURSE[i]
    if tonumber(call.of[name]) > call.now then call.of[name] = '0' end
  end
  return call, call.now
end

-- The same for a function that may write.
local function call_of(a, fields)
  local call, now = reading_call_of(a, fields)
  if call.of then keep_time(call, call.clock) end
  return call, now
end

local function has_trees(k)
  return k.of.trees ~= '0'
end

local function is_current(k, run)
  return k.of ~= nil and k.of.id == run
end

-- Whether any host is accused of anything. Few runs have blame, and the others skip its checks.
local function is_blame(k)
  if k.has_blame == nil then k.has_blame = redis.call('HLEN', k.blame) > 0 end
  return k.has_blame
end

-- Number of waiting hosts.
local function waiting_count(k)
  if not k.waiting_now then k.waiting_now = redis.call('HLEN', k.waiting) end
  return k.waiting_now
end

-- Adds a host to those that wait for a source of what it wants.
local function wait(k, host, unwanted)
  k.waiting_now = waiting_count(k) + redis.call('HSET', k.waiting, host, unwanted)
end

-- Ends the waiting of a host. False if it did not wait.
local function wait_no_more(k, host)
  if waiting_count(k) == 0 or redis.call('HDEL', k.waiting, host) == 0 then return false end
  k.waiting_now = k.waiting_now - 1
  redis.call('ZREM', k.hungry, host)
  return true
end

-- Adds a host that is not expected yet to those that the master shall judge. True if it is new.
local function volunteer(k, host)
  return redis.call('SISMEMBER', k.expected, host) == 0 and redis.call('SADD', k.joined, host) == 1
         and redis.call('SISMEMBER', k.others, host) == 0
end

-- The same for a host that reports. The master looks for those of sync:others itself.
local function volunteer_once(k, host)
  if redis.call('SISMEMBER', k.others, host) == 0 then volunteer(k, host) end
end

-- Redis has heard of a host.
local function see(k, host)
  redis.call('ZADD', k.minions, k.now, host)
end

-- Writes an event, as fields and values.
local function note(k, ...)
  redis.call('XADD', k.events, 'MAXLEN', '~', EVENTS_KEPT, '*', ...)
end
