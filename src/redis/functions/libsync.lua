#!lua name=libsync1

-- The shared state of sync-fanout: every change of it is one of the functions below, so it happens
-- whole or not at all, and survives in the append-only file. Load it by hand with
--
--   sync-master functions | redis-cli -x function load replace
--
-- Two processes agree on nothing but this. It decides who pulls what from whom; it does not move
-- bytes, and it trusts no caller further than that caller's own entries.
--
-- The source has seven parts, which make one text in this order: this one (what is kept, constants, and
-- what a call works with), sources.lua, blame.lua, claims.lua, trees.lua, and master_calls.lua and
-- minion_calls.lua, the functions themselves.
--
-- Keys (P is the prefix; the first five are those of the Python pair, with their old meaning):
--
--   P task                string  the path that the operator set
--   P lookup              counter how often the master looked at this task
--   P synchronize_queue   set     addresses that have something to give and a free upload slot
--   P running_queue       set     addresses that pull now
--   P finished_queue      set     addresses that have published
--
--   P sync:run            hash    the run: id, state, path, name, fingerprint, bytes, piece_bytes,
--                                 pieces, manifest, origin, origin_kind, master, expected, started,
--                                 announced (bitmap of the pieces in sync:digests), fresh (bitmap of
--                                 those that nobody but the origin has or pulls), left (how often
--                                 some ceased to be fresh), trees (how many; 0: claims alone) …
--   P sync:digests        string  32 bytes a piece: its BLAKE3; zeros where it has not been announced
--   P sync:have           hash    address -> bitmap of the pieces that it can serve
--   P sync:copies         string  two bytes a piece, big end first: how many hosts can serve it; none in
--                                 a run with trees, where this would be most of the work
--   P sync:coming         string  the same: how many claims there are for it
--   P sync:hungry         zset    address -> until when it counts as waiting and having nothing yet
--   P sync:slots          hash    address -> upload slots that it offers
--   P sync:uploads        hash    address -> upload slots in use
--   P sync:pulls          hash    address -> claims that it holds
--   P sync:claims         hash    token -> "PULLER SOURCE PIECE,PIECE,…"
--   P sync:leases         zset    token -> when the claim lapses
--   P sync:waiting        hash    address -> bitmap of what it does not want
--   P sync:woken          hash    address -> the source that has something for it, and a free slot
--   P sync:wake:ADDRESS   list    one element wakes that host; expires
--   P sync:seats          hash    seat in the trees -> address (trees.lua)
--   P sync:seat_of        hash    address -> seat
--   P sync:expected       set     who is expected to finish
--   P sync:done           hash    address -> when it finished; what counts, where finished_queue shows
--   P sync:progress       hash    address -> pieces that are in place there
--   P sync:blame          hash    see accuse()
--   P sync:quarantine     zset    address -> until when it is no source
--   P sync:errors         hash    address -> what went wrong there last
--   P sync:minions        zset    address -> last seen; outlives runs
--   P sync:lingering      zset    address -> until when it waits for a run, to pull along trees; outlives runs
--   P sync:events         stream  what happened; capped; outlives runs
--   P sync:last           hash    how the last run or refusal ended; outlives runs
--
-- Bitmaps: piece n is bit n%8, from the lowest, of byte n/8 (PieceSet in pieces.h).
--
-- Arguments: the prefix; the time in ms since 1970, or '' for the clock of Redis; then those named
-- with each function. Key names are built here and not passed as KEYS, because FCALL takes a
-- declared key for writable, which defeats read-only access rules. Every call names the run that it
-- means; if that is not the current run it changes nothing and the answer is {'STALE'}. Every call
-- may be repeated.
--
-- Answers are arrays; the first element is a word.

-- What has no figure or reason beside it is a guard, housekeeping or a format, and was not tuned.
local LEASE_MS = 45000          -- one renewal may be lost; a host that died costs its source this
local WAKE_TTL_S = 5            -- a wake-up that nobody took in this time is old news
local SAMPLE = 4                -- sources looked at for a claim: 3, 5 and 8 take 1.11, 1.10 and 1.10 x the bound
                                -- (195 hosts), and Redis 130, 144 and 170 us a call
