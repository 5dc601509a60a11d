-- Removes a finished job.
-- KEYS[1] record  KEYS[2] the tenant's list of job ids  KEYS[3..] hash of the job in each queue
-- ARGV[1] id
-- While BullMQ holds the job, since a worker has not heard of its end yet, an empty record stays: the
-- result that may still come is refused as any other.
redis.call('ZREM', KEYS[2], ARGV[1])
local held = false
for i = 3, #KEYS do held = held or redis.call('EXISTS', KEYS[i]) == 1 end
if held then
  redis.call('SET', KEYS[1], '', 'XX', 'KEEPTTL')
else
  redis.call('DEL', KEYS[1])
end
return 1
