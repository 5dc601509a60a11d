-- Records which part holds the rows of a chunk; the first one counts.
-- KEYS[1] batch hash  KEYS[2] hash of the chunks that are done
-- ARGV[1] index  ARGV[2] the part as JSON  ARGV[3] now in ms  ARGV[4] ms between two marks of the rate
-- then pairs of a field of the batch and what it grows by
-- Returns 1 if it was recorded, 0 if another part was, or the batch takes no more.
if redis.call('HGET', KEYS[1], 'status') ~= 'in_progress' then return 0 end
if redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 0 then return 0 end
for i = 5, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('HINCRBY', KEYS[1], 'done_chunks', 1)
-- The rate is measured from the mark before the last one: over one to two of their distances.
local state = redis.call('HMGET', KEYS[1], 'rate_next_ms', 'in_progress_ms', 'rate_next_rows',
  'completed', 'failed')
local markMs = tonumber(state[1] or state[2] or ARGV[3])
if ARGV[3] - markMs >= tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[1], 'rate_from_ms', markMs, 'rate_from_rows', state[3] or 0,
    'rate_next_ms', ARGV[3], 'rate_next_rows', (state[4] or 0) + (state[5] or 0))
end
return 1
