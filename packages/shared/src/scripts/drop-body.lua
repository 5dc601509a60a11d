-- Takes the body out of a delivery: at once, or as soon as it is no longer needed to be sent.
-- KEYS[1] delivery hash
local status = redis.call('HGET', KEYS[1], 'status')
if status == 'pending' then
  redis.call('HSET', KEYS[1], 'drop_body', 1)
elseif status then
  redis.call('HDEL', KEYS[1], 'body')
end
return status
