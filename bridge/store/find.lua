-- Gives the record to which an order points, without a second journey.
--
-- KEYS  1 order
-- ARGV  1 base of the partition's keys
-- Gives {invitation id, value}, or nothing.

local id = redis.call('GET', KEYS[1])
local value = id and redis.call('GET', ARGV[1] .. 'iv:' .. id)
return value and {id, value} or {}
