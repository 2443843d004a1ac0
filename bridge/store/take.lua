-- Leases one queued task, whether due or not.
--
-- KEYS  1 due  2 tasks  3 lanes
-- ARGV  1 invitation id  2 task id  3 lane  4 now  5 end of the lease  6 owner  7 stamp of this call
-- Gives {stamp, attempt, history}, or nothing: not queued, or leased by somebody else.
--
-- The holder of the lease gets it again, prolonged: so a commit that leased the task can be followed up, and the script
-- may be sent twice.

local id, field, now, till, owner = ARGV[1], ARGV[2], ARGV[4], ARGV[5], ARGV[6]
if not redis.call('ZSCORE', KEYS[1], id) then
  return {}
end
local entry = read(redis.call('HGET', KEYS[2], field))
if not leased(entry, now) then
  hand_over(entry, ARGV[7], owner, till)
elseif entry.owner == owner then
  entry.till = till
else
  return {}
end
write(KEYS[2], field, entry)
redis.call('ZADD', KEYS[1], till, id)
refresh(KEYS[3], KEYS[1], ARGV[3])
return {entry.stamp, entry.attempts, entry.history}
