-- Has a delivery sent once more, from the beginning of the schedule; one that waits, at once.
-- It is kept no longer for that.
-- KEYS[1] delivery hash
-- ARGV[1] tenant  ARGV[2] delivery id  ARGV[3] prefix of BullMQ's keys of the queue  ARGV[4] now in ms
-- Returns 1 when it is sent; 0 when it has no body any more; -1 when there is no such delivery.
-- @include add-delivery
local state = redis.call('HMGET', KEYS[1], 'tenant', 'status', 'type', 'round', 'next_ms')
if state[1] ~= ARGV[1] then return -1 end
local whole = redis.call('HEXISTS', KEYS[1], 'body') == 1 or string.sub(state[3], 1, 6) == 'batch.'
if not whole then return 0 end
if state[2] == 'pending' then
  local job = state[4] == '0' and ARGV[2] or ARGV[2] .. '-' .. state[4]
  -- An attempt is written down before its job is put off; in between, or when its dispatcher dies
  -- there, the job is neither delayed nor about to be sent. In its round it finds nothing to do.
  local putOff = state[5] and tonumber(state[5]) > tonumber(ARGV[4])
  if redis.call('ZREM', ARGV[3] .. 'delayed', job) == 1 then
    redis.call('DEL', ARGV[3] .. job)
  elseif not putOff and redis.call('EXISTS', ARGV[3] .. job) == 1 then
    return 1
  end
end
local round = redis.call('HINCRBY', KEYS[1], 'round', 1)
redis.call('HSET', KEYS[1], 'status', 'pending', 'step', 0)
redis.call('HDEL', KEYS[1], 'next_ms', 'settled_ms')
queueDelivery(ARGV[3], ARGV[2], round, ARGV[4])
return 1
