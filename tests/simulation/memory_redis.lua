-- The values of a Redis in memory, and the commands that the bridge and its scripts use.
--
-- All of it stays in Lua, so that a script calls nothing of Python. Nothing is given out in the
-- order of pairs(), which is another one in each process.
--
-- Gives a function that opens an empty server; what its *call* and *evaluate* give begins with one
-- of these. What is peeked at was not asked for by the bridge, and is given as it is.

local VALUE, LIST, STATUS, FAILED = 0, 1, 2, 3
local MOST_PARTS = 4000  -- of a list that is given as several values

local WRONG_TYPE = 'WRONGTYPE Operation against a key holding the wrong kind of value'
local OUT_OF_MEMORY = "OOM command not allowed when used memory > 'maxmemory'."
local READ_ONLY = "READONLY You can't write against a read only replica."
local INFINITIES = {inf = 1 / 0, ['+inf'] = 1 / 0, ['-inf'] = -1 / 0}
local NEEDS_ROOM = {SET = true, ZADD = true, HSET = true, HSETNX = true, SETRANGE = true,
  SADD = true, RENAME = true}
local WRITES = {DEL = true, HDEL = true, ZREM = true, SREM = true, PEXPIRE = true, PERSIST = true,
  FLUSHALL = true, ZREMRANGEBYSCORE = true}
for name in pairs(NEEDS_ROOM) do
  WRITES[name] = true
end

local function fail(text)
  error({err = text}, 0)
end

-- As Redis writes numbers of scripts and scores.
local function show(part)
  return type(part) == 'number' and string.format('%.17g', part) or part
end

local function read_number(text)
  return INFINITIES[text] or tonumber(text) or fail('ERR value is not a valid float')
end

local function truncate(number)
  return number >= 0 and math.floor(number) or math.ceil(number)
end

