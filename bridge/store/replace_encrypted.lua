-- Replaces a value by another form of the same content, if it is still the value that was read. Its
-- expiry stays.
--
-- KEYS  1 a string, or a hash
-- ARGV  1 the value as read  2 the value in its new form  3 field of the hash ('' for a string)
-- Gives 1: done, 0: it was changed meanwhile, and nothing was written.
--
-- Sent twice by a connection that lost the answer: the second time finds the new form, and gives 1.

local field = ARGV[3]
local value
if field == '' then
  value = redis.call('GET', KEYS[1])
else
  value = redis.call('HGET', KEYS[1], field)
end
if value == ARGV[1] then
  if field == '' then
    redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
  else
    redis.call('HSET', KEYS[1], field, ARGV[2])
  end
  return 1
end
return value == ARGV[2] and 1 or 0
