-- Adds an invitation to those that use one application at the provider.
--
-- KEYS  1 the application
-- ARGV  1 invitation id  2 life in ms  3 mark of an event that waits
--       4 how many invitations at most
-- Gives {the waiting event's word or '', other invitation id, ...}
--
-- The value is the ids, oldest first, with a blank between them; or the mark and a word. Sent twice
-- by a connection that lost the answer: a waiting event is lost, and the next poll finds out.

if redis.call('TYPE', KEYS[1])['ok'] ~= 'string' then
  redis.call('DEL', KEYS[1])
end
local value = redis.call('GET', KEYS[1]) or ''
local word, others = '', {}
if string.sub(value, 1, #ARGV[3]) == ARGV[3] then
  word = string.sub(value, #ARGV[3] + 1)
else
  for id in string.gmatch(value, '%S+') do
    if id ~= ARGV[1] then
      others[#others + 1] = id
    end
  end
end
while #others >= tonumber(ARGV[4]) do
  table.remove(others, 1)
end
local all = table.concat(others, ' ')
redis.call('SET', KEYS[1], (all == '' and '' or all .. ' ') .. ARGV[1], 'PX', ARGV[2])
table.insert(others, 1, word)
return others
