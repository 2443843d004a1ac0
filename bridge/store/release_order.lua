-- Frees an order whose record is gone (evicted, or deleted by hand), or that leads to what is no
-- invitation of it, so that it does not block the order until it expires.
--
-- KEYS  1 order  2 the record to which it points
-- ARGV  1 the id to which the order points  2 1 if no invitation of this order has that id
-- Gives 1: freed, 0: it points elsewhere by now, or there is such a record. May be sent twice.

local bad = damaged(KEYS[1], 'string')
if bad then
  return bad
end
local gone = ARGV[2] == '1' or redis.call('EXISTS', KEYS[2]) == 0
if gone and redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