local function list_sorted(fields)
  local found = {}
  for field in pairs(fields) do
    found[#found + 1] = field
  end
  table.sort(found)
  return found
end

local function copy(value)
  if type(value) ~= 'table' then
    return value
  end
  local other = {}
  for field, part in pairs(value) do
    other[field] = copy(part)
  end
  return other
end

-- What a client gets: a kind, and one value or the parts of a list.
local function give(well, found)
  if not well then
    return FAILED, type(found) == 'table' and found.err or tostring(found)
  elseif type(found) == 'number' then
    return VALUE, truncate(found)
  elseif type(found) == 'boolean' then
    return VALUE, found and 1 or nil
  elseif type(found) ~= 'table' then
    return VALUE, found
  elseif found.err then
    return FAILED, found.err
  elseif found.ok then
    return STATUS, found.ok
  end
  local parts, size = {}, #found
  for i = 1, size do
    local part = found[i]
    if type(part) == 'number' then
      part = truncate(part)
    end
    parts[i] = part or nil
  end
  if size > MOST_PARTS then
    return LIST, parts, size
  end
  return LIST, unpack(parts, 1, size)
end

-- Sorted sets: *scores* by member, and the members in *order* of score and name.

local function find_place(zset, score, member)
  local scores, order, low, high = zset.scores, zset.order, 1, #zset.order + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local other = order[middle]
    if scores[other] < score or (scores[other] == score and other < member) then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

local function remove(zset, member)
  local score = zset.scores[member]
  if score then
    table.remove(zset.order, find_place(zset, score, member))
    zset.scores[member] = nil
  end
  return score and 1 or 0
end

local function put(zset, member, score)
  if zset.scores[member] == score then
    return 0
  end
  local known = remove(zset, member)
  table.insert(zset.order, find_place(zset, score, member), member)
  zset.scores[member] = score
  return 1 - known
end

local function list_between(zset, low, high)
  local found, scores, order = {}, zset.scores, zset.order
  local place = find_place(zset, low, '')
  while order[place] and scores[order[place]] <= high do
    found[#found + 1] = order[place]
    place = place + 1
  end
  return found
end

local function with_scores(zset, members, wanted)
  if not wanted then
    return members
  end
  local found = {}
  for _, member in ipairs(members) do
    found[#found + 1] = member
    found[#found + 1] = show(zset.scores[member])
  end
  return found
end

local function find_option(name, ...)
  for place = 1, select('#', ...) do
    if (select(place, ...)) == name then
      return place
    end
  end
end

return function()
  local values, kinds, expires, now = {}, {}, {}, 0
  local full, read_only, written = false, false, false
  local commands, redis_of_scripts = {}, {}

  local function drop(key)
    values[key], kinds[key], expires[key] = nil, nil, nil
  end

  local function drop_expired()
    for key, at in pairs(expires) do
      if at <= now then
        drop(key)
      end
    end
  end

  local function get(key, kind)
    local at = expires[key]
    if at and at <= now then
      drop(key)
    elseif kind and kinds[key] and kinds[key] ~= kind then
      fail(WRONG_TYPE)
    end
    return values[key]
  end

  local function open(key, kind, empty)
    local value = get(key, kind)
    if not value then
      value = empty
      values[key], kinds[key] = value, kind
    end
    return value
  end

  -- Hashes, and sets as hashes whose values are true.

  local function count_fields(key, kind)
    local value = get(key, kind)
    return value and value.size or 0
  end

  local function set_field(key, kind, field, part)
    local value = open(key, kind, {fields = {}, size = 0})
    local new = value.fields[field] == nil and 1 or 0
    value.fields[field] = part
    value.size = value.size + new
    return new
  end

  local function remove_fields(key, kind, ...)
    local value, gone = get(key, kind), 0
    for _, field in ipairs(value and {...} or {}) do
      if value.fields[field] ~= nil then
        value.fields[field] = nil
        gone = gone + 1
      end
    end
    if value then
      value.size = value.size - gone
      if value.size == 0 then
        drop(key)
      end
    end
    return gone
  end

  local function get_zset(key)
    return get(key, 'zset') or {scores = {}, order = {}}
  end

  function commands.PING()
    return {ok = 'PONG'}
  end

  function commands.TYPE(key)
    get(key)
    return {ok = kinds[key] or 'none'}
  end

  function commands.EXISTS(...)
    local there = 0
    for _, key in ipairs({...}) do
      there = there + (get(key) and 1 or 0)
    end
    return there
  end

  function commands.DEL(...)
    local gone = 0
    for _, key in ipairs({...}) do
      gone = gone + (get(key) and 1 or 0)
      drop(key)
    end
    return gone
  end

  function commands.RENAME(key, new)
    local value = get(key) or fail('ERR no such key')
    local kind, at = kinds[key], expires[key]
    drop(key)
    values[new], kinds[new], expires[new] = value, kind, at
    return {ok = 'OK'}
  end

  function commands.FLUSHALL()
    values, kinds, expires = {}, {}, {}
    return {ok = 'OK'}
  end

  function commands.PEXPIRE(key, life)
    if not get(key) then
      return 0
    end
    expires[key] = now + truncate(read_number(life))
    return 1
  end

  function commands.PERSIST(key)
    local had = get(key) and expires[key]
    expires[key] = nil
    return had and 1 or 0
  end

  function commands.PTTL(key)
    if not get(key) then
      return -2
    end
    return expires[key] and expires[key] - now or -1
  end

  function commands.GET(key)
    return get(key, 'string') or false
  end

  function commands.MGET(...)
    local found = {}
    for place, key in ipairs({...}) do
      local value = get(key)
      found[place] = kinds[key] == 'string' and value or false
    end
    return found
  end

  function commands.SET(key, value, ...)
    local there = get(key)
    if there and find_option('NX', ...) or not there and find_option('XX', ...) then
      return false
    end
    local at, life = nil, find_option('PX', ...)
    if life then
      at = now + truncate(read_number((select(life + 1, ...))))
    elseif find_option('KEEPTTL', ...) then
      at = expires[key]
    end
    values[key], kinds[key], expires[key] = value, 'string', at
    return {ok = 'OK'}
  end

  function commands.GETRANGE(key, first, last)
    first, last = tonumber(first), tonumber(last)
    return string.sub(get(key, 'string') or '', first < 0 and first or first + 1,
      last < 0 and last or last + 1)
  end

  function commands.SETRANGE(key, offset, part)
    local value, at = get(key, 'string') or '', tonumber(offset)
    value = value .. string.rep('\0', at - #value)
    values[key] = string.sub(value, 1, at) .. part .. string.sub(value, at + #part + 1)
    kinds[key] = 'string'
    return #values[key]
  end

  function commands.HGET(key, field)
    local value = get(key, 'hash')
    return value and value.fields[field] or false
  end

  function commands.HSET(key, ...)
    local new = 0
    for place = 1, select('#', ...), 2 do
      local field, part = select(place, ...)
      new = new + set_field(key, 'hash', field, part)
    end
    return new
  end

  function commands.HSETNX(key, field, part)
    return commands.HGET(key, field) and 0 or set_field(key, 'hash', field, part)
  end

  function commands.HDEL(key, ...)
    return remove_fields(key, 'hash', ...)
  end

  function commands.HLEN(key)
    return count_fields(key, 'hash')
  end

  function commands.HKEYS(key)
    local value = get(key, 'hash')
    return value and list_sorted(value.fields) or {}
  end

  function commands.HGETALL(key)
    local value, found = get(key, 'hash'), {}
    for _, field in ipairs(value and list_sorted(value.fields) or {}) do
      found[#found + 1] = field
      found[#found + 1] = value.fields[field]
    end
    return found
  end

  function commands.SADD(key, ...)
    local new = 0
    for _, member in ipairs({...}) do
      new = new + set_field(key, 'set', member, true)
    end
    return new
  end

  function commands.SREM(key, ...)
    return remove_fields(key, 'set', ...)
  end

  function commands.SMEMBERS(key)
    local value = get(key, 'set')
    return value and list_sorted(value.fields) or {}
  end

  function commands.ZADD(key, ...)
    local parts, new = {...}, 0
    local only_known = parts[1] == 'XX'
    if only_known and not get(key, 'zset') then
      return 0
    end
    local value = open(key, 'zset', {scores = {}, order = {}})
    for place = only_known and 2 or 1, #parts, 2 do
      local score, member = read_number(parts[place]), parts[place + 1]
      if not only_known or value.scores[member] then
        new = new + put(value, member, score)
      end
    end
    return new
  end

  function commands.ZREM(key, ...)
    local value, gone = get_zset(key), 0
    for _, member in ipairs({...}) do
      gone = gone + remove(value, member)
    end
    if #value.order == 0 then
      drop(key)
    end
    return gone
  end

  function commands.ZSCORE(key, member)
    local score = get_zset(key).scores[member]
    return score and show(score) or false
  end

  function commands.ZCARD(key)
    return #get_zset(key).order
  end

  function commands.ZCOUNT(key, low, high)
    return #list_between(get_zset(key), read_number(low), read_number(high))
  end

  function commands.ZRANGE(key, first, last, ...)
    local value, found = get_zset(key), {}
    local size = #value.order
    first, last = tonumber(first), tonumber(last)
    first = first < 0 and math.max(0, first + size) or first
    last = last < 0 and last + size or math.min(last, size - 1)
    for place = first, last do
      found[#found + 1] = value.order[place + 1]
    end
    return with_scores(value, found, find_option('WITHSCORES', ...))
  end

  function commands.ZRANGEBYSCORE(key, low, high, ...)
    local value = get_zset(key)
    local found = list_between(value, read_number(low), read_number(high))
    local limit = find_option('LIMIT', ...)
    if limit then
      local skipped, count = select(limit + 1, ...)
      local some = {}
      skipped, count = tonumber(skipped), tonumber(count)
      count = count < 0 and #found or count
      for place = skipped + 1, math.min(#found, skipped + count) do
        some[#some + 1] = found[place]
      end
      found = some
    end
    return with_scores(value, found, find_option('WITHSCORES', ...))
  end

  function commands.ZREMRANGEBYSCORE(key, low, high)
    local members = list_between(get_zset(key), read_number(low), read_number(high))
    return #members > 0 and commands.ZREM(key, unpack(members)) or 0
  end

  function commands.WAIT()
    return 0
  end

  function commands.TIME()
    return {show(math.floor(now / 1000)), show(now % 1000 * 1000)}
  end

  local function call(name, ...)
    if WRITES[name] then
      if read_only then
        fail(READ_ONLY)
      elseif full and NEEDS_ROOM[name] and not written then
        fail(OUT_OF_MEMORY)
      end
      written = true
    end
    local command = commands[name] or fail("ERR unknown command '" .. name .. "'")
    return command(...)
  end

  -- Only what is stored has to be a text: the other commands read numbers as they are.
  local function call_from_script(name, ...)
    for place = 1, WRITES[name] and select('#', ...) or 0 do
      if type((select(place, ...))) == 'number' then
        local parts = {...}
        for other, part in ipairs(parts) do
          parts[other] = show(part)
        end
        return call(name, unpack(parts))
      end
    end
    return call(name, ...)
  end

  redis_of_scripts.call = call_from_script

  function redis_of_scripts.pcall(...)
    local well, found = pcall(call_from_script, ...)
    return found
  end

  function redis_of_scripts.error_reply(text)
    return {err = text}
  end

  local server = {}

  function server.call(at, ...)
    now, written = at, false
    return give(pcall(call, ...))
  end

  function server.evaluate(at, script, key_count, ...)
    now, written, redis = at, false, redis_of_scripts
    local parts, keys, args = {...}, {}, {}
    for place = 1, key_count do
      keys[place] = parts[place]
    end
    for place = key_count + 1, #parts do
      args[place - key_count] = parts[place]
    end
    KEYS, ARGV = keys, args
    return give(pcall(script))
  end

  function server.set_trouble(is_full, is_read_only)
    full, read_only = is_full, is_read_only
  end

  function server.peek(key)
    return kinds[key] == 'string' and values[key] or nil
  end

  function server.exists(key)
    return values[key] ~= nil
  end

  -- Of a member, or of the first one.
  function server.peek_score(key, member)
    local value = kinds[key] == 'zset' and values[key]
    return value and value.scores[member or value.order[1]] or nil
  end

  function server.peek_members(key)
    return kinds[key] == 'zset' and {unpack(values[key].order)} or {}
  end

  function server.list_keys(at)
    now = at
    drop_expired()
    return list_sorted(values)
  end

  -- Everything in one text, the same for the same content: a line for each part of each value.
  function server.dump(at)
    local lines = {}
    for _, key in ipairs(server.list_keys(at)) do
      local value, head = values[key], key .. ' '
      if kinds[key] == 'string' then
        lines[#lines + 1] = head .. value
      elseif kinds[key] == 'zset' then
        for _, member in ipairs(value.order) do
          lines[#lines + 1] = head .. member .. ' ' .. show(value.scores[member])
        end
      else
        for _, field in ipairs(list_sorted(value.fields)) do
          lines[#lines + 1] = head .. field .. ' ' .. tostring(value.fields[field])
        end
      end
    end
    return table.concat(lines, '\n')
  end

  function server.snapshot()
    return copy({values, kinds, expires})
  end

  function server.restore(snapshot)
    values, kinds, expires = unpack(copy(snapshot))
  end

  return server
end
