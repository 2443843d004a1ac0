-- Queues a task that its record says is queued, but is neither queued nor a dead letter.
--
-- KEYS  1 record  2 normal queue  3 urgent queue  4 tasks  5 lanes  6 dead
-- ARGV  1 invitation id  2 kind  3 normal lane  4 version of the record as it was read  5 now
--       6 1 for a dry run
-- Gives 1: queued, 0: there was nothing to repair, or the record was changed meanwhile. May be sent
-- twice.

local bad = damaged(KEYS[1], 'string', KEYS[2], 'zset', KEYS[3], 'zset', KEYS[4], 'hash',
  KEYS[5], 'zset', KEYS[6], 'zset')
if bad then
  return bad
end
local id, kind, field = ARGV[1], ARGV[2], task(ARGV[1], ARGV[2])
local head = redis.call('GETRANGE', KEYS[1], 0, 63)
local version, flags = string.match(head, '^(%d+)|[^|:]*:?([cnah%-]*)|')
local place = KINDS[kind] + 1
local held = flags == '' or string.sub(flags or '', place, place) ~= '-'
if version ~= ARGV[4] or not held or redis.call('ZSCORE', KEYS[2], id)
  or redis.call('ZSCORE', KEYS[3], id) or redis.call('ZSCORE', KEYS[6], field) then
  return 0
end
if ARGV[6] ~= '1' then
  redis.call('HDEL', KEYS[4], field)
  enqueue(KEYS[5], KEYS[2], KEYS[3], ARGV[3], id, ARGV[5], false)
end
return 1
