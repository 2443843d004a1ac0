-- Repairs a lane's entry in the index of lanes.
--
-- KEYS  1 the queue of the lane  2 lanes
-- ARGV  1 lane  2 1 for a dry run
-- Gives 1: it was wrong, 0: it was right. May be sent twice.

local bad = damaged(KEYS[1], 'zset', KEYS[2], 'zset')
if bad then
  return bad
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] or false
if first == redis.call('ZSCORE', KEYS[2], ARGV[1]) then
  return 0
end
if ARGV[2] ~= '1' then
  refresh(KEYS[2], KEYS[1], ARGV[1])
end
return 1
