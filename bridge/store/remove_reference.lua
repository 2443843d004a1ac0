-- Removes an invitation from those that use one application at the provider.
--
-- KEYS  1 the application
-- ARGV  1 invitation id  2 mark of an event that waited
-- Gives how many are left. May be sent twice.

if redis.call('TYPE', KEYS[1])['ok'] ~= 'string' then
  return redis.call('DEL', KEYS[1]) * 0
end
local left, kept = {}, ''
for part in string.gmatch(redis.call('GET', KEYS[1]) or '', '%S+') do
  if string.sub(part, 1, #ARGV[2]) == ARGV[2] then
    kept = ' ' .. part
  elseif part ~= ARGV[1] then
    left[#left + 1] = part
  end
end
if #left == 0 then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], table.concat(left, ' ') .. kept, 'KEEPTTL')
end
return #left
