-- Adds an invitation to those that use one application at the provider.
--
-- KEYS  1 the application
-- ARGV  1 invitation id  2 life in ms  3 mark of an event that waits
--       4 how many invitations at most
-- Gives {the waiting event's word or '', other invitation id, ...}
--
-- The value is the ids, oldest first, with a blank between them, and perhaps the mark and a word. The
-- word stays: this may be sent twice, by a connection that lost the answer.

if redis.call('TYPE', KEYS[1])['ok'] ~= 'string' then
  redis.call('DEL', KEYS[1])
end
local value = redis.call('GET', KEYS[1]) or ''
local word, others = '', {}
for part in string.gmatch(value, '%S+') do
  if string.sub(part, 1, #ARGV[3]) == ARGV[3] then
    word = string.sub(part, #ARGV[3] + 1)
  elseif part ~= ARGV[1] then
    others[#others + 1] = part
  end
end
while #others >= tonumber(ARGV[4]) do
  table.remove(others, 1)
end
local all = table.concat(others, ' ')
local kept = word == '' and '' or ' ' .. ARGV[3] .. word
redis.call('SET', KEYS[1], (all == '' and '' or all .. ' ') .. ARGV[1] .. kept, 'PX', ARGV[2])
table.insert(others, 1, word)
return others
