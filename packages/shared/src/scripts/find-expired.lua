-- Looks at the next jobs that wait in a queue for those that never started and whose time to live is
-- over. Where it has come to stands in the order hash, so that all processes go on from there.
-- KEYS[1] prioritized, or delayed: jobs that were put off  KEYS[2] order hash
-- ARGV[1] prefix of BullMQ's job keys  ARGV[2] most jobs  ARGV[3] payload bytes after which no more
-- are looked at  ARGV[4] now in ms  ARGV[5] field of the order hash that says where
-- Returns 1 at the end of the queue else 0, how many jobs were looked at, how many wait, and the ids
-- of those whose time is over: the caller takes them out.
local waiting = redis.call('ZCARD', KEYS[1])
local rank = tonumber(redis.call('HGET', KEYS[2], ARGV[5]) or 0)
local due, seen, bytes = {}, 0, 0
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], rank, rank + ARGV[2] - 1)) do
  local job = redis.call('HMGET', ARGV[1] .. id, 'data', 'timestamp', 'processedOn')
  -- Within a text the quotes would be escaped, so this is the field and nothing of a caller's.
  local ttl = job[1] and not job[3] and string.match(job[1], '"ttl_s":(%d+)')
  if ttl and job[2] + ttl * 1000 <= tonumber(ARGV[4]) then due[#due + 1] = id end
  seen = seen + 1
  bytes = bytes + #(job[1] or '')
  if bytes >= tonumber(ARGV[3]) then break end
end
local ended = rank + seen >= waiting
if redis.call('EXISTS', KEYS[2]) == 1 then
  -- Those behind move up by as many as go.
  redis.call('HSET', KEYS[2], ARGV[5], ended and 0 or rank + seen - #due)
end
return { ended and 1 or 0, seen, waiting, unpack(due) }
