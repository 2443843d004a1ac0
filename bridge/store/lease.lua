-- Leases due tasks of one partition. A lease that ran out is taken over.
--
-- KEYS  1 tasks  2 lanes
-- ARGV  1 base of the partition's keys  2 now  3 end of the leases  4 owner  5 stamp of this call
--       then two for each lane: lane, how many at most
-- Gives {lane, invitation id, attempt, history, ...}
--
-- Sent twice by a connection that lost the answer: the tasks of the first time stay leased, performed by nobody, until
-- the lease ends; then somebody takes them over. Nothing is lost, nothing runs twice.

local base, now, till, owner, stamp = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local taken = {}
for i = 6, #ARGV, 2 do
  local lane = ARGV[i]
  local due, kind = base .. 'due:' .. lane, string.match(lane, '[^/]*$')
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', '0', ARGV[i + 1])) do
    local field = id .. ':' .. kind
    local entry = read(redis.call('HGET', KEYS[1], field))
    if entry.upcoming ~= '' and tonumber(entry.upcoming) > tonumber(now) then
      -- its owner died, but had already learnt that there is nothing to do before then
      redis.call('HDEL', KEYS[1], field)
      redis.call('ZADD', due, entry.upcoming, id)
    else
      hand_over(entry, stamp, owner, till)
      write(KEYS[1], field, entry)
      redis.call('ZADD', due, till, id)
      for _, part in ipairs({lane, id, entry.attempts, entry.history}) do
        taken[#taken + 1] = part
      end
    end
  end
  refresh(KEYS[2], due, lane)
end
return taken
