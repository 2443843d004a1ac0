-- Ends a lease. A task that was queued again meanwhile starts anew at its newer time, whatever the
-- outcome.
--
-- KEYS  1 normal queue  2 urgent queue  3 tasks  4 lanes  5 dead  6 dead letter  7 record
-- ARGV  1 invitation id  2 kind  3 normal lane  4 owner  5 stamp  6 done, again or dead
--       again: 7 due ms  8 attempts so far  9 history  10 1 if urgent
--       dead:  7 since ms  8 retention in ms (0: for ever)  9 dead letter
-- Gives 1: settled, 0: the lease had another owner, and nothing was changed.
--
-- Sent twice by a connection that lost the answer: the second time finds no lease and gives 0,
-- although the first one did its work. So 0 means "there is nothing left to settle"; the queue is
-- right either way.

local bad = damaged(KEYS[1], 'zset', KEYS[2], 'zset', KEYS[3], 'hash', KEYS[4], 'zset',
  KEYS[5], 'zset', KEYS[6], 'string', KEYS[7], 'string')
if bad then
  return bad
end
local id, kind, lane, outcome = ARGV[1], ARGV[2], ARGV[3], ARGV[6]
local field = task(id, kind)
local entry = read(redis.call('HGET', KEYS[3], field))
if not ours(entry, ARGV[4], ARGV[5]) then
  return 0
end

redis.call('HDEL', KEYS[3], field)
if entry.upcoming ~= '' then
  local urgent = string.sub(entry.upcoming, 1, 1) == '0'
  enqueue(KEYS[4], KEYS[1], KEYS[2], lane, id, entry.upcoming, urgent)
elseif outcome == 'again' then
  enqueue(KEYS[4], KEYS[1], KEYS[2], lane, id, ARGV[7], ARGV[10] == '1')
  if ARGV[8] ~= '0' or ARGV[9] ~= '' then
    local waiting = read()
    waiting.attempts, waiting.history = ARGV[8], ARGV[9]
    write(KEYS[3], field, waiting)
  end
else
  enqueue(KEYS[4], KEYS[1], KEYS[2], lane, id)
  if outcome == 'done' then
    note(KEYS[7], kind, false)
  else
    redis.call('ZADD', KEYS[5], ARGV[7], field)
    if ARGV[8] == '0' then
      redis.call('SET', KEYS[6], ARGV[9])
    else
      redis.call('SET', KEYS[6], ARGV[9], 'PX', ARGV[8])
    end
  end
end
return 1
