-- Leases the post that has been due for the longest time; its attempt counts from now on.
--
-- KEYS  1 queue of the endpoint  2 its posts
-- ARGV  1 now  2 end of the lease
-- Gives {id, number of this attempt, the post}, or nothing. What is no post is removed.
--
-- Sent twice by a connection that lost the answer: the first one's post is due again at the end of
-- its lease.

local bad = damaged(KEYS[1], 'zset', KEYS[2], 'hash')
if bad then
  return bad
end
while true do
  local id = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1)[1]
  if not id then
    return {}
  end
  local attempts, post = string.match(redis.call('HGET', KEYS[2], id) or '', '^(%d+)|(.*)$')
  if attempts then
    attempts = string.format('%d', tonumber(attempts) + 1)
    redis.call('HSET', KEYS[2], id, attempts .. '|' .. post)
    redis.call('ZADD', KEYS[1], ARGV[2], id)
    return {id, attempts, post}
  end
  redis.call('ZREM', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
end
