-- Leases one queued task, whether due or not.
--
-- KEYS  1 normal queue  2 urgent queue  3 tasks  4 lanes
-- ARGV  1 invitation id  2 task id  3 normal lane  4 now  5 end of the lease  6 owner
--       7 stamp of this call
-- Gives {stamp, attempts so far, history, 1 if urgent}, or nothing: not queued, or leased by
-- another owner.
--
-- The holder of the lease gets it again, extended: so the script may be sent twice.

local bad = damaged(KEYS[1], 'zset', KEYS[2], 'zset', KEYS[3], 'hash', KEYS[4], 'zset')
if bad then
  return bad
end
-- Only ANONYMISE tasks are leased like this. A full Redis allows it unless it is the first
-- write of a script, hence this write before it.
redis.call('HDEL', KEYS[3], '')
local id, field, lane, now, till, owner = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local urgent = not redis.call('ZSCORE', KEYS[1], id)
local due = urgent and KEYS[2] or KEYS[1]
if not redis.call('ZSCORE', due, id) then
  return {}
end
local entry = read(redis.call('HGET', KEYS[3], field))
if not entry then
  return {}  -- the process that leases it in turn quarantines it
elseif not leased(entry, now) then
  hand_over(entry, ARGV[7], owner, till)
elseif entry.owner == owner then
  entry.till = till
else
  return {}
end
write(KEYS[3], field, entry)
redis.call('ZADD', due, till, id)
refresh(KEYS[4], due, urgent and lane .. '/urgent' or lane)
return {entry.stamp, entry.attempts, entry.history, urgent and 1 or 0}
