-- What every script needs; lua_scripts.py puts it in front of each of them.
--
-- Every key that a script touches is among its KEYS, and all of them carry the hash tag of one
-- partition, hence belong to one cluster slot. Times are milliseconds since 1970 and come from the
-- caller, never from Redis, so that tests can control the time.
--
-- Redis does not roll back a script that fails half-way. So every script first makes sure of all
-- that could fail (the types of its keys, the form of what it reads) and only then writes.
--
-- A record is  <version>|<commit>:<tasks>|<json>
--   commit  the id of the one that wrote it
--   tasks  one character for each kind (c, n, a, h), "-" where the record has no such task: what
--          the queue must hold. The reconciliation compares the two. Older records lack the last one
--          or all.
--
-- The entry of a task in the hash "tasks" is  <stamp>|<owner>|<until>|<next>|<attempts>|<history>
--   stamp     random number of the lease; '' if not leased
--   owner     who holds the lease; '' if nobody does
--   until     ms, end of the lease
--   next      ms, set when the task was put on the queue again during the lease: a newer fact, to
--             be acted on after it; written with a leading 0 if it is urgent
--   attempts  calls made so far
--   history   attempt log, JSON, opaque here
-- A task without entry is queued, not leased, and was never tried.
--
-- A customer's tasks of one kind have two queues, the normal and the urgent one. Scripts get the
-- name of the normal lane; that of the urgent one has "/urgent" behind it.

local NEW = '||||0|'
local KINDS = {check = 0, notify = 1, anonymise = 2, hire = 3}

-- The field of a task in "tasks", and its member among the dead letters.
local function task(id, kind)
  return id .. ':' .. kind
end

-- The error for the first of these keys (each followed by its type) that holds something else, or
-- nothing. The caller quarantines that key and sends the script again.
local function damaged(...)
  local wanted = {...}
  for i = 1, #wanted, 2 do
    local found = redis.call('TYPE', wanted[i])['ok']
    if found ~= 'none' and found ~= wanted[i + 1] then
      return redis.error_reply('DAMAGED ' .. wanted[i + 1] .. ' ' .. wanted[i])
    end
  end
end

-- The entry's fields, or nil if this is not an entry.
local function read(text)
  local stamp, owner, till, upcoming, attempts, history =
    string.match(text or NEW, '^(%d*)|([^|]*)|(%d*)|(%d*)|(%d+)|(.*)$')
  if not stamp or (owner ~= '' and till == '') then
    return nil
  end
  return {stamp = stamp, owner = owner, till = till, upcoming = upcoming, attempts = attempts,
    history = history}
end

local function write(tasks, field, entry)
  redis.call('HSET', tasks, field, table.concat(
    {entry.stamp, entry.owner, entry.till, entry.upcoming, entry.attempts, entry.history}, '|'))
end

-- Whether the lease of this entry still runs. One that would run for longer than any lease was
-- given when the clock was ahead; its owner is gone, or will notice that it was taken over.
local LONGEST = 600000
local function leased(entry, now)
  local left = entry.owner ~= '' and tonumber(entry.till) - tonumber(now)
  return left and left > 0 and left <= LONGEST
end

local function ours(entry, owner, stamp)
  return entry and entry.owner == owner and entry.stamp == stamp
end

-- Hands a task to an owner. A task that was queued again during a lease that ran out starts anew.
local function hand_over(entry, stamp, owner, till)
  if entry.upcoming ~= '' then
    entry.attempts, entry.history, entry.upcoming = '0', '', ''
  end
  entry.stamp, entry.owner, entry.till = stamp, owner, till
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

-- Puts a task into one of its lane's two queues and takes it out of the other. Without *at*: out
-- of both.
local function enqueue(lanes, normal, urgent, lane, id, at, is_urgent)
  local to, from = normal, urgent
  if is_urgent then
    to, from = urgent, normal
  end
  if at then
    redis.call('ZADD', to, at, id)
  else
    redis.call('ZREM', to, id)
  end
  redis.call('ZREM', from, id)
  refresh(lanes, normal, lane)
  refresh(lanes, urgent, lane .. '/urgent')
end

-- Has a record found by its application for as long as it lives (*ttl* in ms, '0': for ever), and
-- removes entries that have expired.
local function find_by(application, id, now, ttl)
  redis.call('ZREMRANGEBYSCORE', application, '-inf', now)
  local goes_at = ttl == '0' and 'inf' or string.format('%.0f', tonumber(now) + tonumber(ttl))
  redis.call('ZADD', application, goes_at, id)
  local last = redis.call('ZRANGE', application, -1, -1, 'WITHSCORES')[2]
  if last == 'inf' then
    redis.call('PERSIST', application)
  else
    redis.call('PEXPIRE', application, string.format('%.0f', tonumber(last) - tonumber(now)))
  end
end

-- The letter goes even where the list does not know it any more.
local function bury(dead, letter, field)
  redis.call('DEL', letter)
  return redis.call('ZREM', dead, field)
end

-- Notes in the record's head whether the queue has to hold a task of this kind.
local function note(record, kind, held)
  local start = redis.call('GETRANGE', record, 0, 63)
  local head, flags = string.match(start, '^(%d+|[^|:]*:)([cnah%-]+)|')
  if head and KINDS[kind] and KINDS[kind] < #flags then
    redis.call('SETRANGE', record, #head + KINDS[kind], held and string.sub(kind, 1, 1) or '-')
  end
end
