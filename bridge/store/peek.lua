-- Gives the lanes whose earliest task is due, earliest first; the cost does not depend on what is stored or due later.
--
-- KEYS  1 lanes
-- ARGV  1 now (or +inf)  2 how many at most
-- Gives {lane, due ms, lane, due ms, ...}

return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'WITHSCORES', 'LIMIT', '0', ARGV[2])
