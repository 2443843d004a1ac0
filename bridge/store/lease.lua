-- Leases due tasks of one partition. A lease that ran out is taken over.
--
-- KEYS  1 tasks  2 lanes  then two for each lane: its queue, the other queue of the same tasks
-- ARGV  1 now  2 end of the leases  3 owner  4 stamp of this call
--       5 1 to lease though there is no room
--       then three for each lane: normal lane, 1 if its urgent queue is meant, how many at most
-- Gives {lane's number (from 0), invitation id, attempts so far, history, ...}. Where the entry of
-- a task cannot be read, the attempts are '' and the history is the entry: the caller quarantines
-- it.
--
-- Sent twice by a connection that lost the answer: the tasks of the first time stay leased, but not
-- performed, until the lease ends; then another worker takes them over. Nothing is lost or runs
-- twice.

local now, till, owner, stamp = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local wanted = {KEYS[1], 'hash', KEYS[2], 'zset'}
for i = 3, #KEYS do
  wanted[#wanted + 1] = KEYS[i]
  wanted[#wanted + 1] = 'zset'
end
local bad = damaged(unpack(wanted))
if bad then
  return bad
end

if ARGV[5] == '1' then
  -- Redis allows every write of a script once it has allowed the first.
  redis.call('HDEL', KEYS[1], '')
end
local taken = {}
for i = 6, #ARGV, 3 do
  local number = (i - 6) / 3
  local due, other = KEYS[3 + 2 * number], KEYS[4 + 2 * number]
  local lane, urgent = ARGV[i], ARGV[i + 1] == '1'
  local kind = string.match(lane, '[^/]*$')
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', '0', ARGV[i + 2])) do
    local field = task(id, kind)
    local text = redis.call('HGET', KEYS[1], field)
    local entry = read(text)
    local attempts, history = '', text
    if entry and entry.upcoming ~= '' and tonumber(entry.upcoming) > tonumber(now) then
      -- its owner died, but had already found that nothing is to be done before then
      redis.call('HDEL', KEYS[1], field)
      local soon = string.sub(entry.upcoming, 1, 1) == '0'
      redis.call('ZREM', due, id)
      redis.call('ZADD', soon == urgent and due or other, entry.upcoming, id)
      refresh(KEYS[2], other, urgent and lane or lane .. '/urgent')
    else
      if entry then
        hand_over(entry, stamp, owner, till)
        attempts, history = entry.attempts, entry.history
        write(KEYS[1], field, entry)
        redis.call('ZADD', due, till, id)
      end
      for _, part in ipairs({number, id, attempts, history}) do
        taken[#taken + 1] = part
      end
    end
  end
  refresh(KEYS[2], due, urgent and lane .. '/urgent' or lane)
end
return taken
