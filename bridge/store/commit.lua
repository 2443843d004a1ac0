-- Writes a record, the claim on its order and its tasks: all or nothing.
--
-- KEYS  1 record  2 tasks  3 lanes  4 dead  5 quarantine
--       then the order and the application, each left out where there is none
--       then three for each task: normal queue, urgent queue, dead letter
-- ARGV  1 how many keys come before those of the tasks  2 invitation id  3 now
--       4 expected version (0: none stored)  5 the commit that wrote it ('' if unknown)
--       6 new version  7 id of this commit  8 data  9 ttl in ms (0: none, -1: as it is)
--       10 what to do with the order: keep, claim, release, none
--       11 the id that a claim replaces ('' for none)  12 1 if the candidate was deleted
--       13 whether the application leads to the record: keep, forget, none
--       14 the kind of the task that is leased as it becomes due ('' for none)  15 its owner
--       16 stamp of the lease  17 its end
--       18 the kind of the lease that ends with this commit ('' for none)  19 its owner  20 its stamp
--       then five for each task: due, cancel or end, kind, normal lane, due ms, 1 if urgent
-- Gives 2: written, and the task is leased, 1: written, 0: another change was faster or the claim
-- failed; then nothing was written.
--
-- Sent twice by a connection that lost the answer: the stored id tells, and the answer is 1
-- again. The record is then written once more as it is, the letters of tasks included that may be
-- done by now: a WAIT that follows needs a write of its own connection to be confirmed.

local first, id, now, commit, ttl = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[7], ARGV[9]
local order_op, order = ARGV[10], ARGV[10] ~= 'none' and KEYS[6]
local application = ARGV[13] ~= 'none' and KEYS[first]

local wanted = {KEYS[1], 'string', KEYS[2], 'hash', KEYS[3], 'zset', KEYS[4], 'zset',
  KEYS[5], 'hash'}
if order then
  wanted[#wanted + 1] = order
  wanted[#wanted + 1] = 'string'
end
if application then
  wanted[#wanted + 1] = application
  wanted[#wanted + 1] = 'zset'
end
for i = first + 1, #KEYS, 3 do
  for _, part in ipairs({KEYS[i], 'zset', KEYS[i + 1], 'zset', KEYS[i + 2], 'string'}) do
    wanted[#wanted + 1] = part
  end
end
local bad = damaged(unpack(wanted))
if bad then
  return bad
end
if ttl == '-1' then
  ttl = string.format('%d', math.max(0, redis.call('PTTL', KEYS[1])))
end

local head = redis.call('GETRANGE', KEYS[1], 0, 63)
local version, known, flags = string.match(head, '^(%d+)|([^|:]*):?([cnah%-]*)|')
if head ~= '' and not version then
  return redis.error_reply('UNREADABLE ' .. id)
end

local held = {}
for kind, place in pairs(KINDS) do
  held[kind] = string.sub(flags or '', place + 1, place + 1) == string.sub(kind, 1, 1)
end
local function flag(kind)
  return held[kind] and string.sub(kind, 1, 1) or '-'
end

local function write_record()
  local value = table.concat(
    {ARGV[6], '|', commit, ':', flag('check'), flag('notify'), flag('anonymise'), flag('hire'), '|',
      ARGV[8]})
  if ttl == '0' then
    redis.call('SET', KEYS[1], value)
  else
    redis.call('SET', KEYS[1], value, 'PX', ttl)
  end
end

local function entry_of(kind)
  return read(redis.call('HGET', KEYS[2], task(id, kind)))
end
local to_lease, ending = ARGV[14], ARGV[18]

if version == ARGV[6] and known == commit then
  write_record()
  return to_lease ~= '' and ours(entry_of(to_lease), ARGV[15], ARGV[16]) and 2 or 1
end
-- A number alone is not enough: a fail-over may have forgotten the version that was expected, and
-- another process may have given its number to another change.
if (version or '0') ~= ARGV[4] or ARGV[5] ~= '' and known ~= ARGV[5] then
  return 0
end
local ended = ending ~= '' and entry_of(ending)
if not ours(ended, ARGV[19], ARGV[20]) then
  ended = nil
end
for i = 21, #ARGV, 5 do
  if ARGV[i] ~= 'end' then
    held[ARGV[i + 1]] = ARGV[i] == 'due'
  elseif ended then
    held[ending] = ended.upcoming ~= ''
  end
end

local holder = order and redis.call('GET', order)
if order_op == 'claim' and holder ~= id and (holder or '') ~= ARGV[11] then
  return 0
end

if ARGV[12] == '1' then
  -- A Redis that has no room refuses SET and ZADD, unless the script has written before. A
  -- deletion makes room, so it begins with what is always allowed.
  redis.call('DEL', KEYS[1])
  redis.call('HDEL', KEYS[5], id, task(id, 'check'), task(id, 'notify'), task(id, 'anonymise'),
    task(id, 'hire'))
end
write_record()

if ARGV[13] == 'forget' then
  redis.call('ZREM', application, id)
elseif application then
  find_by(application, id, now, ttl)
end
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

local key, leases = first, false
for i = 21, #ARGV, 5 do
  local op, kind, lane, at = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local urgent = ARGV[i + 4] == '1'
  local normal_queue, urgent_queue = KEYS[key + 1], KEYS[key + 2]
  local field = task(id, kind)
  if op == 'end' then
    if ended then
      redis.call('HDEL', KEYS[2], field)
      local again = ended.upcoming ~= '' and ended.upcoming
      local soon = string.sub(ended.upcoming, 1, 1) == '0'
      enqueue(KEYS[3], normal_queue, urgent_queue, lane, id, again, soon)
    end
  else
    local entry = not (ended and kind == ending) and entry_of(kind)
    bury(KEYS[4], KEYS[key + 3], field)
    if op == 'due' and entry and leased(entry, now) then
      entry.upcoming = (urgent and '0' or '') .. at
      write(KEYS[2], field, entry)
    elseif op == 'due' and kind == to_lease then
      local fresh = read()
      hand_over(fresh, ARGV[16], ARGV[15], ARGV[17])
      enqueue(KEYS[3], normal_queue, urgent_queue, lane, id, ARGV[17], urgent)
      write(KEYS[2], field, fresh)
      leases = true
    else
      redis.call('HDEL', KEYS[2], field)
      enqueue(KEYS[3], normal_queue, urgent_queue, lane, id, op == 'due' and at, urgent)
    end
  end
  key = key + 3
end
return leases and 2 or 1
