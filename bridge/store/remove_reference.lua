-- Removes an invitation from those that use one application at the provider.
--
-- KEYS  1 the application
-- ARGV  1 invitation id
-- Gives how many are left. May be sent twice.

if redis.call('TYPE', KEYS[1])['ok'] ~= 'string' then
  return redis.call('DEL', KEYS[1]) * 0
end
local left = {}
for id in string.gmatch(redis.call('GET', KEYS[1]) or '', '%S+') do
  if id ~= ARGV[1] then
    left[#left + 1] = id
  end
end
if #left == 0 then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], table.concat(left, ' '), 'KEEPTTL')
end
return #left
