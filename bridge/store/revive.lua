-- Ends a dead letter: forgets it, or queues its task from attempt 1.
--
-- KEYS  1 due  2 tasks  3 lanes  4 dead
-- ARGV  1 base of the partition's keys  2 invitation id  3 task id  4 lane  5 due ms ('' to forget it)
-- Gives 1: done, 0: there is no such dead letter (any more). So of two replays one works.

if bury(KEYS[4], ARGV[1], ARGV[3]) == 0 then
  return 0
end
if ARGV[5] ~= '' then
  redis.call('HDEL', KEYS[2], ARGV[3])
  redis.call('ZADD', KEYS[1], ARGV[5], ARGV[2])
  refresh(KEYS[3], KEYS[1], ARGV[4])
end
return 1
