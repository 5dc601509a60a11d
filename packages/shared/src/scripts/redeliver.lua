-- Has a delivery sent once more, from the beginning of the schedule; one that waits, at once.
-- It is kept no longer for that.
-- KEYS[1] delivery hash
-- ARGV[1] tenant  ARGV[2] delivery id  ARGV[3] prefix of BullMQ's keys of the queue  ARGV[4] now in ms
-- Returns 1 when it is sent; 0 when it has no body any more; -1 when there is no such delivery.
-- @include add-delivery
local state = redis.call('HMGET', KEYS[1], 'tenant', 'status', 'type')
if state[1] ~= ARGV[1] then return -1 end
local whole = redis.call('HEXISTS', KEYS[1], 'body') == 1 or string.sub(state[3], 1, 6) == 'batch.'
if not whole then return 0 end
if state[2] == 'pending' then
  -- Whoever holds the job of an earlier round finds that it is over.
  local round = redis.call('HGET', KEYS[1], 'round')
  local job = round == '0' and ARGV[2] or ARGV[2] .. '-' .. round
  if redis.call('LPOS', ARGV[3] .. 'active', job) then return 1 end
  if redis.call('ZREM', ARGV[3] .. 'delayed', job) == 1 then
    redis.call('DEL', ARGV[3] .. job)
  elseif redis.call('EXISTS', ARGV[3] .. job) == 1 then
    return 1
  end
end
local round = redis.call('HINCRBY', KEYS[1], 'round', 1)
redis.call('HSET', KEYS[1], 'status', 'pending', 'step', 0)
redis.call('HDEL', KEYS[1], 'next_ms', 'settled_ms')
queueDelivery(ARGV[3], ARGV[2], round, ARGV[4])
return 1
