-- Extends a lease that is still held by this owner.
--
-- KEYS  1 the queue of its lane  2 tasks  3 lanes
-- ARGV  1 invitation id  2 task id  3 lane  4 owner  5 stamp  6 end of the lease
-- Gives 1: extended, 0: no longer held by this owner. May be sent twice.

local bad = damaged(KEYS[1], 'zset', KEYS[2], 'hash', KEYS[3], 'zset')
if bad then
  return bad
end
local entry = read(redis.call('HGET', KEYS[2], ARGV[2]))
if not ours(entry, ARGV[4], ARGV[5]) then
  return 0
end
entry.till = ARGV[6]
write(KEYS[2], ARGV[2], entry)
redis.call('ZADD', KEYS[1], ARGV[6], ARGV[1])
refresh(KEYS[3], KEYS[1], ARGV[3])
return 1
