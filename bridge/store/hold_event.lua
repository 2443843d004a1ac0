-- Keeps an event for an application that no invitation has yet.
--
-- KEYS  1 the application
-- ARGV  1 mark and word of the event  2 life in ms
--       3 mark and word of an event that it replaces ('' for none)
-- Gives 1: kept, 0: the application is known, or another event waits. May be sent twice.

if redis.call('TYPE', KEYS[1])['ok'] ~= 'string' then
  redis.call('DEL', KEYS[1])
end
local value = redis.call('GET', KEYS[1])
if value and value ~= ARGV[1] and value ~= ARGV[3] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
