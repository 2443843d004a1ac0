-- Notes in the quarantine that a task's entry is damaged, and deletes it. The task itself stays
-- queued, from attempt 1, unless it cannot belong to an invitation.
--
-- KEYS  1 the queue of its lane  2 tasks  3 lanes  4 quarantine
-- ARGV  1 member of the queue  2 field of "tasks"  3 lane  4 name of the note  5 the note
--       6 due ms ('' to take the task off the queue)
-- Gives 1: noted, 0: noted before. May be sent twice.

local bad = damaged(KEYS[1], 'zset', KEYS[2], 'hash', KEYS[3], 'zset', KEYS[4], 'hash')
if bad then
  return bad
end
redis.call('HDEL', KEYS[2], ARGV[2])
if ARGV[6] == '' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], ARGV[6], ARGV[1])
end
refresh(KEYS[3], KEYS[1], ARGV[3])
return redis.call('HSETNX', KEYS[4], ARGV[4], ARGV[5])
