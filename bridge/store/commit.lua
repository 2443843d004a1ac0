-- Writes a record, the claim on its order and its tasks: all or nothing.
--
-- KEYS  1 record  2 tasks  3 lanes  4 dead  5 order (left out if there is none)
-- ARGV  1 base of the partition's keys  2 invitation id  3 customer  4 now
--       5 expected version (0: none stored)  6 new version  7 nonce of this commit  8 data  9 ttl in ms (0: none)
--       10 what to do with the order: keep, claim, release  11 the id that a claim replaces ('' for none)
--       12 end of the leases that this commit hands out
--       then four for each task: due or cancel, kind, due ms, owner ('' for none)
-- Gives 1: written, 0: somebody was faster or the claim failed; then nothing was written.
--
-- Sent twice by a connection that lost the answer: the stored nonce tells, and the answer is 1 again. The record is then
-- written once more as it is: a WAIT that follows needs a write of its own connection to be confirmed.

local base, id, customer, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local ttl, order_op, order = ARGV[9], ARGV[10], KEYS[5]

local function write_record()
  local value = ARGV[6] .. '|' .. ARGV[7] .. '|' .. ARGV[8]
  if ttl == '0' then
    redis.call('SET', KEYS[1], value)
  else
    redis.call('SET', KEYS[1], value, 'PX', ttl)
  end
end

local version, nonce = string.match(redis.call('GETRANGE', KEYS[1], 0, 63), '^(%d+)|([^|]*)|')
if version == ARGV[6] and nonce == ARGV[7] then
  write_record()
  return 1
end
if (version or '0') ~= ARGV[5] then
  return 0
end

local holder = order and redis.call('GET', order)
if order_op == 'claim' then
  local free = holder == id or (holder or '') == ARGV[11]
  -- a claim whose record is gone (evicted, or deleted by hand) must not block its order until it expires
  if not free and not (holder and ARGV[11] == '' and redis.call('EXISTS', base .. 'iv:' .. holder) == 0) then
    return 0
  end
end

write_record()

if order_op == 'release' then
  if holder == id then
    redis.call('DEL', order)
  end
elseif order and (order_op == 'claim' or holder == id) then
  if ttl == '0' then
    redis.call('SET', order, id)
  else
    redis.call('SET', order, id, 'PX', ttl)
  end
end

for i = 13, #ARGV, 4 do
  local op, kind, at, owner = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local field, lane = id .. ':' .. kind, customer .. '/' .. kind
  local due = base .. 'due:' .. lane
  local text = redis.call('HGET', KEYS[2], field)
  local entry = read(text)
  bury(KEYS[4], base, field)
  if op == 'due' and leased(entry, now) then
    entry.upcoming = at
    write(KEYS[2], field, entry)
  else
    if text then
      redis.call('HDEL', KEYS[2], field)
    end
    if op == 'cancel' then
      redis.call('ZREM', due, id)
    elseif owner == '' then
      redis.call('ZADD', due, at, id)
    else
      local fresh = read()
      hand_over(fresh, ARGV[6], owner, ARGV[12])
      write(KEYS[2], field, fresh)
      redis.call('ZADD', due, ARGV[12], id)
    end
    refresh(KEYS[3], due, lane)
  end
end
return 1
