-- Puts a lane's place in the index of lanes right.
--
-- KEYS  1 the queue of the lane  2 lanes
-- ARGV  1 lane
-- Gives 1: it was wrong, 0: it was right. May be sent twice.

local bad = damaged(KEYS[1], 'zset', KEYS[2], 'zset')
if bad then
  return bad
end
local before = redis.call('ZSCORE', KEYS[2], ARGV[1])
refresh(KEYS[2], KEYS[1], ARGV[1])
return before == redis.call('ZSCORE', KEYS[2], ARGV[1]) and 0 or 1
