-- Takes all out of a delivery that it has of its job, which is removed: the body, and what receivers
-- answered, which may repeat it. One that is still to be sent has failed.
-- KEYS[1] delivery hash
-- ARGV[1] now in ms
-- @include drop-answer
local status = redis.call('HGET', KEYS[1], 'status')
if not status then return 0 end
redis.call('HSET', KEYS[1], 'removed', 1)
redis.call('HDEL', KEYS[1], 'body', 'next_ms')
if status == 'pending' then
  redis.call('HSET', KEYS[1], 'status', 'failed', 'settled_ms', ARGV[1])
end
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 8) == 'attempt:' then
    redis.call('HSET', KEYS[1], fields[i], dropAnswer(fields[i + 1]))
  end
end
return 1
