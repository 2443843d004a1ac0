-- Gives the lanes whose earliest task is due, earliest first; the cost does not depend on what is
-- stored or due later. Lanes of other kinds (a newer version's) are skipped.
--
-- KEYS  1 lanes
-- ARGV  1 now (or +inf)  2 how many at most  3... the kinds that the caller knows
-- Gives {number of lanes skipped, lane, due ms, lane, due ms, ...}

local known, limit, page = {}, tonumber(ARGV[2]), 256
for i = 3, #ARGV do
  known[ARGV[i]] = true
end
local found, strange, start = {0}, 0, 0
repeat
  local lanes = redis.pcall('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'WITHSCORES',
    'LIMIT', start, page)
  if lanes['err'] then
    return redis.error_reply('DAMAGED zset ' .. KEYS[1])
  end
  for i = 1, #lanes, 2 do
    local kind = string.match(string.gsub(lanes[i], '/urgent$', ''), '/([^/]*)$')
    if known[kind] and #found < 2 * limit then
      found[#found + 1] = lanes[i]
      found[#found + 1] = lanes[i + 1]
    elseif not known[kind] then
      strange = strange + 1
    end
  end
  start = start + page
until #lanes < 2 * page or #found >= 2 * limit
found[1] = strange
return found
