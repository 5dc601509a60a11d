-- Moves a batch to another status, if it is in one from which that is allowed.
-- KEYS[1] batch hash  KEYS[2] sorted set of live batches  KEYS[3] hash of the chunks that are done
-- KEYS[4] sorted set of batches that have ended
-- ARGV[1] statuses it may be in, comma separated  ARGV[2] new status  ARGV[3] batch id
-- ARGV[4] for a terminal status: TTL of the batch in ms, else ''  ARGV[5] when its parts may go
-- ARGV[6] to [11] for a terminal status, of the delivery that tells of it: key, the tenants' lists of
-- them without the tenant, prefix of BullMQ's keys of their queue, id, message, now in ms
-- then pairs of field and value that are set with it
-- Returns 1 if it was moved. What it waited for is forgotten, unless that is among the pairs. The
-- only way into a terminal status, and none leads out of one: who gets 1 for it is the only one.
-- @include add-delivery
local status = redis.call('HGET', KEYS[1], 'status')
if not status or not string.find(',' .. ARGV[1] .. ',', ',' .. status .. ',', 1, true) then
  return 0
end
redis.call('HDEL', KEYS[1], 'waiting_for')
redis.call('HSET', KEYS[1], 'status', ARGV[2])
for i = 12, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
if ARGV[4] ~= '' then
  redis.call('ZREM', KEYS[2], ARGV[3])
  redis.call('ZADD', KEYS[4], ARGV[5], ARGV[3])
  redis.call('PEXPIREAT', KEYS[3], ARGV[5])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  local batch = cjson.decode(redis.call('HGET', KEYS[1], 'definition'))
  local webhook, kind = batch.webhook, 'batch.' .. ARGV[2]
  local wanted = type(webhook) == 'table' and type(webhook.events) ~= 'table'
  for _, event in ipairs(type(webhook) == 'table' and not wanted and webhook.events or {}) do
    wanted = wanted or event == kind
  end
  if wanted then
    addDelivery({ key = ARGV[6], index = ARGV[7] .. batch.tenant, queue = ARGV[8] }, {
      id = ARGV[9], message = ARGV[10], tenant = batch.tenant, url = webhook.url, type = kind,
      of = ARGV[3], created_ms = ARGV[11], ttl_ms = webhook.ttl_s * 1000,
      traceparent = batch.traceparent,
    })
  end
end
return 1
