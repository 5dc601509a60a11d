-- Writes finished records; the first terminal state of a job wins, a later one is refused.
-- KEYS[1] order hash  KEYS[2..] record keys
-- ARGV[1] channel  ARGV[2] virtual time reached, or ''
-- then for each record: id, JSON, TTL in ms, rows, tokens
-- Returns 1 for each record that was written, 0 for each that was refused.
local written = {}
local ids = {}
local last = ''
local rows, tokens = 0, 0
for i = 2, #KEYS do
  local at = 3 + (i - 2) * 5
  if redis.call('SET', KEYS[i], ARGV[at + 1], 'PX', ARGV[at + 2], 'NX') then
    written[i - 1] = 1
    ids[#ids + 1] = ARGV[at]
    last = ARGV[at + 1]
    rows = rows + ARGV[at + 3]
    tokens = tokens + ARGV[at + 4]
  else
    written[i - 1] = 0
  end
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  local state = redis.call('HMGET', KEYS[1], 'rows', 'tokens', 'now')
  redis.call('HSET', KEYS[1],
    'rows', math.max(0, tonumber(state[1] or 0) - rows),
    'tokens', math.max(0, tonumber(state[2] or 0) - tokens))
  if ARGV[2] ~= '' and tonumber(ARGV[2]) > tonumber(state[3] or 0) then
    redis.call('HSET', KEYS[1], 'now', ARGV[2])
  end
end
-- A single small record travels with its notice: whoever waits need not ask for it.
if #ids == 1 and #last <= 4096 then
  redis.call('PUBLISH', ARGV[1], ids[1] .. '\n' .. last)
elseif #ids > 0 then
  redis.call('PUBLISH', ARGV[1], table.concat(ids, ','))
end
return written
