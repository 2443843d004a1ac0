-- Moves a key of the wrong type into the quarantine.
--
-- KEYS  1 the key  2 its name in quarantine  3 quarantine
-- ARGV  1 the type that the key must have  2 name of the note  3 the note
--       4 for how many ms the key is kept
-- Gives 1: moved, 0: moved before, and nothing was changed. May be sent twice.

if KEYS[1] ~= KEYS[3] and redis.call('TYPE', KEYS[3])['ok'] ~= 'hash' then
  redis.call('DEL', KEYS[3])
end
local found = redis.call('TYPE', KEYS[1])['ok']
if found == 'none' or found == ARGV[1] then
  return 0
end
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
return 1
