-- Records a new batch, unless one was recorded under its Idempotency-Key, or its tenant has too many.
-- KEYS[1] batch hash  KEYS[2] the tenant's list of batches  KEYS[3] sorted set of live batches
-- KEYS[4] Idempotency-Key, read only where ARGV[5] is set
-- ARGV[1] batch id  ARGV[2] definition as JSON  ARGV[3] expires in ms  ARGV[4] most live batches of a
-- tenant  ARGV[5] '', or what to keep of the Idempotency-Key  ARGV[6] for how many ms
-- Returns '+' when it was recorded, 'i' and what was kept of the key, 't' for too many.
if ARGV[5] ~= '' then
  local kept = redis.call('GET', KEYS[4])
  if kept then return 'i' .. kept end
end
local live = 0
for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  if redis.call('ZSCORE', KEYS[2], id) then live = live + 1 end
end
if live >= tonumber(ARGV[4]) then return 't' end
redis.call('HSET', KEYS[1], 'definition', ARGV[2], 'status', 'validating')
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
if ARGV[5] ~= '' then redis.call('SET', KEYS[4], ARGV[5], 'PX', ARGV[6]) end
return '+'
