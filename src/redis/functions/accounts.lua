
-- The account that each host gives of its part in the run, for people. No program decides anything
-- by it. The master writes the accounts to a file when the run has ended.

do

-- With the address, an account and what Redis adds to it occupy 500 bytes at most. All of them, with
-- sync:progress, occupy less than 5 MB: functions_tests --gtest_filter='*ManyAccounts*'
local ALL_BYTES = 2200000
local SHARES_BYTES = 140
local REASON_BYTES = 100
local ACCOUNTS_TRIED = 16       -- Accounts that are compared when one has to make room. With 8 a slow one may go.
local LONGEST_MS = 1e10         -- A later time of an account counts as this one.
local COUNTED = {wire = 1e13, pieces = MAX_PIECES, failed = 1e6, twice = 1e6}
local COUNTS = {'wire', 'pieces', 'failed', 'twice'}
local FASTEST = 1e12            -- Bytes a second.

-- A number from a host as digits, in a range.
local function digits_of(text, most)
  return string.format('%.0f', math.floor(math.max(0, math.min(number_of(text), most))))
end

-- A time of the run, of a moment that was so many ms ago. '-' if there was none.
local function moment(ago, now, started)
  return ago == '' and '-' or digits_of(now - number_of(ago) - started, LONGEST_MS)
end

-- The earlier one of two moments. `former` is from Redis, so it may be any text or nil.
local function earlier(former, moment_now)
  if not string.find(former or '', '^%d+$') then return moment_now end
  if moment_now ~= '-' and number_of(moment_now) < number_of(former) then return moment_now end
  return digits_of(former, LONGEST_MS)
end

-- Shares that were cut in the middle end with a whole one.
local function fitted_shares(text)
  if not text or string.find(text, '[^%x.:=,]') then return '-' end
  if #text > SHARES_BYTES then text = string.match(string.sub(text, 1, SHARES_BYTES), '^(.*),') or '' end
  return text == '' and '-' or text
end

-- The fields of an account: joined first last in-place wire pieces failed twice rate shares. Behind
-- them is the reason. Until a host gives its account, join keeps the time of joining alone.
local FIELDS = '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) '

-- At least the bytes that an account occupies, as the test measures them.
local function bytes_of(host, text)
  return string.find(text, FIELDS) and 80 + #host + math.ceil(1.2 * #text) or 0
end

-- Removes one account, and returns its bytes. Failed and slow hosts matter most, so a few random
-- accounts are compared, and that of the first host that has finished goes.
local function make_room(accounts, done)
  local tried, hosts = redis.call('HRANDFIELD', accounts, ACCOUNTS_TRIED, 'WITHVALUES'), {}
  for i = 1, #tried, 2 do hosts[#hosts + 1] = tried[i] end
  local times, victim, first = redis.call('HMGET', done, unpack(hosts)), 1, math.huge
  for i = 1, #hosts do
    local time = times[i] and number_of(times[i]) or math.huge
    if time < first then victim, first = i, time end
  end
  redis.call('HDEL', accounts, hosts[victim])
  return bytes_of(hosts[victim], tried[2 * victim])
end

-- A host gives its account. A later one replaces it, but for the time of joining and of the first
-- byte, which an earlier tick may have had. A run that ended short leaves hosts that learn of its
-- end later: the last run still accepts accounts.
--
--   Args:    run, host, ms since it joined, since the first byte, since the last byte, since all
--            pieces were in place ('' where there was none), bytes received, pieces pulled, failed
--            pulls, pulls that came second, bytes a second, shares ("ADDRESS=PIECES,…"), reason
--   Answers: VIEW
local function account(_, a)
  local k, now = call_of(a)
  local host, accounts, totals, done, started = a[4], k.accounts, k.totals, k.done, nil
  if #host > ADDRESS_BYTES then return {err = 'ERR no address'} end
  if is_current(k, a[3]) then
    started = number_of(k.of.started)
  else
    local last = redis.call('HMGET', k.last, 'run', 'started')
    if last[1] ~= a[3] then return {'STALE'} end
    accounts, totals, done = k.last_accounts, k.last_totals, k.last_done
    now, started = k.clock, number_of(last[2])
  end
  local former = redis.call('HGET', accounts, host) or ''
  local old = {string.match(former, FIELDS)}
  local new = {earlier(old[1] or former, moment(a[5], now, started)),
               earlier(old[2], moment(a[6], now, started)), moment(a[7], now, started),
               moment(a[8], now, started)}
  for i, name in ipairs(COUNTS) do
    new[4 + i] = digits_of(a[8 + i], COUNTED[name])
    local more = new[4 + i] - math.floor(number_of(old[4 + i]))
    if more ~= 0 then redis.call('HINCRBY', totals, name, more) end
  end
  new[9], new[10], new[11] = digits_of(a[13], FASTEST), fitted_shares(a[14]), string.sub(a[15] or '', 1, REASON_BYTES)
  if #old == 0 then redis.call('HINCRBY', totals, 'accounts', 1) end
  local text = table.concat(new, ' ')
  redis.call('HSET', accounts, host, text)
  local bytes = redis.call('HINCRBY', totals, 'bytes', bytes_of(host, text) - bytes_of(host, former))
  for _ = 1, ACCOUNTS_TRIED do
    if bytes <= ALL_BYTES then break end
    bytes = redis.call('HINCRBY', totals, 'bytes', -make_room(accounts, done))
  end
  return {'VIEW'}
end

register('account', account)

end
