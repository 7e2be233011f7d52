#!lua name=libsync1

-- The shared state of sync-fanout.
--
-- Every change of it is one of the functions below. So it happens whole or not at all, and Redis
-- keeps it in its append-only file. To load the functions by hand:
--
--   sync-master functions | redis-cli -x function load replace
--
-- Two processes agree on nothing but this state. It decides which host pulls which pieces from
-- which source. It moves no bytes, and it trusts a caller only about the caller itself.
--
-- Fourteen files make one text, in this order:
--
--   libsync.lua       the keys; how a function is registered, and what it does about an error
--   context.lua       constants, the context of a call
--   sources.lua       what each host can serve, upload slots, waiting hosts, the end of a claim
--   blame.lua         accusations and quarantine
--   claims.lua        the choice of source and pieces
--   trees.lua         seats and parents
--   mend.lua          derives again what a lost or changed key held
--   expected.lua      the hosts that a run waits for
--   ids.lua           which host has which address
--   master_calls.lua  the functions that the master calls
--   repair.lua        one more of these
--   minion_calls.lua  the functions that minions call
--   accounts.lua      one more of these
--   people_calls.lua  one more for people
--
-- Keys (P is the prefix). The first five are those of the Python pair, with their old meaning:
--
--   P task                string  the path that the operator set
--   P lookup              counter how often the master read this task
--   P synchronize_queue   set     addresses that have something to give and a free upload slot
--   P running_queue       set     addresses that pull now
--   P finished_queue      set     addresses that have published
--
-- Only the functions of the master write the next five, and minions need no right to write them. The
-- bytes that a host publishes depend on no other key.
--
--   P sync:run            hash    the run: id, state, path, name, fingerprint, bytes, piece_bytes,
--                                 pieces, manifest, origin, origin_kind, master, expected, started,
--                                 announced (bitmap of pieces in sync:digests), trees (how many; 0:
--                                 claims alone) …
--                                 manifest is FORMAT:HASH:DIGEST, which other versions refuse
--   P sync:digests        string  40 bytes a piece: BLAKE3, rolling sum; zeros where not announced
--   P sync:expected       set     hosts that are expected to finish (expected.lua)
--   P sync:others         set     hosts of the run that it does not wait for (expected.lua)
--   P sync:last           hash    how the last run or refusal ended; outlives runs
--
--   P sync:course         hash    what hosts write about the run: fresh (bitmap of pieces that no
--                                 host but the origin has or pulls), left (how often pieces ceased
--                                 to be fresh), joined (when a host did), reaped, woken, mending
--                                 (the next step of mend.lua), and the time of the run: clock (of
--                                 Redis), reached …
--   P sync:joined         set     hosts that joined, until the master adds them to sync:expected
--   P sync:ticking        set     hosts whose tick has joined the run and has not left it
--   P sync:have           hash    address -> bitmap of the pieces that it can serve
--   P sync:copies         string  two bytes a piece, big end first: how many hosts can serve it;
--                                 empty in a run with trees, where it would be most of the work
--   P sync:coming         string  the same: how many claims name it
--   P sync:hungry         zset    address -> until when it counts as waiting with nothing yet
--   P sync:slots          hash    address -> upload slots that it offers
--   P sync:uploads        hash    address -> upload slots in use
--   P sync:pulls          hash    address -> claims that it holds
--   P sync:claims         hash    token -> "PULLER SOURCE WHEN-GRANTED PIECE,PIECE,…"
--   P sync:leases         zset    token -> when the claim lapses
--   P sync:pace           hash    address -> ms that a claim on it needs for a piece, on the
--                                 average, and "slow" if that is much; usual: of all sources
--   P sync:waiting        hash    address -> bitmap of what it does not want
--   P sync:woken          hash    address -> the source that has something for it and a free slot
--   P sync:wake:ADDRESS   list    one element wakes that host; expires
--   P sync:seats          hash    seat in the trees -> address (trees.lua)
--   P sync:seat_of        hash    address -> seat
--   P sync:done           hash    address -> when it finished; finished_queue only shows it
--   P sync:progress       hash    address -> pieces that are in place there
--   P sync:moves          hash    for people: placed (pieces of all hosts), last (when a host placed
--                                 one), second%16 -> "SECOND PIECES", "work ADDRESS" -> what the
--                                 host works at, work -> "WHEN ADDRESS TEXT", the last of these,
--                                 and master -> "WHEN TEXT", what the master works at, also
--                                 without a run
--   P sync:blame          hash    see blame.lua
--   P sync:quarantine     zset    address -> until when it is no source
--   P sync:errors         hash    address -> the last error there
--   P sync:unfed          hash    address -> why it serves nobody
--   P sync:hooks          hash    address -> why its --after-publish failed
--   P sync:accounts       hash    address -> what the host did in the run (accounts.lua)
--   P sync:totals         hash    accounts (how many hosts gave one), sums over them (wire, pieces,
--                                 failed, twice), and the bytes of those in sync:accounts
--   P sync:last_expected, last_others, last_done, last_errors, last_hooks, last_accounts,
--     last_totals, last_progress  these keys of the run that ended last; outlive runs
--   P sync:minions        zset    address -> last seen; outlives runs
--   P sync:ids            hash    address -> id of the host there, and id -> address (ids.lua);
--                                 outlives runs
--   P sync:lingering      zset    address -> until when it waits for a run, to pull along trees;
--                                 outlives runs
--   P sync:events         stream  what happened; capped; outlives runs
--
-- In a bitmap, piece n is bit n%8, from the lowest, of byte n/8 (PieceSet in pieces.h).
--
-- Every function expects two arguments before its own: the prefix, and a time in ms since 1970 that
-- only tests can set (CALLERS). Key names are built here and not passed as KEYS, because
-- FCALL treats a declared key as writable, which defeats read-only access rules.
--
-- Every call of a run names that run. If another one is current, the call changes nothing and
-- answers {'STALE'}. Every call is safe to repeat. An answer is an array that begins with a word.

