-- Pauses a batch that runs, or lets it go on, and keeps account of the time that it stood still.
-- KEYS[1] batch hash
-- ARGV[1] '1' to pause, '0' to go on  ARGV[2] now in ms
-- Returns 1, or 0 where the batch does not run. To do it twice changes nothing.
local state = redis.call('HMGET', KEYS[1], 'status', 'paused', 'paused_since_ms', 'in_progress_ms',
  'completed', 'failed')
local status = state[1]
if status ~= 'validating' and status ~= 'in_progress' then return 0 end
if (state[2] or '0') == ARGV[1] then return 1 end
redis.call('HSET', KEYS[1], 'paused', ARGV[1])
if ARGV[1] == '1' then
  redis.call('HSET', KEYS[1], 'paused_since_ms', ARGV[2])
  return 1
end
redis.call('HDEL', KEYS[1], 'paused_since_ms')
if status == 'in_progress' then
  local since = math.max(tonumber(state[3] or ARGV[2]), tonumber(state[4] or 0))
  redis.call('HINCRBY', KEYS[1], 'paused_ms', math.max(0, ARGV[2] - since))
  -- The rate is that of the time from now on.
  local rows = (state[5] or 0) + (state[6] or 0)
  redis.call('HSET', KEYS[1], 'rate_from_ms', ARGV[2], 'rate_from_rows', rows,
    'rate_next_ms', ARGV[2], 'rate_next_rows', rows)
end
return 1
