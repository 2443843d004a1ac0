-- Makes tasks of a lane due now that are queued for later; leased ones stay.
--
-- KEYS  1 the queue of its lane  2 tasks  3 lanes
-- ARGV  1 lane  2 now  3 how many at most
-- Gives how many became due. May be sent twice.

local bad = damaged(KEYS[1], 'zset', KEYS[2], 'hash', KEYS[3], 'zset')
if bad then
  return bad
end
local kind, now = string.match(string.gsub(ARGV[1], '/urgent$', ''), '[^/]*$'), ARGV[2]
local recalled = 0
local later = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'LIMIT', '0', ARGV[3])
for _, id in ipairs(later) do
  local entry = read(redis.call('HGET', KEYS[2], task(id, kind)))
  if not (entry and leased(entry, now)) then
    redis.call('ZADD', KEYS[1], now, id)
    recalled = recalled + 1
  end
end
if recalled > 0 then
  refresh(KEYS[3], KEYS[1], ARGV[1])
end
return recalled
