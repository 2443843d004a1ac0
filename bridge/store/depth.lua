-- Counts the due tasks of every lane.
--
-- KEYS  1 lanes
-- ARGV  1 base of the partition's keys  2 now
-- Gives {lane, count, lane, count, ...}

local counts = {}
for _, lane in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2])) do
  counts[#counts + 1] = lane
  counts[#counts + 1] = redis.call('ZCOUNT', ARGV[1] .. 'due:' .. lane, '-inf', ARGV[2])
end
return counts
