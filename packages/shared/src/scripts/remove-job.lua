-- Removes a finished job, and its result out of the delivery that told of it: at once, or as soon as
-- it is no longer needed to be sent.
-- KEYS[1] record  KEYS[2] delivery hash  KEYS[3] the tenant's list of job ids
-- KEYS[4..] hash of the job in each queue
-- ARGV[1] id
-- While BullMQ holds the job, since a worker has not heard of its end yet, an empty record stays: the
-- result that may still come is refused as any other.
local delivery = redis.call('HGET', KEYS[2], 'status')
if delivery == 'pending' then
  redis.call('HSET', KEYS[2], 'drop_body', 1)
elseif delivery then
  redis.call('HDEL', KEYS[2], 'body')
end
redis.call('ZREM', KEYS[3], ARGV[1])
local held = false
for i = 4, #KEYS do held = held or redis.call('EXISTS', KEYS[i]) == 1 end
if held then
  redis.call('SET', KEYS[1], '', 'XX', 'KEEPTTL')
else
  redis.call('DEL', KEYS[1])
end
return 1