-- The functions run with the rights of the user that calls them. cron/redis-users.conf names the
-- functions and keys of each user.

-- Redis has one `redis` while it loads this text, and another one while a function runs.
local loader = redis
local function server() return redis end
local redis = {}  -- Its call() is that of the server, set by each call of a function.

-- Commands that only read a key. For a missing key they answer nothing.
local READS = {GET = true, GETRANGE = true, HGET = true, HMGET = true, HEXISTS = true, HGETALL = true, HKEYS = true,
               HLEN = true, HRANDFIELD = true, HSCAN = true, SSCAN = true, ZSCAN = true, SCARD = true, SMEMBERS = true,
               SISMEMBER = true, SMISMEMBER = true, SRANDMEMBER = true, ZSCORE = true, ZMSCORE = true, ZRANGE = true,
               ZRANGEBYSCORE = true, ZCOUNT = true, ZCARD = true}

local DISCARDED_AT_ONCE = 40  -- More than there are keys of a run.

-- Removes what a command could not use: a key of the wrong type, or a field that is no number. Hosts
-- write it again. True if the call may succeed now. A key that the caller has no right to write is
-- added to `absent`: for this call it is missing.
local function discard(text, command, key, field, absent)
  if string.find(text, 'WRONGTYPE', 1, true) then
    local removed = server().pcall('EXPIRE', key, 0)
    if type(removed) ~= 'table' then
      -- The reports that come will count each copy again.
      if string.sub(key, -9) == 'sync:have' then server().pcall('EXPIRE', string.sub(key, 1, -5) .. 'copies', 0) end
      return true
    end
    if absent[key] or not READS[command] then return false end
    absent[key] = true
    return true
  end
  if command == 'HINCRBY' and (string.find(text, 'not an integer', 1, true) or string.find(text, 'overflow', 1, true)) then
    return type(server().pcall('HDEL', key, field)) ~= 'table'
  end
  return false
end

-- Registers libsync1_VERB. If it fails, it runs again to find the command that fails, and
-- discards what stops it. An error that is left names the command, its key and the function.
local function register(verb, body, flags)
  local name = 'libsync1_' .. verb
  local function guarded(keys, arguments)
    local call = server().call
    redis.call = call
    local is_done, answer = pcall(body, keys, arguments)
    if is_done then return answer end
    local command, key, field, absent, text = 'no command', '', nil, {}, nil
    redis.call = function(...)
      command, key, field = ...
      if absent[key] and READS[command] then
        -- No host has this name, so this key is missing.
        return call(command, arguments[1] .. 'sync:wake:', select(3, ...))
      end
      return call(...)
    end
    for _ = 1, DISCARDED_AT_ONCE do
      is_done, answer = pcall(body, keys, arguments)
      if is_done then return answer end
      text = type(answer) == 'table' and answer.err or tostring(answer)
      if not discard(text, command, key, field, absent) then break end
    end
    if string.find(text, 'executing the script can', 1, true) then text = 'NOPERM no right' end
    return {err = string.format('%s (%s %s in %s)', text, command, tostring(key or ''), name)}
  end
  if flags then
    loader.register_function{function_name = name, callback = guarded, flags = flags}
  else
    loader.register_function(name, guarded)
  end
end
