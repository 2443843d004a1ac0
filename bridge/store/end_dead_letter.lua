-- Ends a dead letter: forgets it, or queues its task from attempt 1.
--
-- KEYS  1 normal queue  2 urgent queue  3 tasks  4 lanes  5 dead  6 dead letter  7 record
-- ARGV  1 invitation id  2 kind  3 normal lane  4 due ms ('' to forget it)
-- Gives 1: done, 0: there is no such dead letter (any more). So of two replays one works.

local bad = damaged(KEYS[1], 'zset', KEYS[2], 'zset', KEYS[3], 'hash', KEYS[4], 'zset',
  KEYS[5], 'zset', KEYS[6], 'string', KEYS[7], 'string')
if bad then
  return bad
end
local id, kind, field = ARGV[1], ARGV[2], task(ARGV[1], ARGV[2])
if bury(KEYS[5], KEYS[6], field) == 0 then
  return 0
end
if ARGV[4] ~= '' then
  redis.call('HDEL', KEYS[3], field)
  enqueue(KEYS[4], KEYS[1], KEYS[2], ARGV[3], id, ARGV[4], false)
end
note(KEYS[7], kind, ARGV[4] ~= '')
return 1
