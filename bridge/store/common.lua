-- What every script needs; scripts.py puts it in front of each of them.
--
-- All keys of a script belong to one partition, hence to one cluster slot. "due" keys are built from the partition's base
-- ("bridge:{p7}:") which carries the same hash tag. Times are milliseconds since 1970 and come from the caller, never from
-- Redis, so that every test may hold the clock.
--
-- The entry of a task in the hash "tasks" is  <stamp>|<owner>|<until>|<next>|<attempts>|<history>
--   stamp     number of the lease: random, or the record's version where a commit leased the task; '' if not leased
--   owner     who holds the lease; '' if nobody does
--   until     ms, end of the lease
--   next      ms, set when the task was put on the queue again during the lease: a newer fact, to be acted on after it
--   attempts  so far, the one under way included
--   history   attempt log, JSON, opaque here
-- A task without entry is queued, not leased, and was never tried.

local NEW = '||||0|'

local function read(text)
  local stamp, owner, till, upcoming, attempts, history =
    string.match(text or NEW, '^(%d*)|([^|]*)|(%d*)|(%d*)|(%d*)|(.*)$')
  return {stamp = stamp, owner = owner, till = till, upcoming = upcoming, attempts = attempts, history = history}
end

local function write(tasks, field, entry)
  redis.call('HSET', tasks, field, table.concat(
    {entry.stamp, entry.owner, entry.till, entry.upcoming, entry.attempts, entry.history}, '|'))
end

-- Is the lease of this entry still running?
local function leased(entry, now)
  return entry.owner ~= '' and tonumber(entry.till) > tonumber(now)
end

local function ours(entry, owner, stamp)
  return entry.owner == owner and entry.stamp == stamp
end

-- Hands a task to an owner and counts the attempt. A fact that came in during a lease that then ran out starts from new.
local function hand_over(entry, stamp, owner, till)
  if entry.upcoming ~= '' then
    entry.attempts, entry.history, entry.upcoming = '0', '', ''
  end
  entry.stamp, entry.owner, entry.till = stamp, owner, till
  entry.attempts = string.format('%d', tonumber(entry.attempts) + 1)
end

-- Keeps "lanes" in step with the earliest task of a lane.
local function refresh(lanes, due, lane)
  local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
  if first[2] then
    redis.call('ZADD', lanes, first[2], lane)
  else
    redis.call('ZREM', lanes, lane)
  end
end

local function bury(dead, base, field)
  if redis.call('ZREM', dead, field) == 1 then
    redis.call('DEL', base .. 'dead:' .. field)
    return 1
  end
  return 0
end
