-- Ends a lease. A task that was put on the queue again meanwhile starts from new at its newer time, whatever the outcome.
--
-- KEYS  1 due  2 tasks  3 lanes  4 dead  5 dead letter
-- ARGV  1 invitation id  2 task id  3 lane  4 owner  5 stamp  6 done, again or dead
--       again: 7 due ms  8 attempts so far  9 history
--       dead:  7 since ms  8 retention in ms (0: for ever)  9 dead letter
-- Gives 1: settled, 0: it was no longer ours, and nothing was changed.
--
-- Sent twice by a connection that lost the answer: the second time finds no lease and gives 0, although the first one did
-- its work. So 0 means "there is nothing left to settle"; the queue is right either way.

local id, field, outcome = ARGV[1], ARGV[2], ARGV[6]
local entry = read(redis.call('HGET', KEYS[2], field))
if not ours(entry, ARGV[4], ARGV[5]) then
  return 0
end

redis.call('HDEL', KEYS[2], field)
if entry.upcoming ~= '' then
  redis.call('ZADD', KEYS[1], entry.upcoming, id)
elseif outcome == 'again' then
  redis.call('ZADD', KEYS[1], ARGV[7], id)
  if ARGV[8] ~= '0' or ARGV[9] ~= '' then
    local waiting = read()
    waiting.attempts, waiting.history = ARGV[8], ARGV[9]
    write(KEYS[2], field, waiting)
  end
else
  redis.call('ZREM', KEYS[1], id)
  if outcome == 'dead' then
    -- some whose letter has expired; those that do not expire stay, however old
    local old = string.format('%d', tonumber(ARGV[7]) - tonumber(ARGV[8]))
    for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', old, 'LIMIT', 0, 50)) do
      if redis.call('EXISTS', KEYS[4] .. ':' .. other) == 0 then
        redis.call('ZREM', KEYS[4], other)
      end
    end
    redis.call('ZADD', KEYS[4], ARGV[7], field)
    if ARGV[8] == '0' then
      redis.call('SET', KEYS[5], ARGV[9])
    else
      redis.call('SET', KEYS[5], ARGV[9], 'PX', ARGV[8])
    end
  end
end
refresh(KEYS[3], KEYS[1], ARGV[3])
return 1
