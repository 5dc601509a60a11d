-- Shared by scripts, which include it. Puts a delivery into Redis and its job into the queue of
-- deliveries, as BullMQ's addStandardJob does (addStandardJob-9.lua).
-- `to`: queue, prefix of BullMQ's keys of that queue; index, the tenant's list; key, the delivery's.
-- `fields`: of the delivery's hash; created_ms, ttl_ms and id are read here.
-- A delivery that is there already stays as it is.
local function queueDelivery(queue, id, round, now)
  local jobId = round == 0 and id or id .. '-' .. round
  local job = queue .. jobId
  if redis.call('EXISTS', job) == 1 then return end
  redis.call('INCR', queue .. 'id')
  local meta = queue .. 'meta'
  local most = redis.call('HGET', meta, 'opts.maxLenEvents')
  if not most then
    most = 1000
    redis.call('HSET', meta, 'opts.maxLenEvents', most)
  end
  redis.call('HSET', job, 'name', 'deliver',
    'data', string.format('{"delivery":"%s","round":%d}', id, round),
    'opts', '{"attempts":1000000,"backoff":{"type":"fixed","delay":2000}}',
    'timestamp', now, 'delay', 0, 'priority', 0)
  redis.call('XADD', queue .. 'events', '*', 'event', 'added', 'jobId', jobId, 'name', 'deliver')
  redis.call('LPUSH', queue .. 'wait', jobId)
  if redis.call('HEXISTS', meta, 'paused') == 0 then
    redis.call('ZADD', queue .. 'marker', 0, '0')
  end
  redis.call('XADD', queue .. 'events', 'MAXLEN', '~', most, '*', 'event', 'waiting', 'jobId', jobId)
end

local function addDelivery(to, fields)
  if redis.call('EXISTS', to.key) == 1 then return end
  local bytes = fields.body and #fields.body or 0
  local flat = { 'status', 'pending', 'round', 0, 'step', 0, 'attempt_count', 0, 'bytes', bytes }
  for name, value in pairs(fields) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  redis.call('HSET', to.key, unpack(flat))
  redis.call('PEXPIRE', to.key, fields.ttl_ms)
  redis.call('ZREMRANGEBYSCORE', to.index, '-inf', fields.created_ms - fields.ttl_ms)
  redis.call('ZADD', to.index, fields.created_ms, fields.id)
  if redis.call('PTTL', to.index) < tonumber(fields.ttl_ms) then
    redis.call('PEXPIRE', to.index, fields.ttl_ms)
  end
  queueDelivery(to.queue, fields.id, 0, fields.created_ms)
end
