-- Reports an incident, and queues a post to every endpoint, unless it was said a short time ago.
--
-- KEYS  1 incidents  then two for each endpoint: its queue, its posts
-- ARGV  1 key of the incident  2 now  3 ms of what is new in it  4 ms after which news are said
--       5 the incident  6 life in ms  7 id of the post  8 the post  9 how many posts at most
-- Gives how many endpoints it was queued for; -1: it is not said now.
--
-- The value of an incident is  <said>|<news>|<incident>,  that of a post  <attempts>|<post>
-- Sent twice by a connection that lost the answer: the second time finds it said, and gives -1.

local wanted = {KEYS[1], 'hash'}
for i = 2, #KEYS, 2 do
  for _, part in ipairs({KEYS[i], 'zset', KEYS[i + 1], 'hash'}) do
    wanted[#wanted + 1] = part
  end
end
local bad = damaged(unpack(wanted))
if bad then
  return bad
end
local key, now, news = ARGV[1], ARGV[2], ARGV[3]
local said, before = string.match(redis.call('HGET', KEYS[1], key) or '', '^(%d+)|(%d+)|')
if before and tonumber(before) > tonumber(news) then
  news = before
end
local speaks = not said or (tonumber(news) > tonumber(said)
  and tonumber(now) - tonumber(said) >= tonumber(ARGV[4]))
redis.call('HSET', KEYS[1], key, table.concat({speaks and now or said, news, ARGV[5]}, '|'))
redis.call('PEXPIRE', KEYS[1], ARGV[6])
if not speaks then
  return -1
end
local queued = 0
for i = 2, #KEYS, 2 do
  if redis.call('HLEN', KEYS[i + 1]) < tonumber(ARGV[9]) then
    redis.call('HSET', KEYS[i + 1], ARGV[7], '0|' .. ARGV[8])
    redis.call('ZADD', KEYS[i], now, ARGV[7])
    redis.call('PEXPIRE', KEYS[i], ARGV[6])
    redis.call('PEXPIRE', KEYS[i + 1], ARGV[6])
    queued = queued + 1
  end
end
return queued
