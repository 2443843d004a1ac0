-- Makes tasks of a lane due now that are queued for later; those that somebody holds are left alone.
--
-- KEYS  1 due  2 tasks  3 lanes
-- ARGV  1 lane  2 now  3 how many at most
-- Gives how many became due. May be sent twice.

local kind, now = string.match(ARGV[1], '[^/]*$'), ARGV[2]
local recalled = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'LIMIT', '0', ARGV[3])) do
  if not leased(read(redis.call('HGET', KEYS[2], id .. ':' .. kind)), now) then
    redis.call('ZADD', KEYS[1], now, id)
    recalled = recalled + 1
  end
end
if recalled > 0 then
  refresh(KEYS[3], KEYS[1], ARGV[1])
end
return recalled
