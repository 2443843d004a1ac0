-- Indexes a record by its application, if it is not indexed.
--
-- KEYS  1 record  2 application
-- ARGV  1 invitation id  2 version of the record as it was read  3 now  4 1 for a dry run
-- Gives 1: it was not indexed, 0: it was, or the record was changed meanwhile. May be sent twice.

local bad = damaged(KEYS[1], 'string', KEYS[2], 'zset')
if bad then
  return bad
end
local version = string.match(redis.call('GETRANGE', KEYS[1], 0, 63), '^(%d+)|')
if version ~= ARGV[2] or redis.call('ZSCORE', KEYS[2], ARGV[1]) then
  return 0
end
if ARGV[4] ~= '1' then
  local left = redis.call('PTTL', KEYS[1])
  find_by(KEYS[2], ARGV[1], ARGV[3], left > 0 and tostring(left) or '0')
end
return 1