local SAMPLE_MORE = 32          -- where that had nothing; with 250 they take 1,000 hosts 1.38 x the bound rather than 1.30
local SAMPLE_MOST = 250         -- for a host that asks without having been told of a source: all of them in most fleets.
                                -- In larger ones a source that has what nobody else has wakes who waits for it
local BUSY_PULLS = 2            -- a host that pulls so much at once has its link full without such a search
local FULLNESS = 0.5            -- uploads in use that one more useful piece makes good for; 0.25 and 1: no better
local ENOUGH = 6                -- useful pieces of a source, among which the rarest is looked for, or as many as
                                -- the claim may name; 16 took as long, and an eighth more of Redis
local ASKS_A_SECOND = 500       -- of all who wait together, in case a wake-up is lost: as much as Redis does not feel
local HUNGRY_FACTOR = 1.5       -- who has not asked again after so many times what it was told is gone
local HUNGRY_UPLOADS = 2        -- pulls from a source at once while hosts wait that have nothing: sources double
                                -- fastest with 1 or 2 (slots share a link), and 1 leaves it idle between two
local PIECES_PER_UPLOAD = 4     -- that have left the origin, for each upload of it beyond HUNGRY_UPLOADS: all at
                                -- once they would arrive all at once, late, and go on in step
local TREES = 8                 -- 3, 4, 5, 6 and 8 take 1,000 hosts 1.15, 1.13, 1.13, 1.10 and 1.09 x the bound, if
                                -- Redis costs nothing; at least 2
local TREES_FROM = 100          -- hosts: 195 take 1.08, and 1.18 by claims where one takes Redis 0.3 ms; 63 take 1.09 by
                                -- claims, with half the runs of rsync
local TREES_PIECES = 64         -- with fewer in all, a tree is little more than its own beginning and end
local TREES_UPLOADS = 2         -- that the origin offers beside its trees, for claims
local GATHERING_MS = 5000       -- after the last wake-up, in which those who linger have joined; who has not loses its seat
local WAKES_UNANSWERED = 100    -- of those who wait for a run with trees, woken in the order of their seats, so many may
                                -- not have come yet: all at once they would keep Redis from those near the origin
local WAKES_A_SECOND = 1000     -- are woken whoever has come: some who waited are gone
local WAKES_AT_ONCE = 100       -- by one call, at most, and
local WAKES_AT_LEAST = 10       -- at least: where each join wakes one, those of 10,000 hosts take 290 us rather than 235
local FOLLOW_MS = 100           -- how often a host asks that lacks a parent or digests, and
local FOLLOWS_A_SECOND = 2000   -- how many of them do together, at most
local REPORT_MS = 4000          -- how often a host in the trees says what it has, and
local REPORTS_A_SECOND = 1000   -- how many of them do together, at most: it is for people, and for claims
local ARGUMENTS_AT_ONCE = 4000  -- of a command: Lua has room for twice as many
local DIGEST_BYTES = 32
local WAITERS_LOOKED_AT = 8     -- for one free slot
local REAPED_AT_ONCE = 32       -- lapsed claims taken back by one call
local REAP_MS = 100             -- how often that is looked for
local MEND_MS = 10000           -- how often synchronize_queue is derived anew
local SEEN_MS = 600000          -- a minion seen in this time is expected, unless hosts are named
local FORGOTTEN_MS = 604800000 -- a minion that was not seen for a week is no minion any more
local AVOID_MS = 5000           -- an accuser keeps away from the accused; doubles each time
local AVOID_ORIGIN_MS = 1000    -- the origin may be the only source there is
local AVOID_BUSY_MS = 300       -- a source with all connections taken: somebody there has to finish
local AVOID_MAX_MS = 60000
local AVOID_MAX_ORIGIN_MS = 5000
local QUARANTINE_MS = 60000     -- doubles each time
local QUARANTINE_MAX_MS = 1800000
local QUARANTINE_ORIGIN_MS = 5000
local STRIKES = {corrupt = 2, unreachable = 3, refused = 3, slow = 2}
local TRUSTED_MS = 60000       -- a spool that was hashed anew is not suspected by one host alone so soon again
local EVENTS_KEPT = 10000
local ERROR_BYTES = 500

