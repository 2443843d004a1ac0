-- Makes a queued task due now, at most once in a while.
--
-- KEYS  1 normal queue  2 urgent queue  3 tasks  4 lanes  5 when it was last brought forward
-- ARGV  1 invitation id  2 task id  3 normal lane  4 now  5 ms in which once is enough
-- Gives 1: it is due now, 0: not queued, due already, urgent, leased, or brought
-- forward a moment ago. Sent twice by a connection that lost the answer: the second time gives 0.

local bad = damaged(KEYS[1], 'zset', KEYS[2], 'zset', KEYS[3], 'hash', KEYS[4], 'zset',
  KEYS[5], 'string')
if bad then
  return bad
end
local id, now = ARGV[1], tonumber(ARGV[4])
local before = tonumber(redis.call('GET', KEYS[5]) or '')
if before and before <= now and now < before + tonumber(ARGV[5]) then
  return 0
end
local at = tonumber(redis.call('ZSCORE', KEYS[1], id) or '')
local entry = read(redis.call('HGET', KEYS[3], ARGV[2]))
if not at or at <= now or not entry or leased(entry, now) then
  return 0
end
redis.call('SET', KEYS[5], ARGV[4], 'PX', ARGV[5])
redis.call('ZADD', KEYS[1], ARGV[4], id)
refresh(KEYS[4], KEYS[1], ARGV[3])
return 1
