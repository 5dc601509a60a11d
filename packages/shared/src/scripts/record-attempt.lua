-- Records what came of an attempt of a delivery, or that none is made any more.
-- KEYS[1] delivery hash  KEYS[2] endpoint hash  KEYS[3] the tenant's disabled endpoints
-- ARGV[1] round  ARGV[2] attempt as JSON, or '' for none  ARGV[3] attempts that are kept
-- ARGV[4] status: delivered, failed, disabled or pending  ARGV[5] next attempt in ms, or ''
-- ARGV[6] step of the schedule  ARGV[7] now in ms
-- ARGV[8] what it says of the endpoint: good, bad, gone, or '' for nothing
-- ARGV[9] endpoint id  ARGV[10] tenant  ARGV[11] url  ARGV[12] disabled after ms of failures alone
-- ARGV[13] endpoints are forgotten after ms  ARGV[14] most disabled endpoints of a tenant
-- Returns the status; '' when the delivery is gone, or is in another round by now.
-- @include drop-answer
if redis.call('HGET', KEYS[1], 'round') ~= ARGV[1] then return '' end
local now = tonumber(ARGV[7])

local function disable(reason)
  redis.call('HSET', KEYS[2], 'disabled_ms', now, 'reason', reason)
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - ARGV[13])
  redis.call('ZADD', KEYS[3], now, ARGV[9])
  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - ARGV[14])
  redis.call('PEXPIRE', KEYS[3], ARGV[13])
end

local disabled = redis.call('HEXISTS', KEYS[2], 'disabled_ms') == 1
if ARGV[8] == 'good' and not disabled then
  redis.call('DEL', KEYS[2])
elseif (ARGV[8] == 'bad' or ARGV[8] == 'gone') and not disabled then
  redis.call('HSETNX', KEYS[2], 'failing_since_ms', now)
  redis.call('HSET', KEYS[2], 'id', ARGV[9], 'tenant', ARGV[10], 'url', ARGV[11])
  local since = tonumber(redis.call('HGET', KEYS[2], 'failing_since_ms'))
  disabled = ARGV[8] == 'gone' or now - since >= tonumber(ARGV[12])
  if disabled then disable(ARGV[8] == 'gone' and 'gone' or 'failing') end
  redis.call('PEXPIRE', KEYS[2], ARGV[13])
end

local status = ARGV[4]
if disabled and status ~= 'delivered' then status = 'disabled' end
-- Its job was removed while the attempt was made.
local removed = redis.call('HEXISTS', KEYS[1], 'removed') == 1
if removed and status == 'pending' then status = 'failed' end
redis.call('HSET', KEYS[1], 'status', status, 'step', ARGV[6])
if ARGV[2] ~= '' then
  local count = redis.call('HINCRBY', KEYS[1], 'attempt_count', 1)
  redis.call('HSET', KEYS[1], 'attempt:' .. count, removed and dropAnswer(ARGV[2]) or ARGV[2])
  redis.call('HDEL', KEYS[1], 'attempt:' .. (count - ARGV[3]))
end
if status == 'pending' then
  redis.call('HSET', KEYS[1], 'next_ms', ARGV[5])
else
  redis.call('HSET', KEYS[1], 'settled_ms', now)
  redis.call('HDEL', KEYS[1], 'next_ms')
end
return status