-- Of sync:*, what a run leaves nothing of but its last line; sync:run itself goes last.
local OF_A_RUN = {'digests', 'have', 'copies', 'coming', 'hungry', 'slots', 'uploads', 'pulls', 'claims', 'leases',
                  'waiting', 'woken', 'seats', 'seat_of', 'expected', 'done', 'progress', 'blame', 'quarantine', 'errors'}

local KEYS_OF = {}  -- prefix -> table of key names

local function keys_of(prefix)
  local k = KEYS_OF[prefix]
  if not k then
    k = {task = prefix .. 'task', lookup = prefix .. 'lookup',
         queue = prefix .. 'synchronize_queue', running = prefix .. 'running_queue',
         finished = prefix .. 'finished_queue', wake = prefix .. 'sync:wake:'}
    for _, names in ipairs({OF_A_RUN, {'run', 'minions', 'lingering', 'events', 'last'}}) do
      for _, name in ipairs(names) do k[name] = prefix .. 'sync:' .. name end
    end
    KEYS_OF[prefix] = k
  end
  return k
end

local function time_of(text)
  if text ~= '' then return tonumber(text) end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function run_fields(k, ...)
  return redis.call('HMGET', k.run, ...)
end

local function blank(pieces)
  return string.rep('\0', math.ceil(pieces / 8))
end

local RUN_FIELDS = {'id', 'state', 'manifest', 'pieces', 'origin', 'origin_kind', 'announced', 'fresh', 'left',
                    'reaped', 'mended', 'trees', 'known', 'started', 'seated', 'woken', 'woken_at', 'gathered'}

-- The run as it is now, or nothing.
local function run_of(k, fields)
  local values, run = redis.call('HMGET', k.run, unpack(fields)), {}
  if not values[1] then return nil end
  for i = 1, #fields do run[fields[i]] = values[i] or '0' end
  return run
end

-- What one call of a function works with: the names of the keys, the time, and, as `of`, the run as it
-- was when the call began. All of it is read once: a call is most of what Redis does for a fleet.
-- `fields`: those of sync:run that are needed, `id` first; nothing: RUN_FIELDS.
local function call_of(a, fields)
  local call = setmetatable({now = time_of(a[2])}, {__index = keys_of(a[1])})
  call.of = run_of(call, fields or RUN_FIELDS)
  return call, call.now
end

local function has_trees(k)
  return k.of.trees ~= '0'
end

local function is_current(k, run)
  return k.of ~= nil and k.of.id == run
end

-- Whether anybody is accused of anything: seldom, and then there is more to look at.
local function is_blame(k)
  if k.has_blame == nil then k.has_blame = redis.call('HLEN', k.blame) > 0 end
  return k.has_blame
end

-- How many hosts wait.
local function waiting_count(k)
  if not k.waiting_now then k.waiting_now = redis.call('HLEN', k.waiting) end
  return k.waiting_now
end

local function wait(k, host, unwanted)
  k.waiting_now = waiting_count(k) + redis.call('HSET', k.waiting, host, unwanted)
end

-- False if it did not wait.
local function wait_no_more(k, host)
  if waiting_count(k) == 0 or redis.call('HDEL', k.waiting, host) == 0 then return false end
  k.waiting_now = k.waiting_now - 1
  redis.call('ZREM', k.hungry, host)
  return true
end

local function note(k, ...)
  redis.call('XADD', k.events, 'MAXLEN', '~', EVENTS_KEPT, '*', ...)
end
